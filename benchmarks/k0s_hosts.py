"""Time `k0s-host` against the same done by hand over SSH, on one machine in one run.

::

    python -m benchmarks.k0s_hosts --repeat 3

Needs root and what the tests of `k0s-host` need; ``INFOMETIS_K0S_BINARY`` names a genuine k0s.
By hand is: copy the binary, install the service, start it, and ask every half a second
until the API is ready; what a script of ten lines does.
`ensure` checks the host, verifies what it copied, and waits for the node too.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.k0s_hosts import Site, site

from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.machines import Machine

_PATIENCE = 300.0


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3, help="runs of each")
    repeat = parser.parse_args().repeat
    with tempfile.TemporaryDirectory() as folder, site(Path(folder)) as place:
        _measure(place, repeat)


def _measure(place: Site, repeat: int) -> None:
    machine = place.machine("bench")
    settings = place.settings(place.host("bench", "controller+worker"))
    platform = place.platform("bench", settings)
    ours, hand, again, status = [], [], [], []
    for _ in range(repeat):
        hand.append(_timed(lambda: _by_hand(place, machine)))
        _clean(machine)
        ours.append(_timed(lambda: platform.ensure(Run.within(600))))
        _timed(lambda: platform.ensure(Run.within(600)))
        again.append(_timed(lambda: platform.ensure(Run.within(600))))
        status.append(_timed(platform.status))
        platform.destroy(Run.within(600))
    base = statistics.median(hand)
    print(f"{'':28} {'median':>8} {'by hand':>8}")
    rows = (
        ("by hand, API ready", hand),
        ("ensure, node ready", ours),
        ("ensure, nothing to do", again),
        ("status", status),
    )
    for name, times in rows:
        median = statistics.median(times)
        print(f"{name:28} {median:7.2f}s {median / base:7.2f}x")


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _by_hand(place: Site, machine: Machine) -> None:
    with place.binary().open("rb") as binary:
        argv = ["ssh", "-F", str(place.farm.config), machine.address]
        copy = "cat >/usr/local/bin/k0s && chmod 755 /usr/local/bin/k0s"
        subprocess.run([*argv, copy], stdin=binary, check=True)
    # As a kubelet on cgroup v1 needs it; elsewhere it means nothing.
    config = "spec: {workerProfiles: [{name: default, values: {failCgroupV1: false}}]}"
    machine.ssh(f"mkdir -p /etc/k0s; echo '{config}' > /etc/k0s/k0s.yaml")
    machine.ssh(
        "/usr/local/bin/k0s install controller --enable-worker --no-taints "
        "--ignore-pre-flight-checks && service k0scontroller start >/dev/null"
    )
    end = time.monotonic() + _PATIENCE
    ask = "/usr/local/bin/k0s kubectl get --raw=/readyz"
    while machine.ssh(ask, check=False).returncode:
        if time.monotonic() > end:
            msg = "the API is not ready"
            raise RuntimeError(msg)
        time.sleep(0.5)


def _clean(machine: Machine) -> None:
    machine.ssh("service k0scontroller stop; /usr/local/bin/k0s reset; rm -f /usr/local/bin/k0s")
    machine.ssh("rm -rf /etc/init.d/k0s* /etc/rc?.d/*k0s* /etc/k0s")


if __name__ == "__main__":
    main()
