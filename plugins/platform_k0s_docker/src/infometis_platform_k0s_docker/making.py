"""Makes a cluster what it shall be, from wherever an earlier try ended."""

from __future__ import annotations

import secrets
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from infometis_platform_k0s_docker.images import pin
from infometis_platform_k0s_docker.nodes import Nodes
from infometis_platform_k0s_docker.plan import Plan
from infometis_platform_k0s_docker.ready import ask_api
from infometis_platform_k0s_docker.shape import NodeShape, node_names, node_shape, ranges
from infometis_platform_k0s_docker.versions import K0sVersion
from infometis_sdk.errors import InfometisError, PlatformError
from infometis_sdk.machine import Machine
from infometis_sdk.model.run import Event, Run
from infometis_sdk.ports.platform import Access

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_platform_k0s_docker.engine import Engine
    from infometis_platform_k0s_docker.settings import K0sDocker

__all__ = ("Maker",)

_PATIENCE = 120.0  # seconds that looking at containers may take: a busy Docker is slow, not dead
_ANSWER = 2.0  # seconds that the API gets to show that all is well


class Maker:
    """What is done to one cluster, given Docker.

    Args:
        engine: Docker.
        settings: what the user set.
        folder: of this cluster.
        environ: the environment, for proxies.

    """

    def __init__(
        self, engine: Engine, settings: K0sDocker, folder: Path, environ: Mapping[str, str]
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.folder = folder
        self._environ = environ

    # ------------------------------------------------------------------ what shall be

    def fresh(self, cluster: str) -> Plan:
        """Return the plan of a cluster that is not there yet."""
        settings = self.settings
        return Plan(
            cluster=cluster,
            id=secrets.token_hex(8),
            version=settings.version,
            reference=settings.reference,
            single=settings.single,
            api_port=settings.api_port or _free_port(settings.listen),
            subnet=settings.network,
        )

    def shapes(self, plan: Plan) -> tuple[NodeShape, ...]:
        """Return what each node has to be; the first holds the control plane."""
        options = [str(each) for each in self.engine.info().get("SecurityOptions") or ()]
        files = {path: Path(path).expanduser().read_bytes() for path in self.settings.ca_files}
        return tuple(
            node_shape(
                self.settings,
                plan,
                number,
                environ=self._environ,
                authorities=files,
                apparmor=any("name=apparmor" in each for each in options),
            )
            for number in range(self.settings.nodes)
        )

    def digest(self, plan: Plan) -> str:
        """Return the digest that the user set for the plan's version; empty for none."""
        return self.settings.digest if plan.version == self.settings.version else ""

    def access(self, plan: Plan) -> Access:
        """Return how the cluster is reached."""
        return Access(kubeconfig=self.folder / "kubeconfig", context=plan.cluster)

    def nodes(self, plan: Plan, run: Run) -> Nodes:
        """Return the nodes of a cluster, to act on."""
        return Nodes(self.engine, plan, self.settings.listen, run)

    def check_unchanged(self, plan: Plan) -> None:
        """Refuse settings that an existing cluster cannot take on."""
        name, wanted = plan.cluster, self.settings
        if plan.single != wanted.single:
            was = "for one node for ever" if plan.single else "to have several nodes"
            msg = f"nodes: cluster {name!r} was made {was}, and its store cannot change"
            hint = "set it back, or destroy the cluster first; `growable: true` leaves room"
            raise PlatformError(msg, hint=hint)
        if K0sVersion.parse(plan.version) != K0sVersion.parse(wanted.version):
            msg = f"version: cluster {name!r} runs {plan.version}, not {wanted.version}"
            raise PlatformError(msg, hint="upgrade it, or set `version` back")
        if wanted.network and plan.subnet and wanted.network != plan.subnet:
            msg = f"network: cluster {name!r} was made in {plan.subnet}, not {wanted.network}"
            raise PlatformError(msg, hint="set it back, or destroy the cluster first")

    def settled(self, plan: Plan) -> Plan:
        """Return the plan with the port of the API server that it shall have from now on.

        The user's where one is set; the one that was drawn is kept unless somebody took it
        while the first node was down.
        """
        port, listen = self.settings.api_port, self.settings.listen
        if port or self.engine.machine or self.first_runs(plan) or _is_free(listen, plan.api_port):
            return attrs.evolve(plan, api_port=port or plan.api_port)
        return attrs.evolve(plan, api_port=_free_port(listen))

    # ------------------------------------------------------------------ what is

    def first_runs(self, plan: Plan) -> bool:
        """Whether the node runs that holds the ports of this machine."""
        found = self.nodes(plan, Run.within(_PATIENCE)).found()
        first, *_ = node_names(plan.cluster, 1)
        return first in found and found[first].running

    def is_ready(self, plan: Plan) -> bool:
        """Whether nothing is to do."""
        access = self.access(plan)
        if not plan.made or access.kubeconfig is None or not access.kubeconfig.exists():
            return False
        if any(self.steps(plan)):
            return False
        names = [shape.name for shape in self.shapes(plan)]
        try:
            since = self.nodes(plan, Run.within(_PATIENCE)).started(names)
            _, lacking = ask_api(access, since, Run.within(_ANSWER))
        except InfometisError:
            return False
        return not lacking

    def steps(self, plan: Plan | None) -> Iterator[str]:
        """Say what :meth:`make` would do to containers, changing nothing."""
        settings = self.settings
        if plan is None or not plan.image:
            yield f"find or pull {settings.reference}"
            yield f"make a network{f' of {settings.network}' if settings.network else ''}"
            for number in range(settings.nodes):
                alone = "; no other can ever join it without `growable: true`"
                which = f"node {number} with volumes of its own"
                yield f"make {which}, and start it{alone if settings.single else ''}"
            for each in settings.mappings:
                where = f"{settings.listen}:{each.host}"
                yield f"publish {where} as port {each.node}/{each.protocol} of the first node"
            yield f"write {self.folder / 'kubeconfig'}"
            return
        if not plan.subnet:
            yield "make a network"
            return
        found = self.nodes(plan, Run.within(_PATIENCE)).found()
        shapes = self.shapes(plan)
        for shape in shapes:
            there = found.get(shape.name)
            if there is None:
                yield f"make node {shape.name} and start it"
            elif (there.spec, there.image) != (shape.spec, plan.image):
                yield f"make node {shape.name} anew around its data: its settings changed"
            elif not there.running:
                yield f"start node {shape.name}"
        for name in sorted(found.keys() - {shape.name for shape in shapes}):
            yield f"remove node {name} with its volumes"

    # ------------------------------------------------------------------ doing it

    def make(self, plan: Plan, run: Run) -> Access:
        """Bring every part to what it shall be, and wait until all is ready."""
        began = time.monotonic()
        run.emit(Event(name="start cluster", subject=plan.cluster, state="started"))
        plan = pin(self.engine, plan, self.digest(plan), run).write(self.folder)
        plan = self.nodes(plan, run).network(ranges(self.settings)).write(self.folder)
        nodes = self.nodes(plan, run)
        first, *workers = self.shapes(plan)
        self._check_data(plan, first)
        nodes.make(first)
        nodes.start(first)
        access = self.access(plan)
        nodes.kubeconfig(first.name, self._server(plan), self.folder / "kubeconfig")
        nodes.wait(access, [first.name])
        for worker in workers:
            nodes.make(worker)
            nodes.join(worker, first.name, access)
            # one at a time: while one is made anew, the others run its pods
            nodes.wait(access, [first.name, worker.name])
        names = [first.name, *(each.name for each in workers)]
        for name in sorted(nodes.found().keys() - set(names)):
            nodes.leave(name, first.name)
        nodes.wait(access, names)
        attrs.evolve(plan, made=True).write(self.folder)
        seconds = f"{time.monotonic() - began:.0f} s"
        done = Event(name="start cluster", subject=plan.cluster, state="finished", detail=seconds)
        run.emit(done)
        return access

    def remove(self, plan: Plan, run: Run) -> None:
        """Remove what carries the ID of a cluster, and nothing else."""
        for each in self.engine.containers(cluster=plan.id):
            run.check(f"removing {each.name}")
            self.engine.remove(each.id)
        for name in self.engine.volumes(plan.id):
            self.engine.remove_volume(name)
        for network in self.engine.networks_of(plan.id):
            self.engine.remove_network(network)

    def _check_data(self, plan: Plan, first: NodeShape) -> None:
        """Refuse to start an empty cluster under the name of one whose data is gone."""
        there = self.engine.volumes(plan.id)
        lost = [name for name in first.volumes if name not in there and "-data" in name]
        if plan.made and lost:
            msg = f"the volume {lost[0]} with the data of cluster {plan.cluster!r} was removed"
            hint = "restore a backup of the cluster, or destroy it and make it anew, without data"
            raise PlatformError(msg, hint=hint)

    def _server(self, plan: Plan) -> str:
        listen = self.settings.listen
        everywhere = listen == "0.0.0.0"  # noqa: S104 - compared, not bound
        host = self.engine.machine or ("127.0.0.1" if everywhere else listen)
        return f"https://{host}:{plan.api_port}"


def _is_free(listen: str, port: int) -> bool:
    return all(each.level == "ok" for each in Machine().ports([port], listen))


def _free_port(listen: str) -> int:
    with socket.socket() as probe:
        try:
            probe.bind((listen, 0))
        except OSError:  # Docker may be on another machine
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
