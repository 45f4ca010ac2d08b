"""The platform ``k0s-docker``: nodes of k0s as containers of Docker."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from infometis_platform_k0s_docker.backup import backup, restore
from infometis_platform_k0s_docker.engine import open_engine
from infometis_platform_k0s_docker.loading import export_images, load_images
from infometis_platform_k0s_docker.making import Maker
from infometis_platform_k0s_docker.plan import Plan
from infometis_platform_k0s_docker.preflight import check_docker, check_machine, check_settings
from infometis_platform_k0s_docker.ready import ask_api
from infometis_platform_k0s_docker.shape import node_names
from infometis_platform_k0s_docker.storage import storage
from infometis_platform_k0s_docker.upgrading import upgrade
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
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from infometis_platform_k0s_docker.engine import Engine, Found
    from infometis_platform_k0s_docker.settings import K0sDocker

__all__ = ("K0sDockerPlatform",)

_LOOK = 4.0  # seconds that Docker, and then the API, get to say how the cluster is
_CHECKS = 120.0  # seconds that Docker gets for an answer to a preflight


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
        with self._working(run) as maker:
            plan = Plan.read(self._folder)
            if plan is None:
                self._refuse(self._checks(maker.engine))
                plan = maker.fresh(self._context.cluster).write(private_folder(self._folder))
            maker.check_unchanged(plan)
            plan = maker.settled(plan)
            if maker.is_ready(plan):
                return maker.access(plan)
            self._refuse(self._taken(maker, plan))
            return maker.make(plan, run)

    def status(self) -> PlatformStatus:
        """Say how the cluster is; see :meth:`Platform.status`."""
        try:
            plan = Plan.read(self._folder)
            if plan is None:
                return PlatformStatus(phase="absent", detail="no cluster was made")
            with open_engine(self._settings.host, timeout=_LOOK) as engine:
                nodes = self._maker(engine).nodes(plan, Run.within(_LOOK))
                found = nodes.found()
                since = nodes.started([name for name, each in found.items() if each.running])
        except InfometisError as error:
            return PlatformStatus(phase="failed", detail=error.message.splitlines()[0])
        version = K0sVersion.parse(plan.version).kubernetes
        return self._judge(plan, found, since, version)

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
                    self._maker(engine).remove(plan, run)
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

    def steps(self) -> tuple[str, ...]:
        """Say what ``ensure`` would do; see :class:`DryRun`."""
        plan = Plan.read(self._folder)
        with open_engine(self._settings.host, timeout=_CHECKS) as engine:
            maker = self._maker(engine)
            if plan is not None:
                maker.check_unchanged(plan)
                plan = maker.settled(plan)
            return tuple(maker.steps(plan))

    def upgrade(self, run: Run) -> Access:
        """Go to the version of the settings; see :class:`Upgrade`."""
        with self._working(run) as maker:
            return upgrade(maker, self._existing("upgrade"), run)

    def load_images(self, images: Sequence[str | Path], run: Run) -> None:
        """Put images on every node; see :class:`LoadImages`."""
        with self._working(run) as maker:
            plan = self._existing("load images into")
            load_images(maker.nodes(plan, run), maker.engine, images, run)

    def export_images(self, images: Sequence[str], folder: Path, run: Run) -> tuple[Path, ...]:
        """Write images of Docker into a folder, for a machine without a network."""
        with open_engine(self._settings.host) as engine:
            return export_images(engine, images, folder, run)

    def backup_cluster(self, folder: Path, run: Run) -> Path:
        """Keep the state of the control plane; see :class:`ClusterBackup`."""
        with self._working(run) as maker:
            return backup(maker, self._existing("back up"), folder, run)

    def restore_cluster(self, archive: Path, run: Run) -> Access:
        """Bring the cluster back as it was; see :class:`ClusterBackup`."""
        with self._working(run) as maker:
            return restore(maker, self._existing("restore"), archive, run)

    def preflight(self) -> tuple[Finding, ...]:
        """Look at this machine; see :class:`Preflight`."""
        try:
            with open_engine(self._settings.host, timeout=_CHECKS) as engine:
                return tuple(map(self._weighed, self._checks(engine)))
        except PlatformError as error:
            return (Finding(check="docker", level="error", detail=error.message, cure=error.hint),)

    def stop(self, run: Run) -> None:
        """Pause the cluster; its data stays."""
        with self._working(run) as maker:
            plan = self._existing("stop")
            run.emit(Event(name="stop cluster", subject=plan.cluster, state="started"))
            maker.nodes(plan, run).stop()
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

    def _maker(self, engine: Engine) -> Maker:
        return Maker(engine, self._settings, self._folder, self._environ)

    @contextmanager
    def _working(self, run: Run) -> Iterator[Maker]:
        """Hold the lock of this cluster and a connection to Docker."""
        fresh = not self._folder.exists()
        try:
            with (
                hold(self._folder / "lock", run, self._context.cluster),
                open_engine(self._settings.host) as engine,
            ):
                yield self._maker(engine)
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

    def _judge(
        self, plan: Plan, found: Mapping[str, Found], since: Mapping[str, float], version: str
    ) -> PlatformStatus:
        wanted = node_names(plan.cluster, self._settings.nodes)
        parts = {name: each.state for name, each in sorted(found.items())}
        parts |= {name: "removed" for name in wanted if name not in found}
        if not found:
            detail = "its containers were removed" if plan.made else "it was not finished"
            return PlatformStatus(phase="failed" if plan.made else "absent", detail=detail)
        down = [name for name, each in sorted(found.items()) if not each.running]
        if len(down) == len(found):
            detail = "its data is kept"
            return PlatformStatus(phase="stopped", detail=detail, version=version, parts=parts)
        down += [name for name in wanted if name not in found]
        if down:
            detail = f"down: {', '.join(down)}; `infometis up` brings it back"
            return PlatformStatus(phase="failed", detail=detail, version=version, parts=parts)
        try:
            version, lacking = ask_api(self.connect(), since, Run.within(_LOOK))
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
        yield from check_machine(self._machine)
        maker, plan = self._maker(engine), Plan.read(self._folder)
        yield from self._taken(maker, maker.settled(plan) if plan is not None else None)

    def _taken(self, maker: Maker, plan: Plan | None) -> Iterator[Finding]:
        """Look at the ports that the first node is about to take, unless it has them."""
        if maker.engine.machine or (plan is not None and maker.first_runs(plan)):
            return
        settings = self._settings
        ports = [each.host for each in settings.mappings if each.protocol == "tcp"]
        api = settings.api_port or (plan.api_port if plan is not None else 0)
        yield from self._machine.ports([*ports, *filter(None, [api])], settings.listen)

    def _weighed(self, finding: Finding) -> Finding:
        """Return a warning for an error that the user knows better about."""
        ignored = finding.level == "error" and finding.check in self._settings.ignore_preflight
        return attrs.evolve(finding, level="warning") if ignored else finding

    def _refuse(self, findings: Iterable[Finding]) -> None:
        bad = [each for each in map(self._weighed, findings) if each.level == "error"]
        if bad:
            lines = (f"  - {each.check}: {each.detail}" for each in bad)
            msg = "\n".join(("this machine cannot run a cluster of k0s in Docker", *lines))
            raise PlatformError(msg, hint="; ".join(each.cure for each in bad if each.cure))
