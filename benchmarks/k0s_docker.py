"""What the platform ``k0s-docker`` adds to what somebody does by hand with ``docker run``.

By hand: the container of k0s' own page, and a loop that asks for ``/readyz`` and the node.
The platform: ``ensure`` with its checks, network, kubeconfig and readiness, then again with
nothing to do, and ``status``.  Cold is without the network and volumes of a run before it,
warm is a stopped cluster that goes on; there the hand takes the stored word of the node's last
life, and the platform waits until kubelet is heard of again.  The image is the genuine one where
``INFOMETIS_K0S_IMAGE`` names one, else the stand-in of the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.docker_daemon import docker_daemon
from tests.standin.k0s_docker import settings_maker

from infometis_platform_k0s_docker.platform import K0sDockerPlatform
from infometis_sdk.model.report import Table
from infometis_sdk.model.run import Run
from infometis_sdk.ports.platform import PlatformContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from infometis_platform_k0s_docker import K0sDocker

PATIENCE = 600.0
PAUSE = 0.1


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    cache = Path(os.environ.get("INFOMETIS_CACHE_DIR") or Path.home() / ".cache" / "infometis")
    seconds: dict[str, list[float]] = {}
    with docker_daemon() as daemon, tempfile.TemporaryDirectory() as folder:
        settings = settings_maker(daemon, cache, Path(folder))()
        client = daemon.client()
        for number in range(options.repeat):
            for name, took in _by_hand(client, settings):
                seconds.setdefault(name, []).append(took)
            for name, took in _platform(Path(folder) / str(number), settings):
                seconds.setdefault(name, []).append(took)
        client.close()
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    rows = []
    for name, took in medians.items():
        peer = medians["by hand, warm" if "warm" in name else "by hand, cold"]
        rows.append((name, f"{took:.2f}", f"{took / peer:.2f}"))
    print(Table(columns=("what", "seconds", "of by hand"), rows=tuple(rows)).text())
    options.results.mkdir(exist_ok=True)
    text = json.dumps({"median seconds": medians, "repeat": options.repeat}, indent=2)
    (options.results / "k0s-docker.json").write_text(text + "\n", encoding="utf-8")


def _by_hand(client: Any, settings: K0sDocker) -> list[tuple[str, float]]:  # noqa: ANN401
    flags = ["--ignore-pre-flight-checks"] if settings.cgroup_v1 else []
    began = time.monotonic()
    container = client.containers.run(
        settings.reference,
        ["k0s", "controller", "--single", *flags],
        detach=True,
        privileged=True,
        name="by-hand",
        hostname="by-hand",
        tmpfs={"/run": ""},
        volumes={"by-hand": {"bind": "/var/lib/k0s"}},
        ports={6443: ("127.0.0.1", None)},
    )
    try:
        cold = _until_ready(container, began)
        container.stop()
        began = time.monotonic()
        container.start()
        return [("by hand, cold", cold), ("by hand, warm", _until_ready(container, began))]
    finally:
        container.remove(force=True)
        client.volumes.get("by-hand").remove()


def _until_ready(container: Any, began: float) -> float:  # noqa: ANN401
    while True:
        done = container.exec_run(["k0s", "kubectl", "get", "--raw=/api/v1/nodes"])
        text = done.output.decode()
        if not done.exit_code and '"type":"Ready","status":"True"' in text.replace(" ", ""):
            return time.monotonic() - began
        time.sleep(PAUSE)


def _platform(folder: Path, settings: K0sDocker) -> list[tuple[str, float]]:
    context = PlatformContext(cluster="bench", state_dir=folder, cache_dir=folder)

    def make() -> K0sDockerPlatform:
        return K0sDockerPlatform(settings, context)

    def ensure() -> object:
        return make().ensure(Run.within(PATIENCE))

    try:
        rows = [("ensure, cold", _time(ensure))]
        rows.append(("ensure, nothing to do", _time(ensure)))
        rows.append(("status", _time(make().status)))
        make().stop(Run.within(PATIENCE))
        return [*rows, ("ensure, warm", _time(ensure))]
    finally:
        make().destroy(Run.within(PATIENCE))


def _time(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
