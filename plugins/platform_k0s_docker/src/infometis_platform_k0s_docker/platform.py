"""The platform ``k0s-docker``: nodes of k0s as containers of Docker."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from infometis_platform_k0s_docker.engine import open_engine
from infometis_platform_k0s_docker.images import pin
from infometis_platform_k0s_docker.nodes import Nodes
from infometis_platform_k0s_docker.plan import Plan
from infometis_platform_k0s_docker.preflight import check_docker, check_machine, check_settings
from infometis_platform_k0s_docker.ready import ask_api
from infometis_platform_k0s_docker.shape import NodeShape, node_shape, ranges
from infometis_platform_k0s_docker.storage import storage
from infometis_platform_k0s_docker.versions import K0sVersion
from infometis_sdk.errors import InfometisError, PlatformError
from infometis_sdk.machine import Machine, hold, private_folder
from infometis_sdk.model.run import Event, Run
from infometis_sdk.ports.platform import (
    Access,
    Finding,
    Platform,
    PlatformContext,
    PlatformStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_platform_k0s_docker.engine import Engine, Found
    from infometis_platform_k0s_docker.settings import K0sDocker

__all__ = ("K0sDockerPlatform",)

_LOOK = 0.8  # seconds that a look at the cluster may take
_CHECKS = 20.0  # seconds that a preflight may take


class K0sDockerPlatform(Platform):
    """Makes, reaches and removes one cluster; see :class:`Platform`.

    Args:
        settings: what the user set.
        context: name of the cluster and our folders.
        machine: whose kernel is checked.
        environ: the environment, for proxies.

    """

    def __init__(
        self,
        settings: K0sDocker,
        context: PlatformContext,
        machine: Machine = Machine(),  # noqa: B008 - frozen
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._settings = settings
        self._context = context
        self._machine = machine
        self._environ = environ
        self._folder = context.state_dir
        self._kubeconfig = context.state_dir / "kubeconfig"

    # ------------------------------------------------------------------ the port

    def ensure(self, run: Run) -> Access:
        """Make the cluster, or start what is down; see :meth:`Platform.ensure`."""
        run.check(f"making cluster {self._context.cluster!r}")
        with self._working(run) as engine:
            plan = Plan.read(self._folder)
            if plan is not None:
                self._check_unchanged(plan)
                if plan.made and self._is_ready(engine, plan):
                    return self._access()
            else:
                self._check_machine(engine)
                plan = self._fresh().write(private_folder(self._folder))
            return self._make(engine, plan, run)

    def status(self) -> PlatformStatus:
        """Say how the cluster is; see :meth:`Platform.status`."""
        try:
            plan = Plan.read(self._folder)
            if plan is None:
                return PlatformStatus(phase="absent", detail="no cluster was made")
            with open_engine(self._settings.host, timeout=_LOOK) as engine:
                found = Nodes(engine, plan, self._settings.listen, Run.within(_LOOK)).found()
        except InfometisError as error:
            return PlatformStatus(phase="failed", detail=error.message.splitlines()[0])
        version = K0sVersion.parse(plan.version).kubernetes
        return self._judge(plan, found, version)

    def connect(self) -> Access:
        """Return the access to the cluster; see :meth:`Platform.connect`."""
        name = self._context.cluster
        if Plan.read(self._folder) is None or not self._kubeconfig.exists():
            msg = f"there is no k0s-docker cluster {name!r}"
            raise PlatformError(msg, hint="make it with `infometis up`")
        return self._access()

    def destroy(self, run: Run) -> None:
        """Remove the cluster and every trace of it; see :meth:`Platform.destroy`."""
        if not self._folder.exists():
            return
        with hold(self._folder / "lock", run, self._context.cluster):
            plan = Plan.read(self._folder)
            if plan is not None:
                name = self._context.cluster
                run.emit(Event(name="destroy cluster", subject=name, state="started"))
                with open_engine(self._settings.host) as engine:
                    remove_all(engine, plan, run)
                run.emit(Event(name="destroy cluster", subject=name, state="finished"))
            shutil.rmtree(self._folder)

    @property
    def owned(self) -> bool:
        """The cluster is ours; see :attr:`Platform.owned`."""
        return True

    @property
    def capabilities(self) -> Mapping[str, str]:
        """What the cluster can do; see :attr:`Platform.capabilities`."""
        return {
            "default_storage_class": "declared" if self._settings.storage else "absent",
            "encrypted_transport": "absent",
            "host_ports": "declared" if self._settings.ports else "absent",
            "load_balancer": "absent",
            "multi_node": "declared" if self._settings.nodes > 1 else "absent",
            "network_policy_enforced": "declared",
            "pods_run": "declared",
            "volume_expansion": "absent",
        }

    # ------------------------------------------------------------------ abilities

    def preflight(self) -> tuple[Finding, ...]:
        """Look at this machine; see :class:`Preflight`."""
        try:
            with open_engine(self._settings.host, timeout=_CHECKS) as engine:
                return tuple(self._checks(engine))
        except PlatformError as error:
            return (Finding(check="docker", level="error", detail=error.message, cure=error.hint),)

    def stop(self, run: Run) -> None:
        """Pause the cluster; its data stays."""
        with self._working(run) as engine:
            plan = self._existing("stop")
            run.emit(Event(name="stop cluster", subject=plan.cluster, state="started"))
            found = Nodes(engine, plan, self._settings.listen, run).found()
            # workers first: a node that ends tells the API so
            for each in sorted(found.values(), key=lambda each: each.name, reverse=True):
                run.check(f"stopping {each.name}")
                engine.stop(each.id)
            run.emit(Event(name="stop cluster", subject=plan.cluster, state="finished"))

    def start(self, run: Run) -> Access:
        """Go on after :meth:`stop`."""
        self._existing("start")
        return self.ensure(run)

    def add_ons(self) -> tuple[Mapping[str, Any], ...]:
        """Return the provisioner of volumes, which k0s lacks; see :class:`AddOns`."""
        return storage(self._settings) if self._settings.storage else ()

    def host_ports(self) -> Mapping[int, int]:
        """Return TCP ports of this machine to ports of the first node; see :class:`HostPorts`."""
        return {each.host: each.node for each in self._settings.mappings if each.protocol == "tcp"}

    # ------------------------------------------------------------------ what is there

    @contextmanager
    def _working(self, run: Run) -> Iterator[Engine]:
        """Hold the lock of this cluster and a connection to Docker."""
        fresh = not self._folder.exists()
        try:
            with (
                hold(self._folder / "lock", run, self._context.cluster),
                open_engine(self._settings.host) as engine,
            ):
                yield engine
        except PlatformError:
            if fresh and Plan.read(self._folder) is None:
                shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def _access(self) -> Access:
        return Access(kubeconfig=self._kubeconfig, context=self._context.cluster)

    def _existing(self, verb: str) -> Plan:
        plan = Plan.read(self._folder)
        if plan is None:
            msg = f"there is no k0s-docker cluster {self._context.cluster!r} to {verb}"
            raise PlatformError(msg, hint="make it with `infometis up`")
        return plan

    def _check_unchanged(self, plan: Plan) -> None:
        """Refuse settings that an existing cluster cannot take on."""
        name, wanted = plan.cluster, self._settings
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

    def _is_ready(self, engine: Engine, plan: Plan) -> bool:
        """Whether nothing is to do."""
        if not self._kubeconfig.exists():
            return False
        shapes = self._shapes(engine, plan)
        nodes = Nodes(engine, plan, self._settings.listen, Run.within(_CHECKS))
        found = nodes.found()
        if found.keys() != {each.name for each in shapes}:
            return False
        for shape in shapes:
            there = found[shape.name]
            if not there.running or (there.spec, there.image) != (shape.spec, plan.image):
                return False
        try:
            _, lacking = ask_api(self._access(), found, Run.within(2))
        except InfometisError:
            return False
        return not lacking

    def _judge(self, plan: Plan, found: Mapping[str, Found], version: str) -> PlatformStatus:
        parts = {name: each.state for name, each in sorted(found.items())}
        if not found:
            detail = "its containers were removed" if plan.made else "it was not finished"
            return PlatformStatus(phase="failed" if plan.made else "absent", detail=detail)
        down = [name for name, each in sorted(found.items()) if not each.running]
        if len(down) == len(found):
            detail = "stopped; its data is kept"
            return PlatformStatus(phase="stopped", detail=detail, version=version, parts=parts)
        if down:
            detail = f"down: {', '.join(down)}; `infometis up` starts it again"
            return PlatformStatus(phase="failed", detail=detail, version=version, parts=parts)
        try:
            version, lacking = ask_api(self.connect(), found, Run.within(_LOOK))
        except InfometisError as error:
            lacking = error.message.splitlines()[0]
        if lacking or not plan.made:
            detail = lacking or "it was not finished; `infometis up` goes on"
            return PlatformStatus(phase="starting", detail=detail, version=version, parts=parts)
        detail = f"{len(found)} node{'s' if len(found) > 1 else ''}, port {plan.api_port}"
        return PlatformStatus(phase="ready", detail=detail, version=version, parts=parts)

    # ------------------------------------------------------------------ checks

    def _checks(self, engine: Engine) -> Iterator[Finding]:
        settings = self._settings
        yield from check_docker(engine, self._machine)
        yield from check_settings(settings, engine, self._environ)
        fresh = Plan.read(self._folder) is None and not engine.machine
        ports = [each.host for each in settings.mappings if each.protocol == "tcp"]
        wanted = [*ports, *filter(None, [settings.api_port])] if fresh else []
        yield from check_machine(self._machine, wanted, settings.listen)

    def _check_machine(self, engine: Engine) -> None:
        bad = [
            finding
            for finding in self._checks(engine)
            if finding.level == "error" and finding.check not in self._settings.ignore_preflight
        ]
        if bad:
            lines = (f"  - {each.check}: {each.detail}" for each in bad)
            msg = "\n".join(("this machine cannot run a cluster of k0s in Docker", *lines))
            raise PlatformError(msg, hint="; ".join(each.cure for each in bad if each.cure))

    # ------------------------------------------------------------------ steps

    def _fresh(self) -> Plan:
        settings = self._settings
        return Plan(
            cluster=self._context.cluster,
            id=secrets.token_hex(8),
            version=settings.version,
            reference=settings.reference,
            single=settings.single,
            api_port=settings.api_port or _free_port(settings.listen),
            subnet=settings.network,
        )

    def _shapes(self, engine: Engine, plan: Plan) -> tuple[NodeShape, ...]:
        options = [str(each) for each in engine.info().get("SecurityOptions") or ()]
        files = {path: Path(path).expanduser().read_bytes() for path in self._settings.ca_files}
        return tuple(
            node_shape(
                self._settings,
                plan,
                number,
                environ=self._environ,
                authorities=files,
                apparmor=any("name=apparmor" in each for each in options),
            )
            for number in range(self._settings.nodes)
        )

    def _make(self, engine: Engine, plan: Plan, run: Run) -> Access:
        """Bring every part to what it shall be, from wherever an earlier try ended."""
        began = time.monotonic()
        run.emit(Event(name="start cluster", subject=plan.cluster, state="started"))
        plan = pin(engine, plan, self._settings.digest, run).write(self._folder)
        nodes = Nodes(engine, plan, self._settings.listen, run)
        plan = nodes.network(ranges(self._settings)).write(self._folder)
        nodes = Nodes(engine, plan, self._settings.listen, run)
        first, *workers = self._shapes(engine, plan)
        self._check_data(engine, plan, first)
        nodes.make(first)
        nodes.start(first)
        nodes.kubeconfig(first.name, self._server(engine, plan), self._kubeconfig)
        nodes.wait(self._access(), [first.name])
        for worker in workers:
            nodes.make(worker)
            nodes.join(worker, first.name, self._access())
        names = [first.name, *(each.name for each in workers)]
        for name in nodes.found().keys() - set(names):
            nodes.leave(name, first.name)
        nodes.wait(self._access(), names)
        attrs.evolve(plan, made=True).write(self._folder)
        seconds = f"{time.monotonic() - began:.0f} s"
        run.emit(
            Event(name="start cluster", subject=plan.cluster, state="finished", detail=seconds)
        )
        return self._access()

    def _check_data(self, engine: Engine, plan: Plan, first: NodeShape) -> None:
        """Refuse to start an empty cluster under the name of one whose data is gone."""
        lost = [name for name in first.volumes if name not in engine.volumes(plan.id)]
        if plan.made and lost and "data" in lost[0]:
            msg = f"the volume {lost[0]} with the data of cluster {plan.cluster!r} was removed"
            hint = "restore a backup of the cluster, or destroy it and make it anew, without data"
            raise PlatformError(msg, hint=hint)

    def _server(self, engine: Engine, plan: Plan) -> str:
        listen = self._settings.listen
        host = engine.machine or ("127.0.0.1" if listen == "0.0.0.0" else listen)  # noqa: S104 - compared
        return f"https://{host}:{plan.api_port}"


def remove_all(engine: Engine, plan: Plan, run: Run) -> None:
    """Remove what carries the ID of a cluster, and nothing else."""
    for each in engine.containers(cluster=plan.id):
        run.check(f"removing {each.name}")
        engine.remove(each.id)
    for name in engine.volumes(plan.id):
        engine.remove_volume(name)
    for network in engine.networks_of(plan.id):
        engine.remove_network(network)


def _free_port(listen: str) -> int:
    with socket.socket() as probe:
        try:
            probe.bind((listen, 0))
        except OSError:  # Docker may be on another machine
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
