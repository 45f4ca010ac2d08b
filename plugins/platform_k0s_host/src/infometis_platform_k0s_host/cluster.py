"""One cluster of hosts: what is in its way, what is left to do, and the way to its API."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from infometis_platform_k0s_host.access import Answer, ask, own_kubeconfig, reachable
from infometis_platform_k0s_host.acting.binaries import Binaries
from infometis_platform_k0s_host.acting.lock import locked
from infometis_platform_k0s_host.acting.making import Making
from infometis_platform_k0s_host.acting.removing import is_ours, remove
from infometis_platform_k0s_host.acting.runner import execute
from infometis_platform_k0s_host.acting.together import HostsError, together
from infometis_platform_k0s_host.connection import HostError
from infometis_platform_k0s_host.hosts.checks import check_binaries, check_cluster, check_hosts
from infometis_platform_k0s_host.planning.plan import Plan, make_plan
from infometis_platform_k0s_host.record import Files, Record
from infometis_sdk.errors import PlatformError
from infometis_sdk.machine import write_private
from infometis_sdk.model.run import Event
from infometis_sdk.ports.platform import Access, Finding, PlatformContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infometis_platform_k0s_host.acting.lock import Lock
    from infometis_platform_k0s_host.acting.world import World
    from infometis_platform_k0s_host.settings import K0sHost
    from infometis_sdk.model.run import Run

__all__ = ("HostCluster",)

_NODES = 300.0  # seconds
_API = 20.0  # for one answer of the API
_SERVES = 120.0  # until it says that it is ready
_PAUSE = 0.5


class HostCluster:
    """The cluster of these settings; its methods are steps of the platform's verbs.

    Attributes:
        settings: of the cluster.
        name: of the cluster.
        files: what this machine keeps of it.
        binaries: where its k0s comes from.

    """

    def __init__(self, settings: K0sHost, context: PlatformContext) -> None:
        self.settings = settings
        self.name = context.cluster
        self.files = Files(root=context.state_dir)
        self.binaries = Binaries(settings, context.cache_dir)

    # ------------------------------------------------------------------ converging

    def ensure(self, world: World, run: Run) -> Access:
        """Make the cluster, or mend what is down, under the lock of this machine.

        Raises:
            HostsError: some hosts failed; all others are as they should be.

        """
        record = Record.read(self.files) or Record()
        run.emit(Event(name="look at hosts", subject=self.name, state="started"))
        world.look(run)
        run.emit(Event(name="look at hosts", subject=self.name, state="finished"))
        failures = self.refusals(world)
        record = self.agree(world, record)
        failures |= self.converge(world, record, run, failures)
        access, answer = self.reach(world, run)
        self.await_nodes(world, answer, run, failures)
        marked = [
            name
            for name in world.hosts
            if (name in world.failures and name in record.hosts)
            or (name in world.facts and world.facts[name].marker is not None)
        ]
        Record(uid=record.uid, hosts=tuple(marked)).write(self.files)
        if failures:
            hint = "the other hosts are as they should be; run it again when these are mended"
            raise HostsError(failures, of=len(world.hosts), hint=hint)
        return access

    def refusals(self, world: World) -> dict[str, PlatformError]:
        """Return why hosts cannot be used.

        Raises:
            HostsError: without these hosts nothing can be done.

        """
        failures: dict[str, PlatformError] = {
            name: _lost(error) if world.hosts[name].remove else error
            for name, error in world.failures.items()
        }
        checks = check_hosts(self.settings, world.facts, self.name)
        for name, findings in checks.items():
            errors = [each for each in findings if each.level == "error"]
            if errors:
                failures[name] = _refusal(name, errors)
        usable = {name: facts for name, facts in world.facts.items() if name not in failures}
        failures |= check_binaries(world.hosts, usable, self.binaries.is_on)
        vital = check_cluster(self.settings, usable, failures)
        if vital:
            raise HostsError(failures | vital, of=len(world.hosts), hint="nothing was changed")
        return failures

    def foreign(self, name: str, why: str) -> HostError:
        """Return the error of a host that is somebody else's."""
        return HostError(f"{name}: {why}", host=name, hint="take another host, or clean that one")

    def agree(self, world: World, record: Record) -> Record:
        """Return the record with the identity that the hosts carry.

        Raises:
            PlatformError: they carry several, or not the one that we remember.

        """
        uids = {
            facts.marker.uid: name
            for name, facts in world.facts.items()
            if facts.marker is not None and is_ours(world, name, self.name)
        }
        known = record.uid if record.hosts else ""
        if len(uids) > 1 or (known and uids and known not in uids):
            hosts = ", ".join(sorted(uids.values()))
            msg = f"the cluster {self.name!r} on {hosts} is another one of that name"
            hint = f"if it was rebuilt from elsewhere, delete {self.files.root} and run this again"
            if len(uids) > 1:
                hint = "take the hosts of one of the two clusters out of `hosts`"
            raise PlatformError(msg, hint=hint)
        uid = next(iter(uids), record.uid)
        return Record(uid=uid, hosts=record.hosts, wanted="running")

    def plan(self, world: World, failures: Mapping[str, PlatformError]) -> Plan:
        """Find what is left to do on the hosts that can be used."""
        usable = {name: facts for name, facts in world.facts.items() if name not in failures}
        return make_plan(
            self.settings,
            usable,
            self.binaries.is_on,
            version=self.binaries.version,
            images=self.binaries.images,
        )

    def converge(
        self, world: World, record: Record, run: Run, failures: dict[str, PlatformError]
    ) -> dict[str, PlatformError]:
        """Do what is left to do; most often nothing."""
        if not self.plan(world, failures).stages:
            return {}
        usable = [name for name in world.facts if name not in failures]
        record.knowing(tuple(usable)).write(self.files)
        with locked({name: world.connections[name] for name in usable}, run) as lock:
            # Another operator may just have done it.
            world.look(run)
            failures |= self.refusals(world)
            self.agree(world, record)
            plan = self.plan(world, failures)
            return self.execute(plan, world, record.uid, lock, run)

    def making(self, world: World, uid: str, leader: str) -> Making:
        """Return the actions."""
        return Making(
            world,
            cluster=self.name,
            uid=uid,
            leader=leader,
            binaries=self.binaries,
            images=self.binaries.images,
        )

    def execute(
        self, plan: Plan, world: World, uid: str, lock: Lock, run: Run
    ) -> dict[str, PlatformError]:
        """Do it, and return the error of each host that failed."""
        making = self.making(world, uid, plan.leader)

        def act(kind: str) -> Callable[[str, Run], None]:
            if kind == "remove":
                return lambda name, within: remove(world, name, plan.leader, within)
            return making.of(kind)

        return execute(plan, world, lock, act, run)

    # ------------------------------------------------------------------ reaching it

    def access(self) -> Access:
        """Return the access, whether or not it works at the moment."""
        return Access(kubeconfig=self.files.kubeconfig, context=self.name)

    def reach(self, world: World, run: Run) -> tuple[Access, Answer]:
        """Return the access, with a kubeconfig that the API takes, and what the API says."""
        if self.files.kubeconfig.exists():
            answer = ask(self.access(), run, seconds=_API)
            if answer.ready:
                return self.access(), answer
        leader = self.leader(world)
        text = world.k0s(leader).admin_kubeconfig(run)
        server = reachable(self.settings, world.facts, leader)
        name = self.name
        write_private(self.files.kubeconfig, own_kubeconfig(text, server=server, name=name))
        end = time.monotonic() + _SERVES
        # Where an API refuses us another cluster answers; a busy one only needs time.
        while not (answer := ask(self.access(), run, seconds=_API)).ready:
            if answer.refused or time.monotonic() > end:
                break
            run.sleep(_PAUSE, f"waiting for the API at {server}: {answer.why}")
        if not answer.ready:
            msg = f"the API at {server} does not serve this machine: {answer.why}"
            raise PlatformError(msg, hint="look at the network between this machine and the hosts")
        return self.access(), answer

    def leader(self, world: World) -> str:
        """Return the first controller that answers and has joined."""
        for host in self.settings.controllers:
            facts = world.facts.get(host.name)
            if facts is not None and facts.marker is not None and facts.marker.joined:
                return host.name
        return self.settings.leader.name

    def await_nodes(
        self, world: World, answer: Answer, run: Run, failures: Mapping[str, PlatformError]
    ) -> None:
        """Wait until the nodes of all hosts that are well are ready.

        Raises:
            HostsError: some are not.

        """
        wanted = {
            world.facts[host.name].node: host.name
            for host in self.settings.staying
            if host.works and host.name in world.facts and host.name not in failures
        }
        missing = [node for node in wanted if not answer.nodes.get(node)]
        if not missing:
            return
        leader = world.k0s(self.leader(world))
        names = tuple(wanted[node] for node in missing)
        nodes = {name: node for node, name in wanted.items()}
        done = together(
            names, lambda name, within: leader.await_node(nodes[name], within, _NODES), run
        )
        if done.failures:
            raise HostsError(done.failures, of=len(world.hosts))


def _refusal(name: str, errors: list[Finding]) -> HostError:
    words = "; ".join(each.detail for each in errors)
    cures = "; ".join(dict.fromkeys(each.cure for each in errors if each.cure))
    return HostError(f"{name}: {words}", host=name, hint=cures)


def _lost(error: HostError) -> HostError:
    """Return the error of a host that is to go and cannot be asked to clean itself."""
    hint = (
        f"{error.hint}; if it is gone for ever, delete it from `hosts`, and on a controller run "
        "`k0s kubectl delete node NAME`, for a controller `k0s etcd leave --peer-address IP` too"
    )
    return HostError(error.message, host=error.host, hint=hint)
