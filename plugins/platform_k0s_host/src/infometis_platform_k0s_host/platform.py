"""The platform ``k0s-host``: one cluster of k0s on machines that are there already."""

from __future__ import annotations

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infometis_platform_k0s_host.access import Answer, ask
from infometis_platform_k0s_host.acting.keeping import keep, look_into
from infometis_platform_k0s_host.acting.loading import load, saved
from infometis_platform_k0s_host.acting.lock import locked
from infometis_platform_k0s_host.acting.removing import clean, is_ours
from infometis_platform_k0s_host.acting.runner import execute
from infometis_platform_k0s_host.acting.together import HostsError, together
from infometis_platform_k0s_host.acting.upgrading import Upgrading
from infometis_platform_k0s_host.acting.world import World
from infometis_platform_k0s_host.certificates import certificate_findings
from infometis_platform_k0s_host.cluster import HostCluster
from infometis_platform_k0s_host.connection import HostError
from infometis_platform_k0s_host.hosts.checks import check_hosts
from infometis_platform_k0s_host.record import Record
from infometis_platform_k0s_host.restoring import Restoring
from infometis_platform_k0s_host.state import status_of
from infometis_platform_k0s_host.storage import storage
from infometis_sdk.errors import PlatformError
from infometis_sdk.machine import hold, private_folder
from infometis_sdk.model.run import Event, Run
from infometis_sdk.ports.platform import (
    Access,
    Finding,
    Platform,
    PlatformContext,
    PlatformStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from infometis_platform_k0s_host.settings import K0sHost

__all__ = ("K0sHostPlatform",)

_GLANCE = 0.8  # seconds in which hosts and API answer `status`, if all is well
_LOOK = 6.0
_CHECKS = 300.0  # seconds in which all hosts have told how they are, eight at a time


class K0sHostPlatform(Platform):
    """Makes, reaches and removes one cluster; see :class:`Platform`."""

    def __init__(self, settings: K0sHost, context: PlatformContext) -> None:
        self._cluster = HostCluster(settings, context)

    # ------------------------------------------------------------------ the port

    def ensure(self, run: Run) -> Access:
        """Make the cluster, or mend what is down; see :meth:`Platform.ensure`."""
        name = self._cluster.name
        run.check(f"making cluster {name!r}")
        with hold(self._cluster.files.lock, run, name):
            world = World(self._cluster.settings, self._cluster.files.sockets)
            return self._cluster.ensure(world, run)

    def status(self) -> PlatformStatus:
        """Say how the cluster is; see :meth:`Platform.status`."""
        record = Record.read(self._cluster.files)
        world = World(self._cluster.settings, self._cluster.files.sockets if record else None)
        run = Run.within(60)
        answer = self._glance(world, run, _GLANCE)
        if not (answer is not None and answer.ready) and (world.failures or answer is not None):
            # Without the API all depends on the hosts; a busy one needs more than a glance.
            answer = self._glance(world, run, _LOOK)
        return status_of(self._cluster.name, world, record, answer)

    def _glance(self, world: World, run: Run, seconds: float) -> Answer | None:
        """Ask hosts and API at once; the API only where there is a way to it."""
        known = self._cluster.files.kubeconfig.exists()
        with ThreadPoolExecutor(max_workers=1) as beside:
            access = self._cluster.access()
            asked = beside.submit(ask, access, run, seconds=seconds) if known else None
            world.look(run, patience=seconds)
            return asked.result() if asked is not None else None

    def connect(self) -> Access:
        """Return the access to the cluster; see :meth:`Platform.connect`."""
        name = self._cluster.name
        record = Record.read(self._cluster.files)
        if record is None or not self._cluster.files.kubeconfig.exists():
            msg = f"there is no k0s-host cluster {name!r} that this machine knows"
            raise PlatformError(msg, hint="make it, or get to know it, with `infometis up`")
        if record.wanted == "stopped":
            msg = f"the k0s-host cluster {name!r} is stopped"
            raise PlatformError(msg, hint="start it with `infometis up`; its data is kept")
        return self._cluster.access()

    def destroy(self, run: Run) -> None:
        """Clean all hosts that carry our mark; see :meth:`Platform.destroy`."""
        name = self._cluster.name
        record = Record.read(self._cluster.files)
        if record is None and not self._marked_somewhere(run):
            return
        with hold(self._cluster.files.lock, run, name):
            world = World(self._cluster.settings, private_folder(self._cluster.files.sockets))
            world.look(run)
            run.emit(Event(name="destroy cluster", subject=name, state="started"))
            known = set(record.hosts) if record else set()
            # A host that never carried our mark owes us nothing, be it dead or not.
            failures: dict[str, PlatformError] = {
                host: error for host, error in world.failures.items() if host in known
            }
            ours = [host for host in world.facts if is_ours(world, host, name)]
            with locked({host: world.connections[host] for host in ours}, run):
                for group in self._backwards(ours, world):
                    done = together(group, lambda host, within: clean(world, host, within), run)
                    failures |= done.failures
            world.close()
            if failures:
                hint = "what is clean stays clean; run it again once these hosts answer"
                raise HostsError(failures, of=len(world.hosts), hint=hint)
            shutil.rmtree(self._cluster.files.root)
        run.emit(Event(name="destroy cluster", subject=name, state="finished"))

    @property
    def owned(self) -> bool:
        """The cluster is ours; see :attr:`Platform.owned`."""
        return True

    @property
    def capabilities(self) -> Mapping[str, str]:
        """What the cluster can do; see :attr:`Platform.capabilities`."""
        settings = self._cluster.settings
        workers = [host for host in settings.staying if host.works]

        def told(value: object) -> str:
            return "declared" if value else "absent"

        return {
            "default_storage_class": told(settings.storage_class),
            "encrypted_transport": told(settings.encrypted_transport),
            "host_ports": "declared",
            "load_balancer": "absent",
            "metrics": told(settings.metrics),
            "multi_node": told(len(workers) > 1),
            "network_policy_enforced": told(settings.network != "custom"),
            "pods_run": "declared",
            "volume_expansion": "absent",
        }

    # ------------------------------------------------------------------ abilities

    def preflight(self) -> tuple[Finding, ...]:
        """Say what speaks against each host, and which certificates end soon."""
        run = Run.within(_CHECKS)
        world = World(self._cluster.settings, None)
        world.look(run, certificates=True)
        found = [
            Finding(check=f"{host}: ssh", level="error", detail=_rest(error), cure=error.hint)
            for host, error in world.failures.items()
        ]
        checks = check_hosts(self._cluster.settings, world.facts, self._cluster.name)
        for host, findings in checks.items():
            for each in (*findings, *certificate_findings(world.facts[host])):
                check = f"{host}: {each.check}"
                found.append(
                    Finding(check=check, level=each.level, detail=each.detail, cure=each.cure)
                )
        if not found:
            detail = f"{len(world.hosts)} hosts answer and will do"
            found.append(Finding(check="hosts", level="ok", detail=detail))
        return tuple(found)

    def steps(self) -> tuple[str, ...]:
        """Return what ``ensure`` would do, one line a step; see :class:`DryRun`."""
        run = Run.within(_CHECKS)
        record = Record.read(self._cluster.files)
        world = World(self._cluster.settings, self._cluster.files.sockets if record else None)
        world.look(run)
        failures = self._cluster.refusals(world)
        self._cluster.agree(world, record or Record())
        lines = [str(action) for action in self._cluster.plan(world, failures).actions]
        return (*lines, *(f"{name}: left out: {_rest(each)}" for name, each in failures.items()))

    def stop(self, run: Run) -> None:
        """Stop k0s on all hosts, workers first; data stays."""
        name = self._cluster.name
        record = Record.read(self._cluster.files)
        if record is None:
            msg = f"there is no k0s-host cluster {name!r} to stop"
            raise PlatformError(msg, hint="make it with `infometis up`")
        with hold(self._cluster.files.lock, run, name):
            world = World(self._cluster.settings, self._cluster.files.sockets)
            world.look(run)
            Record(uid=record.uid, hosts=record.hosts, wanted="stopped").write(self._cluster.files)
            run.emit(Event(name="stop cluster", subject=name, state="started"))
            failures: dict[str, PlatformError] = dict(world.failures)
            ours = [
                host
                for host in world.facts
                if is_ours(world, host, name) and world.facts[host].running
            ]
            with locked({host: world.connections[host] for host in ours}, run):
                for group in self._backwards(ours, world):
                    done = together(group, lambda host, within: world.k0s(host).stop(within), run)
                    failures |= done.failures
            if failures:
                raise HostsError(failures, of=len(world.hosts))
            run.emit(Event(name="stop cluster", subject=name, state="finished"))

    def start(self, run: Run) -> Access:
        """Go on after :meth:`stop`."""
        if Record.read(self._cluster.files) is None:
            msg = f"there is no k0s-host cluster {self._cluster.name!r} to start"
            raise PlatformError(msg, hint="make it with `infometis up`")
        return self.ensure(run)

    def add_ons(self) -> tuple[Mapping[str, Any], ...]:
        """Return the provisioner of volumes; k0s brings all else, metrics too."""
        return storage(self._cluster.settings)

    def load_images(self, images: Sequence[str | Path], run: Run) -> None:
        """Put images on every host that runs pods; see :class:`LoadImages`."""
        with self._working(run) as world, tempfile.TemporaryDirectory() as folder:
            archives = saved(images, Path(folder), run)
            names = tuple(host.name for host in world.settings.staying if host.works)

            def bring(name: str, within: Run) -> None:
                for archive in archives:
                    load(world, name, archive, within)
                    event = Event(name="load images", subject=name, detail=archive.name)
                    within.emit(event)

            done = together(names, bring, run)
            if done.failures:
                raise HostsError(done.failures, of=len(names))

    def upgrade(self, run: Run) -> Access:
        """Go to the version of the settings, after a backup; see :class:`Upgrade`."""
        cluster = self._cluster
        with self._working(run) as world:
            leader = cluster.leader(world)
            making = cluster.making(world, world.marker(leader).uid, leader)
            upgrading = Upgrading(world, making, leader)

            def is_wanted(name: str) -> bool:
                return cluster.binaries.is_on(world.facts[name])

            plan = upgrading.plan(is_wanted)
            if plan.stages:
                upgrading.check(upgrading.wanted_version(cluster.binaries.version, run))
                path = keep(world, leader, private_folder(cluster.files.backups), run)
                run.emit(Event(name="backup", subject=cluster.name, detail=str(path)))
                with locked(dict(world.connections), run) as lock:
                    failures = execute(plan, world, lock, upgrading.of, run)
                if failures:
                    raise HostsError(failures, of=len(world.hosts))
            return cluster.ensure(world, run)

    def backup_cluster(self, folder: Path, run: Run) -> Path:
        """Write the state of the control plane; volumes of pods are not in it."""
        with self._working(run) as world:
            return keep(world, self._cluster.leader(world), folder, run)

    def restore_cluster(self, archive: Path, run: Run) -> Access:
        """Bring the control plane back as it was; see :class:`ClusterBackup`."""
        kept = look_into(archive, self._cluster.name)
        with self._working(run, strict=False) as world:
            with locked(dict(world.connections), run):
                Restoring(self._cluster, world, kept).run(archive, run)
            return self._cluster.ensure(world, run)

    @contextmanager
    def _working(self, run: Run, *, strict: bool = True) -> Iterator[World]:
        """Give the hosts of a cluster that is there, all of which answer.

        Raises:
            HostsError: some do not, or cannot be used.

        """
        cluster = self._cluster
        with hold(cluster.files.lock, run, cluster.name):
            record = Record.read(cluster.files)
            if record is None and strict:
                msg = f"there is no k0s-host cluster {cluster.name!r} that this machine knows"
                raise PlatformError(msg, hint="make it, or get to know it, with `infometis up`")
            world = World(cluster.settings, cluster.files.sockets)
            world.look(run)
            failures = cluster.refusals(world) if strict else dict(world.failures)
            if failures:
                raise HostsError(failures, of=len(world.hosts), hint="nothing was changed")
            cluster.agree(world, record or Record())
            yield world

    # ------------------------------------------------------------------ helpers

    def _marked_somewhere(self, run: Run) -> bool:
        """Whether a host carries our mark though this machine remembers nothing."""
        world = World(self._cluster.settings, None)
        world.look(run)
        return any(is_ours(world, name, self._cluster.name) for name in world.facts)

    def _backwards(self, names: list[str], world: World) -> tuple[tuple[str, ...], ...]:
        """Return workers, then controllers."""
        workers = tuple(name for name in names if not world.hosts[name].controls)
        controllers = tuple(name for name in names if world.hosts[name].controls)
        return (workers, controllers)


def _rest(error: PlatformError) -> str:
    """Return the first line of a host's error without its name."""
    line = error.message.splitlines()[0]
    return line.partition(": ")[2] if isinstance(error, HostError) else line
