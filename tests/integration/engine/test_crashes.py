"""Kill it anywhere, run it again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.integration.engine.victim import stack

from infometis_sdk.engine.objects.marks import ROLE
from infometis_sdk.engine.writing.lease import Writer
from infometis_sdk.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from tests.integration.engine.lab import Lab

    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.platform import Access

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]


class Assassin(FaultProxy):
    """A proxy that kills its client right after a certain write was done, before it is told."""

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self.after = 0
        self.upon = ""
        self.writes: list[str] = []
        self.victim: subprocess.Popen[str] | None = None
        self.begun = self.ended = 0
        self.counting = threading.Lock()

    def choose(self, verb: str, target: str) -> Fault | None:
        """See :meth:`FaultProxy.choose`."""
        with self.counting:
            self.begun += 1
        return super().choose(verb, target)

    def saw(self, verb: str, target: str, headers: Mapping[str, str], status: int) -> None:
        """See :meth:`FaultProxy.saw`."""
        if verb != "GET" and "dryRun" not in target:
            self.writes.append(f"{verb} {target.partition('?')[0].rpartition('/')[2]}")
            due = len(self.writes) == self.after or self.writes[-1] == self.upon
            if due and self.victim is not None:
                self.victim.send_signal(signal.SIGKILL)
        super().saw(verb, target, headers, status)
        with self.counting:
            self.ended += 1

    def run(
        self, lab: Lab, value: str, *, after: int = 0, upon: str = "", seconds: float = 0
    ) -> int:
        """Apply in a process of its own; kill it after so many writes or seconds, or upon one."""
        script = (
            "import sys\n"
            "from tests.integration.engine.victim import main\n"
            "sys.exit(main(sys.argv[1:]))\n"
        )
        kubeconfig = str(self.access.kubeconfig)
        self.writes.clear()
        self.after, self.upon = after, upon
        self.victim = subprocess.Popen(
            (sys.executable, "-c", script, lab.name, kubeconfig, value, "proxy"),
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        if seconds:
            lab.until(lambda: bool(self.writes), "the first write")
            time.sleep(seconds)
            self.victim.kill()
        _, err = self.victim.communicate(timeout=60)
        assert self.victim.returncode in (0, -signal.SIGKILL), err
        # What the dead process had sent is still done by the API server, within moments.
        lab.until(lambda: self.begun == self.ended, "the last requests")
        return self.victim.returncode


def secrets_of(lab: Lab) -> dict[str, Any]:
    """Return the data of the credentials that are there."""
    return {
        s["metadata"]["name"]: s["data"]
        for s in lab.cluster.list("v1", "Secret", lab.run(), namespace=lab.namespace)
        if (s["metadata"].get("labels") or {}).get(ROLE) in ("credential", "key")
    }


def converges(lab: Lab, wanted: ManifestSet) -> None:
    """Run again, and demand that everything is as if nothing had happened."""
    before = secrets_of(lab)
    lab.up(wanted)
    lab.settled(wanted)
    # Found by asking every kind: nothing is lost, and nothing is left that nobody knows.
    desired = {(m.ref.kind, m.ref.namespace, m.ref.name) for m in wanted.manifests}
    desired |= {("Secret", lab.namespace, b.secret) for b in wanted.credentials}
    assert lab.members() == desired
    after = secrets_of(lab)
    assert {name: after[name] for name in before} == before
    assert set(after) == {"db-admin", f"infometis-{lab.name}-key"}
    states = releases(lab)
    assert states.count("deployed") == 1
    assert states[-1] == "deployed"
    assert "pending" not in states
    with Writer(lab.cluster, lab.name, lab.namespace, lab.run(), patience=0.0):
        pass  # nobody has to wait for the one that died


def releases(lab: Lab) -> list[str]:
    """Return the states of the Releases, oldest first."""
    found = lab.cluster.list(
        "v1", "ConfigMap", lab.run(), namespace=lab.namespace, labels=f"{ROLE}=release"
    )
    return [o["data"]["status"] for o in sorted(found, key=lambda o: int(o["data"]["number"]))]


def test_a_first_install_killed_at_any_write_converges(labs: Callable[[], Lab]) -> None:
    """Wherever the first run was killed, the next one makes it whole.

    After the namespace, the Lease, the Release, the inventory, the key, the credential, in the
    middle of the objects and right before the end.
    """
    whole = labs()
    with Assassin(whole.access) as proxy:
        assert proxy.run(whole, "1") == 0
        script = list(proxy.writes)
        converges_at_once(whole)
        total = len(script)
        assert total > 60
        assert script[0].endswith(whole.namespace)
        points = [1, 2, 3, 4, 5, 6, 7, random.Random(1).randrange(8, total - 3), total - 2, total]
        for point in points:
            lab = labs()
            ended = proxy.run(lab, "1", after=point)
            assert ended == -signal.SIGKILL, (point, proxy.writes)
            converges(lab, stack(lab, "1"))


def converges_at_once(lab: Lab) -> None:
    """Demand that a run that was not killed left nothing to do."""
    wanted = stack(lab, "1")
    lab.settled(wanted)
    converges(lab, wanted)


def test_an_update_killed_at_any_write_converges(labs: Callable[[], Lab]) -> None:
    """Killed while objects change, come and are pruned, at random writes and at random times."""
    lab = labs()
    lab.up(stack(lab, "1"))
    value = "2"
    rng = random.Random(os.environ.get("INFOMETIS_TEST_SEED", "7"))
    with Assassin(lab.access) as proxy:
        assert proxy.run(lab, value) == 0
        script = list(proxy.writes)
        converges(lab, stack(lab, value))
        pruned = [n for n, text in enumerate(script, 1) if text.startswith("DELETE only-1")]
        assert len(pruned) == 4
        total = len(script)
        points = [2, 3, rng.randrange(4, pruned[0] - 1), pruned[0] - 1, pruned[1], total - 1]
        for point in points:
            value = "1" if value == "2" else "2"
            proxy.run(lab, value, after=point)
            converges(lab, stack(lab, value))
        for _ in range(3):
            value = "1" if value == "2" else "2"
            proxy.run(lab, value, seconds=rng.uniform(0.01, 0.6))
            converges(lab, stack(lab, value))


def test_a_run_that_died_is_followed_by_one_that_wants_something_else(lab: Lab) -> None:
    """After a crash on the way to one state, the way to another leaves nothing of the first."""
    lab.up(stack(lab, "1"))
    with Assassin(lab.access) as proxy:
        proxy.run(lab, "2", after=40)
    converges(lab, stack(lab, "3"))


def test_a_kind_that_only_a_dead_run_knew_is_pruned(lab: Lab) -> None:
    """The inventory is written ahead: what the dead run made of a new kind is found, and goes."""
    lab.up(stack(lab, "1"))
    with Assassin(lab.access) as proxy:
        assert proxy.run(lab, "roles", upon="PATCH reader") == -signal.SIGKILL
    assert ("Role", lab.namespace, "reader") in lab.members()
    converges(lab, stack(lab, "1"))
