"""The platform ``kind``: Kubernetes nodes as containers, made by the genuine kind program."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING

import attrs

from infometis_platform_kind.binary import find_kind, known_kind
from infometis_platform_kind.config import cluster_name, kind_config
from infometis_platform_kind.engine import Engine, Node, provider_of
from infometis_platform_kind.images import load_images
from infometis_platform_kind.nodes import ask_api, wait_ready
from infometis_platform_kind.plan import Plan
from infometis_platform_kind.preflight import check_engine, check_machine
from infometis_platform_kind.troubles import explained
from infometis_sdk.errors import InfometisError, PlatformError
from infometis_sdk.machine import (
    Command,
    Machine,
    hold,
    private_folder,
    run_command,
    write_private,
)
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

    from infometis_platform_kind.settings import Kind

__all__ = ("KindPlatform",)

_NETWORK = "kind"
_BULLETS = ("•", "✓", "✗")
"""How a line of kind begins that tells of a step; others advertise."""
_LOOK = 4.0  # seconds that the engine, and then the API, get to say how the cluster is
_CHECKS = 120.0  # seconds that a preflight may take: a busy engine is slow, not dead


class KindPlatform(Platform):
    """Makes, reaches and removes one cluster; see :class:`Platform`.

    Args:
        settings: what the user set.
        context: name of the cluster and our folders.
        command: how programs are run; the one seam between this plugin and kind and the engine.
        machine: whose kernel is checked.

    """

    def __init__(
        self,
        settings: Kind,
        context: PlatformContext,
        command: Command = run_command,
        machine: Machine = Machine(),  # noqa: B008 - frozen
    ) -> None:
        self._settings = settings
        self._context = context
        self._command = command
        self._machine = machine
        self._engine = Engine(provider_of(settings), command)
        self._name = settings.adopt or cluster_name(context.cluster)
        self._kubeconfig = context.state_dir / "kubeconfig"

    # ------------------------------------------------------------------ the port

    def ensure(self, run: Run) -> Access:
        """Make the cluster, or start what is down; see :meth:`Platform.ensure`."""
        run.check(f"making cluster {self._name!r}")
        with hold(self._context.state_dir / "lock", run, self._name):
            nodes = self._engine.nodes(self._name, run)
            plan = Plan.read(self._context.state_dir)
            if self._settings.adopt:
                self._check_adopted(nodes, run)
            elif plan is None or not plan.made or not nodes:
                self._check_not_foreign(plan, nodes)
                plan, nodes = self._make(plan, run)
            else:
                self._check_ours(plan, nodes)
                self._check_unchanged(plan)
            return self._go_on(plan, nodes, run)

    def status(self) -> PlatformStatus:
        """Say how the cluster is; see :meth:`Platform.status`."""
        plan = Plan.read(self._context.state_dir)
        if plan is None and not self._settings.adopt:
            return PlatformStatus(phase="absent", detail="no cluster was made")
        try:
            nodes = self._engine.nodes(self._name, Run.within(_LOOK))
        except InfometisError as error:
            return PlatformStatus(phase="failed", detail=error.message)
        parts = {node.name: node.state for node in nodes}
        if not nodes:
            gone = "its containers were removed" if plan and plan.made else "no cluster was made"
            return PlatformStatus(phase="absent", detail=gone)
        if plan is not None and not plan.made:
            detail = "it was not finished; `infometis up` makes it anew"
            return PlatformStatus(phase="failed", detail=detail, parts=parts)
        down = [node for node in nodes if not node.running]
        if len(down) == len(nodes):
            detail = "its data is kept"
            return PlatformStatus(phase="stopped", detail=detail, parts=parts)
        if down:
            detail = f"{', '.join(node.name for node in down)} is not running"
            return PlatformStatus(phase="failed", detail=detail, parts=parts)
        return self._answering(nodes, parts)

    def connect(self) -> Access:
        """Return the access to the cluster; see :meth:`Platform.connect`."""
        plan = Plan.read(self._context.state_dir)
        made = plan is not None and plan.made
        if not self._kubeconfig.exists() or not (made or self._settings.adopt):
            msg = f"there is no kind cluster {self._name!r} of this project"
            raise PlatformError(msg, hint="make it with `infometis up`")
        return Access(kubeconfig=self._kubeconfig, context=f"kind-{self._name}")

    def destroy(self, run: Run) -> None:
        """Remove the cluster and every trace of it; see :meth:`Platform.destroy`."""
        folder = self._context.state_dir
        if not folder.exists():
            return
        if self._settings.adopt:
            msg = f"the kind cluster {self._name!r} was adopted, and is not ours to remove"
            hint = f"'infometis abandon' forgets it; 'kind delete cluster --name {self._name}'"
            raise PlatformError(msg, hint=hint)
        with hold(folder / "lock", run, self._name):
            plan = Plan.read(folder)
            if plan is not None:
                run.emit(Event(name="destroy cluster", subject=self._name, state="started"))
                self._remove(plan, run)
                run.emit(Event(name="destroy cluster", subject=self._name, state="finished"))
            shutil.rmtree(folder)

    @property
    def owned(self) -> bool:
        """Whether the cluster is ours; see :attr:`Platform.owned`."""
        return not self._settings.adopt

    @property
    def capabilities(self) -> Mapping[str, str]:
        """What the cluster can do; see :attr:`Platform.capabilities`."""
        return {
            "default_storage_class": "declared",
            "encrypted_transport": "absent",
            "host_ports": "declared" if self._settings.ports else "absent",
            "load_balancer": "absent",
            "multi_node": "declared" if self._settings.workers > 1 else "absent",
            "network_policy_enforced": "declared",
            "pods_run": "declared",
            "volume_expansion": "absent",
        }

    # ------------------------------------------------------------------ abilities

    def steps(self) -> tuple[str, ...]:
        """Say what ``ensure`` would do; see :class:`DryRun`."""
        run = Run.within(_CHECKS)
        nodes = self._engine.nodes(self._name, run)
        plan = Plan.read(self._context.state_dir)
        if self._settings.adopt:
            self._check_adopted(nodes, run)
        elif plan is None or not plan.made or not nodes:
            self._check_not_foreign(plan, nodes)
            return tuple(self._making(plan, nodes, run))
        else:
            self._check_ours(plan, nodes)
            self._check_unchanged(plan)
        return tuple(f"start {node.name}" for node in nodes if not node.running)

    def host_ports(self) -> Mapping[int, int]:
        """Return which ports of this machine lead where; see :class:`HostPorts`."""
        found = self._settings.mappings
        return {mapping.host: mapping.node for mapping in found if mapping.protocol == "TCP"}

    def preflight(self) -> tuple[Finding, ...]:
        """Look at this machine; see :class:`Preflight`."""
        run = Run.within(_CHECKS)
        findings = list(check_engine(self._engine, self._machine, run))
        path, why = known_kind(self._settings, self._context.cache_dir, self._command, run)
        cure = "" if path else "`infometis up` downloads or builds it"
        level = "ok" if path else "warning"
        findings.append(Finding(check="kind", level=level, detail=path or why, cure=cure))
        findings += check_machine(self._machine)
        if findings[0].level == "error":  # the engine does not answer
            return tuple(map(self._weighed, findings))
        nodes, plan = self._engine.nodes(self._name, run), Plan.read(self._context.state_dir)
        if self._settings.adopt or (plan is not None and plan.made):
            findings += self._taken(nodes)
        elif not any(node.running for node in nodes):
            findings += self._free([*self.host_ports(), *filter(None, [self._settings.api_port])])
        return tuple(map(self._weighed, findings))

    def stop(self, run: Run) -> None:
        """Pause the cluster; its data stays."""
        with hold(self._context.state_dir / "lock", run, self._name):
            nodes = self._existing("stop", run)
            run.emit(Event(name="stop cluster", subject=self._name, state="started"))
            if running := [node.name for node in nodes if node.running]:
                self._engine.stop(running, run)
            run.emit(Event(name="stop cluster", subject=self._name, state="finished"))

    def start(self, run: Run) -> Access:
        """Go on after :meth:`stop`."""
        self._existing("start", run)
        return self.ensure(run)

    def load_images(self, images: Sequence[str | Path], run: Run) -> None:
        """Put images on every node; see :class:`LoadImages`."""
        nodes = self._existing("load images into", run)
        if not all(node.running for node in nodes):
            msg = f"the kind cluster {self._name!r} is not running"
            raise PlatformError(msg, hint="start it with `infometis up`")
        load_images(self._engine, nodes, images, run)

    # ------------------------------------------------------------------ what is there

    def _existing(self, verb: str, run: Run) -> tuple[Node, ...]:
        """Return the nodes of a cluster that is ours, or adopted."""
        plan = Plan.read(self._context.state_dir)
        nodes = self._engine.nodes(self._name, run)
        if not nodes or (plan is None and not self._settings.adopt):
            msg = f"there is no kind cluster {self._name!r} of this project to {verb}"
            raise PlatformError(msg, hint="make it with `infometis up`")
        if plan is not None and plan.made:
            self._check_ours(plan, nodes)
        return nodes

    def _check_adopted(self, nodes: Sequence[Node], run: Run) -> None:
        if nodes:
            return
        known = ", ".join(self._engine.clusters(run)) or "none"
        msg = f"adopt: there is no kind cluster {self._name!r}"
        raise PlatformError(msg, hint=f"kind clusters here: {known}; leave `adopt` out to make one")

    def _check_not_foreign(self, plan: Plan | None, nodes: Sequence[Node]) -> None:
        """Refuse a cluster of that name that somebody else made."""
        if nodes and plan is None:
            msg = f"there is a kind cluster {self._name!r} already, which this project did not make"
            hint = f"use it with `adopt: {self._name}`, or name the cluster with `cluster:`"
            raise PlatformError(msg, hint=hint)

    def _check_ours(self, plan: Plan, nodes: Sequence[Node]) -> None:
        """Refuse containers that somebody put in the place of ours, and the lack of some."""
        found = {node.name: node.id for node in nodes}
        strange = [name for name, each in found.items() if plan.nodes.get(name) != each]
        if strange:
            msg = f"{', '.join(strange)}: not the container that this project made"
            hint = f"somebody re-created it; use it with `adopt: {self._name}`, or remove it"
            raise PlatformError(msg, hint=hint)
        missing = sorted(set(plan.nodes) - set(found))
        if missing:
            msg = f"the container of node {', '.join(missing)} was removed, and kind can add none"
            hint = "'infometis destroy', then 'infometis up', makes the cluster anew without data"
            raise PlatformError(msg, hint=hint)

    def _check_unchanged(self, plan: Plan) -> None:
        """Refuse settings that an existing cluster cannot take on."""
        settings = self._settings
        wanted = {
            "image": settings.node_image,
            "workers": settings.workers,
            "ports": settings.ports,
            "listen": settings.listen,
            "api_port": settings.api_port,
        }
        for key, value in wanted.items():
            was = getattr(plan, key)
            if was != value:
                msg = f"{key}: cluster {self._name!r} was made with {was!r}, not {value!r}"
                hint = "kind cannot change it: destroy the cluster first, or set it back"
                raise PlatformError(msg, hint=hint)

    def _answering(self, nodes: Sequence[Node], parts: Mapping[str, str]) -> PlatformStatus:
        count = sum(node.joins for node in nodes)
        try:
            version, lacking = ask_api(self.connect(), nodes, Run.within(_LOOK))
        except InfometisError as error:
            detail = error.message.splitlines()[0]
            return PlatformStatus(phase="starting", detail=detail, parts=parts)
        if lacking:
            return PlatformStatus(phase="starting", detail=lacking, version=version, parts=parts)
        detail = f"{count} node{'s' if count > 1 else ''}"
        return PlatformStatus(phase="ready", detail=detail, version=version, parts=parts)

    # ------------------------------------------------------------------ steps

    def _making(self, plan: Plan | None, nodes: Sequence[Node], run: Run) -> Iterator[str]:
        path, why = known_kind(self._settings, self._context.cache_dir, self._command, run)
        if not path:
            yield f"get kind: {why}"
        if plan is not None and nodes:
            yield f"remove the unfinished nodes {', '.join(node.name for node in nodes)}"
        count = self._settings.workers + 1
        yield f"make {count} node{'s' if count > 1 else ''} from {self._settings.node_image}"
        for mapping in self._settings.mappings:
            where = f"{self._settings.listen}:{mapping.host}"
            yield f"publish {where} as port {mapping.node} of the first node"
        yield f"write {self._kubeconfig}"

    def _make(self, plan: Plan | None, run: Run) -> tuple[Plan, tuple[Node, ...]]:
        """Have kind make the cluster; what a crash left of an earlier try goes first."""
        program = find_kind(self._settings, self._context.cache_dir, self._command, run)
        folder = self._context.state_dir
        if plan is not None:
            self._delete(program, run)
        else:
            self._refuse(self.preflight())
        fresh = "" if self._engine.has_network(_NETWORK, run) else _NETWORK
        network = plan.network if plan is not None else fresh
        settings = self._settings
        plan = Plan(
            name=self._name,
            image=settings.node_image,
            workers=settings.workers,
            ports=settings.ports,
            listen=settings.listen,
            api_port=settings.api_port,
            network=network,
        ).write(private_folder(folder))
        run.emit(Event(name="start cluster", subject=self._name, state="started"))
        self._create(program, run)
        nodes = self._engine.nodes(self._name, run)
        plan = attrs.evolve(
            plan,
            nodes={node.name: node.id for node in nodes},
            addresses={node.name: node.addresses.get(_NETWORK, "") for node in nodes},
        ).write(folder)
        run.emit(Event(name="start cluster", subject=self._name, state="finished"))
        return plan, nodes

    def _free(self, ports: Iterable[int]) -> tuple[Finding, ...]:
        return self._machine.ports(ports, self._settings.listen)

    def _taken(self, nodes: Sequence[Node]) -> tuple[Finding, ...]:
        """Look at the ports that nodes will take when they start."""
        return self._free(port for node in nodes if not node.running for port in node.ports)

    def _weighed(self, finding: Finding) -> Finding:
        """Return a warning for an error that the user knows better about."""
        ignored = finding.level == "error" and finding.check in self._settings.ignore_preflight
        return attrs.evolve(finding, level="warning") if ignored else finding

    def _refuse(self, findings: Iterable[Finding]) -> None:
        bad = [each for each in map(self._weighed, findings) if each.level == "error"]
        if bad:
            msg = "\n".join(
                ("this machine cannot run a kind cluster", *(f"  - {f.detail}" for f in bad))
            )
            raise PlatformError(msg, hint="; ".join(f.cure for f in bad if f.cure))

    def _create(self, program: str, run: Run) -> None:
        config = json.dumps(kind_config(self._name, self._settings)).encode()
        draft = self._context.state_dir / "kubeconfig.kind"

        def tell(line: str) -> None:
            if line.strip()[:1] in _BULLETS:
                text = line.encode("ascii", "ignore").decode().strip(" .")
                event = Event(
                    name="start cluster", subject=self._name, state="progress", detail=text
                )
                run.emit(event)

        argv = [program, "create", "cluster", "--name", self._name, "--config", "-"]
        done = self._command([*argv, "--kubeconfig", str(draft)], run, stdin=config, line=tell)
        draft.unlink(missing_ok=True)
        if not done.ok:
            reasons = [each for each in done.stderr.splitlines() if each.startswith("ERROR")]
            said = reasons[0] if reasons else done.tail()
            more = done.stderr[done.stderr.find("Command Output") :][:600]
            said = f"{said} {more}" if "Command Output" in done.stderr else said
            msg = f"kind could not make cluster {self._name!r}"
            raise explained(msg, said, self._engine.program)

    def _delete(self, program: str, run: Run) -> None:
        draft = self._context.state_dir / "kubeconfig.kind"
        argv = [program, "delete", "cluster", "--name", self._name, "--kubeconfig", str(draft)]
        done = self._command(argv, run)
        draft.unlink(missing_ok=True)
        if not done.ok:
            msg = f"kind could not remove cluster {self._name!r}"
            raise explained(msg, done.tail(), self._engine.program)

    def _remove(self, plan: Plan, run: Run) -> None:
        nodes = self._engine.nodes(self._name, run)
        if plan.made:
            strange = [node for node in nodes if plan.nodes.get(node.name) != node.id]
            nodes = () if strange else nodes  # somebody else's cluster has taken the name
        if nodes:
            program = find_kind(self._settings, self._context.cache_dir, self._command, run)
            self._delete(program, run)
        if plan.network:
            self._engine.remove_unused_network(plan.network, run)

    def _go_on(self, plan: Plan | None, nodes: Sequence[Node], run: Run) -> Access:
        """Start what is down, and wait until all nodes are ready, by our own loop.

        ``kind create cluster --wait`` ends well though nothing got ready in time.
        """
        access = Access(kubeconfig=self._kubeconfig, context=f"kind-{self._name}")
        down = [node.name for node in nodes if not node.running]
        if not down and self._is_ready(access, nodes):
            return access
        if down:
            self._refuse(self._taken(nodes))
            run.emit(Event(name="start cluster", subject=self._name, state="started"))
            self._engine.start(down, run)
        self._write_kubeconfig(run)
        began = time.monotonic()
        addresses = plan.addresses if plan is not None else {}
        wait_ready(self._engine, access, self._name, addresses, run)
        if down:
            seconds = f"{time.monotonic() - began:.0f} s"
            event = Event(
                name="start cluster", subject=self._name, state="finished", detail=seconds
            )
            run.emit(event)
        return access

    def _is_ready(self, access: Access, nodes: Sequence[Node]) -> bool:
        if not self._kubeconfig.exists():
            return False
        try:
            _, lacking = ask_api(access, nodes, Run.within(2))
        except InfometisError:
            return False
        return not lacking

    def _write_kubeconfig(self, run: Run) -> None:
        """Ask kind for the kubeconfig, and keep it to ourselves: the user's own is not touched."""
        program = find_kind(self._settings, self._context.cache_dir, self._command, run)
        done = self._command([program, "get", "kubeconfig", "--name", self._name], run)
        if not done.ok:
            msg = f"kind gives no kubeconfig of {self._name!r}"
            raise explained(msg, done.tail(), self._engine.program)
        write_private(private_folder(self._context.state_dir) / "kubeconfig", done.stdout)
