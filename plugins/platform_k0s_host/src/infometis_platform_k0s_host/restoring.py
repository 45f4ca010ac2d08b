"""Bring a cluster back from a backup: one controller first, then the others join it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_platform_k0s_host.acting.keeping import Kept, put_back
from infometis_platform_k0s_host.acting.together import HostsError, together
from infometis_platform_k0s_host.hosts.checks import is_foreign
from infometis_platform_k0s_host.record import Record
from infometis_sdk.model.run import Event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infometis_platform_k0s_host.acting.world import World
    from infometis_platform_k0s_host.cluster import HostCluster
    from infometis_sdk.model.run import Run

__all__ = ("Restoring",)


class Restoring:
    """The steps of a restore; what is left to do after them is what ``ensure`` does anyway.

    Args:
        cluster: the cluster.
        world: its hosts, after a look.
        kept: what the archive is.

    """

    def __init__(self, cluster: HostCluster, world: World, kept: Kept) -> None:
        self._cluster = cluster
        self._world = world
        self._kept = kept

    def run(self, archive: Path, run: Run) -> None:
        """Stop all, give the first controller the archive, and empty the other controllers.

        Raises:
            HostsError: a host is somebody else's, or a step failed.

        """
        world, settings = self._world, self._cluster.settings
        leader = settings.leader.name
        self._refuse_foreign()
        names = tuple(host.name for host in settings.staying)
        self._everywhere(names, self._stop, run)
        others = [host.name for host in settings.controllers if host.name != leader]
        # Workers of a cluster that was made anew hold credentials of an authority that goes.
        others += [
            host.name
            for host in settings.staying
            if not host.controls and self._is_of_another(host.name)
        ]
        self._everywhere((leader, *others), self._empty, run)
        making = self._cluster.making(world, self._kept.uid, leader)
        if world.facts[leader].marker is None:
            making.claim(leader, run)
        if not self._cluster.binaries.is_on(world.facts[leader]):
            making.binary(leader, run)
        run.emit(Event(name="restore", subject=leader, state="started", detail=archive.name))
        put_back(world, leader, archive, self._kept, run)
        for name in names:
            marker = world.facts[name].marker
            if marker is not None:
                world.mark(name, marker.evolve(uid=self._kept.uid), run)
        making.resume(leader, run)
        run.emit(Event(name="restore", subject=leader, state="finished"))
        Record(uid=self._kept.uid, hosts=names).write(self._cluster.files)

    def _refuse_foreign(self) -> None:
        refused = {
            name: self._cluster.foreign(name, why)
            for name, facts in self._world.facts.items()
            if (why := is_foreign(facts, self._cluster.name))
        }
        if refused:
            raise HostsError(refused, of=len(self._world.hosts), hint="nothing was changed")

    def _is_of_another(self, name: str) -> bool:
        marker = self._world.facts[name].marker
        return marker is not None and marker.uid != self._kept.uid

    def _everywhere(
        self, names: tuple[str, ...], step: Callable[[str, Run], None], run: Run
    ) -> None:
        done = together(names, step, run)
        if done.failures:
            raise HostsError(done.failures, of=len(self._world.hosts))

    def _stop(self, name: str, run: Run) -> None:
        if self._world.facts[name].running or self._world.facts[name].units:
            self._world.k0s(name).stop(run)

    def _empty(self, name: str, run: Run) -> None:
        if self._world.facts[name].stamp:
            self._world.k0s(name).reset(run)
        self._world.look_at(name, run)
