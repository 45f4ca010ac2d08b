"""Another version on the hosts of a cluster: controllers one by one, workers in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_platform_k0s_host.acting.k0s import BINARY
from infometis_platform_k0s_host.acting.removing import drain
from infometis_platform_k0s_host.connection import HostError
from infometis_platform_k0s_host.planning.plan import Action, Plan, Stage
from infometis_platform_k0s_host.planning.versions import refused
from infometis_sdk.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Callable

    from infometis_platform_k0s_host.acting.making import Making
    from infometis_platform_k0s_host.acting.world import World
    from infometis_platform_k0s_host.settings import Host
    from infometis_sdk.model.run import Run

__all__ = ("Upgrading",)

_NEW = f"{BINARY}.infometis-new"
_API = _NODE = 300.0


class Upgrading:
    """The steps of an upgrade; each may be repeated after a crash.

    Args:
        world: the hosts, after a look.
        making: brings binaries.
        leader: the controller that speaks for the cluster.

    """

    def __init__(self, world: World, making: Making, leader: str) -> None:
        self._world = world
        self._making = making
        self._leader = leader

    def check(self, version: str) -> None:
        """Refuse what Kubernetes does not survive.

        Raises:
            PlatformError: it is a downgrade, or skips a minor version.

        """
        for name, facts in self._world.facts.items():
            if facts.marker is None or not facts.marker.joined:
                continue
            if why := refused(facts.marker.version, version):
                msg = f"{name}: {why}"
                raise PlatformError(msg, hint="go up one minor version at a time, and never down")

    def wanted_version(self, known: str, run: Run) -> str:
        """Return the version of the wanted binary, which only the binary itself may know."""
        if known:
            return known
        self._making.upload(self._leader, run, _NEW)
        done = self._world.connections[self._leader].run([_NEW, "version"], run)
        if not done.ok:
            msg = f"{self._leader}: the binary does not run there: {done.tail(1)}"
            raise HostError(msg, host=self._leader)
        return done.stdout.split()[0]

    def plan(self, is_wanted: Callable[[str], bool]) -> Plan:
        """Return the stages; hosts that have the version already are left alone."""
        settings = self._world.settings
        todo = [
            host
            for host in settings.staying
            if not is_wanted(host.name) or self._world.marker(host.name).upgrading
        ]
        stages = [_stage("upgrade controller", [host]) for host in todo if host.controls]
        workers = [host for host in todo if not host.controls]
        total = len([host for host in settings.staying if not host.controls])
        size = max(1, total * settings.batch // 100)
        stages += [
            _stage("upgrade worker", workers[at : at + size]) for at in range(0, len(workers), size)
        ]
        return Plan(stages=stages, leader=self._leader, fresh=False)

    def of(self, kind: str) -> Callable[[str, Run], None]:
        """Return what does an action of this kind."""
        return {"upgrade controller": self.controller, "upgrade worker": self.worker}[kind]

    def controller(self, name: str, run: Run) -> None:
        """Restart a controller with the new binary; the others serve meanwhile."""
        self._making.upload(name, run, _NEW)
        since = self._swap(name, run)
        k0s = self._world.k0s(name)
        k0s.await_api(run, _API)
        if self._world.hosts[name].works:
            k0s.await_node(self._world.facts[name].node, run, _NODE, since=since)
        self._done(name, run)

    def worker(self, name: str, run: Run) -> None:
        """Empty a worker, restart it with the new binary, and let pods back."""
        leader, node = self._world.k0s(self._leader), self._world.facts[name].node
        self._making.upload(name, run, _NEW)
        # Kept before the node is closed: a second run after a crash opens it again.
        self._world.mark(name, self._world.marker(name).evolve(upgrading=True), run)
        drain(leader, node, run, self._world.settings.drain_seconds)
        leader.await_node(node, run, _NODE, since=self._swap(name, run))
        done = leader.kubectl(["uncordon", node], run)
        if not done.ok:
            msg = f"{name}: the node {node} stays closed: {done.tail(1)}"
            raise HostError(msg, host=name, hint=f"k0s kubectl uncordon {node}")
        self._done(name, run)

    def _swap(self, name: str, run: Run) -> float:
        """Start k0s with the new binary; return when."""
        k0s = self._world.k0s(name)
        k0s.stop(run)
        done = self._world.connections[name].run(["mv", "-f", _NEW, BINARY], run)
        if not done.ok:
            msg = f"{name}: the binary cannot be replaced: {done.tail(1)}"
            raise HostError(msg, host=name)
        return k0s.start(run)

    def _done(self, name: str, run: Run) -> None:
        self._making.note_binary(name, run)
        self._world.mark(name, self._world.marker(name).evolve(upgrading=False), run)


def _stage(kind: str, hosts: list[Host]) -> Stage:
    detail = {
        "upgrade controller": "restart it with the new version",
        "upgrade worker": "drain it and restart it with the new version",
    }[kind]
    actions = [Action(kind=kind, host=host.name, detail=detail) for host in hosts]
    return Stage(actions=actions, vital=True)
