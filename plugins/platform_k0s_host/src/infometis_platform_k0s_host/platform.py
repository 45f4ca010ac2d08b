"""The platform ``k0s-host``: one cluster of k0s on machines that are there already."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from infometis_platform_k0s_host.access import Answer, ask, own_kubeconfig, reachable
from infometis_platform_k0s_host.acting.binaries import Binaries
from infometis_platform_k0s_host.acting.lock import locked
from infometis_platform_k0s_host.acting.making import Making
from infometis_platform_k0s_host.acting.removing import clean, is_ours, remove
from infometis_platform_k0s_host.acting.runner import execute
from infometis_platform_k0s_host.acting.together import HostsError, together
from infometis_platform_k0s_host.acting.world import World
from infometis_platform_k0s_host.certificates import certificate_findings
from infometis_platform_k0s_host.connection import HostError
from infometis_platform_k0s_host.hosts.checks import check_binaries, check_cluster, check_hosts
from infometis_platform_k0s_host.planning.plan import Plan, make_plan
from infometis_platform_k0s_host.record import Files, Record
from infometis_platform_k0s_host.state import status_of
from infometis_sdk.errors import PlatformError
from infometis_sdk.machine import hold, private_folder, write_private
from infometis_sdk.model.run import Event, Run
from infometis_sdk.ports.platform import (
    Access,
    Finding,
    Platform,
    PlatformContext,
    PlatformStatus,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infometis_platform_k0s_host.acting.lock import Lock
    from infometis_platform_k0s_host.settings import K0sHost

__all__ = ("K0sHostPlatform",)

_GLANCE = 0.8  # seconds that a host has for an answer to `status`
_NODES = 300.0
_API = 10.0


class K0sHostPlatform(Platform):
    """Makes, reaches and removes one cluster; see :class:`Platform`."""

    def __init__(self, settings: K0sHost, context: PlatformContext) -> None:
        self._settings = settings
        self._context = context
        self._files = Files(root=context.state_dir)
        self._binaries = Binaries(settings, context.cache_dir)

    # ------------------------------------------------------------------ the port

    def ensure(self, run: Run) -> Access:
        """Make the cluster, or mend what is down; see :meth:`Platform.ensure`."""
        name = self._context.cluster
        run.check(f"making cluster {name!r}")
        with hold(self._files.lock, run, name):
            record = Record.read(self._files) or Record()
            world = World(self._settings, self._files.sockets)
            run.emit(Event(name="look at hosts", subject=name, state="started"))
            world.look(run)
            run.emit(Event(name="look at hosts", subject=name, state="finished"))
            failures = self._refusals(world)
            record = self._agree(world, record)
            failures |= self._converge(world, record, run, failures)
            access, answer = self._reach(world, run)
            self._await_nodes(world, answer, run, failures)
            Record(uid=record.uid, hosts=tuple(world.facts)).write(self._files)
        if failures:
            hint = "the other hosts are as they should be; run it again when these are mended"
            raise HostsError(failures, of=len(world.hosts), hint=hint)
        return access

    def status(self) -> PlatformStatus:
        """Say how the cluster is; see :meth:`Platform.status`."""
        record = Record.read(self._files)
        world = World(self._settings, self._files.sockets if record else None)
        run = Run.within(60)
        known = record is not None and self._files.kubeconfig.exists()
        with ThreadPoolExecutor(max_workers=1) as beside:
            asked = beside.submit(ask, self._access(), run, seconds=_GLANCE) if known else None
            world.look(run, patience=_GLANCE)
            answer = asked.result() if asked is not None else None
        return status_of(self._context.cluster, world, record, answer)

    def connect(self) -> Access:
        """Return the access to the cluster; see :meth:`Platform.connect`."""
        name = self._context.cluster
        record = Record.read(self._files)
        if record is None or not self._files.kubeconfig.exists():
            msg = f"there is no k0s-host cluster {name!r} that this machine knows"
            raise PlatformError(msg, hint="make it, or get to know it, with `infometis up`")
        if record.wanted == "stopped":
            msg = f"the k0s-host cluster {name!r} is stopped"
            raise PlatformError(msg, hint="start it with `infometis up`; its data is kept")
        return self._access()

    def destroy(self, run: Run) -> None:
        """Clean all hosts that carry our mark; see :meth:`Platform.destroy`."""
        name = self._context.cluster
        record = Record.read(self._files)
        if record is None and not self._marked_somewhere(run):
            return
        with hold(self._files.lock, run, name):
            world = World(self._settings, private_folder(self._files.sockets))
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
            shutil.rmtree(self._files.root)
        run.emit(Event(name="destroy cluster", subject=name, state="finished"))

    @property
    def capabilities(self) -> Mapping[str, str]:
        """What the cluster can do; see :attr:`Platform.capabilities`."""
        settings = self._settings
        workers = [host for host in settings.staying if host.works]

        def told(value: object) -> str:
            return "declared" if value else "absent"

        return {
            "default_storage_class": told(settings.storage_class),
            "encrypted_transport": told(settings.encrypted_transport),
            "host_ports": "declared",
            "load_balancer": "absent",
            "multi_node": told(len(workers) > 1),
            "network_policy_enforced": told(settings.network != "custom"),
            "pods_run": "declared",
            "volume_expansion": "absent",
        }

    # ------------------------------------------------------------------ abilities

    def preflight(self) -> tuple[Finding, ...]:
        """Say what speaks against each host, and which certificates end soon."""
        run = Run.within(60)
        world = World(self._settings, None)
        world.look(run, certificates=True)
        found = [
            Finding(check=f"{host}: ssh", level="error", detail=_rest(error), cure=error.hint)
            for host, error in world.failures.items()
        ]
        checks = check_hosts(self._settings, world.facts, self._context.cluster)
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
        run = Run.within(60)
        record = Record.read(self._files)
        world = World(self._settings, self._files.sockets if record else None)
        world.look(run)
        failures = self._refusals(world)
        self._agree(world, record or Record())
        lines = [str(action) for action in self._plan(world, failures).actions]
        return (*lines, *(f"{name}: left out: {_rest(each)}" for name, each in failures.items()))

    def stop(self, run: Run) -> None:
        """Stop k0s on all hosts, workers first; data stays."""
        name = self._context.cluster
        record = Record.read(self._files)
        if record is None:
            msg = f"there is no k0s-host cluster {name!r} to stop"
            raise PlatformError(msg, hint="make it with `infometis up`")
        with hold(self._files.lock, run, name):
            world = World(self._settings, self._files.sockets)
            world.look(run)
            Record(uid=record.uid, hosts=record.hosts, wanted="stopped").write(self._files)
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
        if Record.read(self._files) is None:
            msg = f"there is no k0s-host cluster {self._context.cluster!r} to start"
            raise PlatformError(msg, hint="make it with `infometis up`")
        return self.ensure(run)

    # ------------------------------------------------------------------ steps of ensure

    def _refusals(self, world: World) -> dict[str, PlatformError]:
        """Return why hosts cannot be used.

        Raises:
            HostsError: without these hosts nothing can be done.

        """
        failures: dict[str, PlatformError] = {
            name: error
            for name, error in world.failures.items()
            if not world.hosts[name].remove or not world.hosts[name].controls
        }
        checks = check_hosts(self._settings, world.facts, self._context.cluster)
        for name, findings in checks.items():
            errors = [each for each in findings if each.level == "error"]
            if errors:
                failures[name] = _refusal(name, errors)
        usable = {name: facts for name, facts in world.facts.items() if name not in failures}
        failures |= check_binaries(world.hosts, usable, self._binaries.is_on)
        vital = check_cluster(self._settings, usable, failures)
        if vital:
            raise HostsError(failures | vital, of=len(world.hosts), hint="nothing was changed")
        return failures

    def _agree(self, world: World, record: Record) -> Record:
        """Return the record with the identity that the hosts carry.

        Raises:
            PlatformError: they carry several, or not the one that we remember.

        """
        uids = {
            facts.marker.uid: name
            for name, facts in world.facts.items()
            if facts.marker is not None and is_ours(world, name, self._context.cluster)
        }
        known = record.uid if record.hosts else ""
        if len(uids) > 1 or (known and uids and known not in uids):
            hosts = ", ".join(sorted(uids.values()))
            msg = f"the cluster {self._context.cluster!r} on {hosts} is another one of that name"
            hint = "these hosts were made part of another cluster; destroy one of the two first"
            raise PlatformError(msg, hint=hint)
        uid = next(iter(uids), record.uid)
        return Record(uid=uid, hosts=record.hosts, wanted="running")

    def _plan(self, world: World, failures: Mapping[str, PlatformError]) -> Plan:
        usable = {name: facts for name, facts in world.facts.items() if name not in failures}
        return make_plan(
            self._settings,
            usable,
            self._binaries.is_on,
            version=self._binaries.version,
            images=self._binaries.images,
        )

    def _converge(
        self, world: World, record: Record, run: Run, failures: dict[str, PlatformError]
    ) -> dict[str, PlatformError]:
        """Do what is left to do; most often nothing."""
        if not self._plan(world, failures).stages:
            return {}
        usable = [name for name in world.facts if name not in failures]
        record.knowing(tuple(usable)).write(self._files)
        with locked({name: world.connections[name] for name in usable}, run) as lock:
            # Another operator may just have done it.
            world.look(run)
            failures |= self._refusals(world)
            self._agree(world, record)
            plan = self._plan(world, failures)
            return self._execute(plan, world, record.uid, lock, run)

    def _execute(
        self, plan: Plan, world: World, uid: str, lock: Lock, run: Run
    ) -> dict[str, PlatformError]:
        making = Making(
            world,
            cluster=self._context.cluster,
            uid=uid,
            leader=plan.leader,
            binaries=self._binaries,
            images=self._binaries.images,
        )

        def act(kind: str) -> Callable[[str, Run], None]:
            if kind == "remove":
                return lambda name, within: remove(world, name, plan.leader, within)
            return making.of(kind)

        return execute(plan, world, lock, act, run)

    # ------------------------------------------------------------------ reaching it

    def _access(self) -> Access:
        return Access(kubeconfig=self._files.kubeconfig, context=self._context.cluster)

    def _reach(self, world: World, run: Run) -> tuple[Access, Answer]:
        """Return the access, with a kubeconfig that the API takes, and what the API says."""
        if self._files.kubeconfig.exists():
            answer = ask(self._access(), run, seconds=_API)
            if answer.ready:
                return self._access(), answer
        leader = self._leader(world)
        text = world.k0s(leader).admin_kubeconfig(run)
        server = reachable(self._settings, world.facts, leader)
        name = self._context.cluster
        write_private(self._files.kubeconfig, own_kubeconfig(text, server=server, name=name))
        answer = ask(self._access(), run, seconds=60)
        if not answer.ready:
            msg = f"the API at {server} does not serve this machine: {answer.why}"
            raise PlatformError(msg, hint="look at the network between this machine and the hosts")
        return self._access(), answer

    def _leader(self, world: World) -> str:
        for host in self._settings.controllers:
            facts = world.facts.get(host.name)
            if facts is not None and facts.marker is not None and facts.marker.joined:
                return host.name
        return self._settings.leader.name

    def _await_nodes(
        self, world: World, answer: Answer, run: Run, failures: Mapping[str, PlatformError]
    ) -> None:
        """Wait until the nodes of all hosts that are well are ready.

        Raises:
            HostsError: some are not.

        """
        wanted = {
            world.facts[host.name].node: host.name
            for host in self._settings.staying
            if host.works and host.name in world.facts and host.name not in failures
        }
        missing = [node for node in wanted if not answer.nodes.get(node)]
        if not missing:
            return
        leader = world.k0s(self._leader(world))
        names = tuple(wanted[node] for node in missing)
        nodes = {name: node for node, name in wanted.items()}
        done = together(
            names, lambda name, within: leader.await_node(nodes[name], within, _NODES), run
        )
        if done.failures:
            raise HostsError(done.failures, of=len(world.hosts))

    # ------------------------------------------------------------------ helpers

    def _marked_somewhere(self, run: Run) -> bool:
        """Whether a host carries our mark though this machine remembers nothing."""
        world = World(self._settings, None)
        world.look(run)
        return any(is_ours(world, name, self._context.cluster) for name in world.facts)

    def _backwards(self, names: list[str], world: World) -> tuple[tuple[str, ...], ...]:
        """Return workers, then controllers."""
        workers = tuple(name for name in names if not world.hosts[name].controls)
        controllers = tuple(name for name in names if world.hosts[name].controls)
        return (workers, controllers)


def _rest(error: PlatformError) -> str:
    """Return the first line of a host's error without its name."""
    line = error.message.splitlines()[0]
    return line.partition(": ")[2] if isinstance(error, HostError) else line


def _refusal(name: str, errors: list[Finding]) -> HostError:
    words = "; ".join(each.detail for each in errors)
    cures = "; ".join(dict.fromkeys(each.cure for each in errors if each.cure))
    return HostError(f"{name}: {words}", host=name, hint=cures)
