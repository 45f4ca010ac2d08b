"""One environment's deployment on one cluster, and the handle that acts on it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import attrs

from infometis_sdk.engine.compose import compose, derived_stack_id, home_namespace
from infometis_sdk.errors import (
    NotReadyError,
    PlatformError,
    ProtectedError,
    RefusedError,
    SecretError,
    ValidationError,
)
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.report import ApplyReport, DriftReport, HealthReport, Report, UpReport
from infometis_sdk.model.run import Event, Run
from infometis_sdk.model.secret import Secret, SecretRef
from infometis_sdk.ports.platform import Access, Platform, StartStop
from infometis_sdk.workspace.api_server import learn_api_server, remembered_api_server
from infometis_sdk.workspace.beside import add_ons_of, lay_add_ons
from infometis_sdk.workspace.chosen import ChosenPlatform, choose
from infometis_sdk.workspace.cluster_life import telling_how_it_is
from infometis_sdk.workspace.pins import Pins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from infometis_sdk.engine.checks import CheckResult
    from infometis_sdk.engine.forward import Forward
    from infometis_sdk.engine.proving.evidence import Evidence
    from infometis_sdk.model.audit import AuditLine
    from infometis_sdk.model.audit_report import AuditReport
    from infometis_sdk.model.border_report import BorderReport
    from infometis_sdk.model.bundle import Bundle
    from infometis_sdk.model.capability import Capability
    from infometis_sdk.model.environment import Environment
    from infometis_sdk.model.fault import Fault
    from infometis_sdk.model.guard import GuardNote
    from infometis_sdk.model.plan import Plan
    from infometis_sdk.model.policy_report import PolicyReport
    from infometis_sdk.model.release import Release, ReleaseList
    from infometis_sdk.model.release_diff import ReleaseDiff
    from infometis_sdk.model.stack import ComposedStack, ManifestSet
    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.ports.release_store import ReleaseStore
    from infometis_sdk.workspace.auditing import Audit
    from infometis_sdk.workspace.workspace import Workspace

__all__ = (
    "MINUTES",
    "Stack",
)

MINUTES = 60.0
_UP = 45 * MINUTES
_ASK = 2 * MINUTES


class Stack:
    """The handle of one environment; get it from a workspace: ``ws["dev"]``.

    Verbs that act raise typed errors, those about an outcome carry ``.report``;
    verbs that ask return.
    Every verb that takes time accepts ``run``: its deadline, its events and its cancel token.
    """

    def __init__(
        self,
        workspace: Workspace,
        environment: Environment,
        *,
        chosen: ChosenPlatform | None = None,
        platform: str = "",
    ) -> None:
        self._workspace = workspace
        self.environment = environment
        self._asked = platform
        if chosen is not None:
            self.chosen = chosen
        self._pins = Pins(workspace.state_dir)
        self._door: tuple[Access, Cluster] | None = None

    def __repr__(self) -> str:
        return f"<Stack {self.stack_id}>"

    @property
    def name(self) -> str:
        """The environment's name."""
        return self.environment.name

    @property
    def stack_id(self) -> str:
        """Identity of the stack; manager, inventory and Lease carry it."""
        return self.environment.stack_id or derived_stack_id(
            self._workspace.project, self.environment
        )

    # --- pure ---------------------------------------------------------------------------------

    def compose(self) -> ComposedStack:
        """Lay all layers of values over each other.

        Raises:
            ProjectError: every fault of every layer.

        """
        from infometis_sdk.workspace.publishing import publisher_of

        return compose(
            self._workspace.project,
            self.environment,
            platform_defaults=self.chosen.defaults,
            publisher=publisher_of(self),
        )

    def render(self) -> ManifestSet:
        """Render everything the environment wants.

        Raises:
            ProjectError: every fault of every layer, template and file.

        """
        from infometis_sdk.engine.render import render

        return render(self.compose(), api_server=remembered_api_server(self))

    def validate(self, *, server: bool = False, run: Run | None = None) -> tuple[Fault, ...]:
        """Return what is wrong with the rendered objects; with ``server``, ask the API server too.

        Raises:
            ProjectError: it cannot even be rendered.
            ClusterError: ``server`` was asked for and does not answer.

        """
        from infometis_sdk.workspace.checking import server_faults, validate

        manifests = self.render()
        found = validate(manifests, self._workspace.project.root)
        if server:
            run = run or Run.within(_ASK)
            found += server_faults(self._cluster(run), manifests, run)
        return found

    def explain(self, path: str) -> Report:
        """Say which layers spoke on a value, ``service.parameter``, and which one won.

        Raises:
            ProjectError: there is no such service or parameter; the nearest name is told.

        """
        from infometis_sdk.engine.explain import explain

        return explain(self.compose(), path)

    def policy(
        self, source: str, target: str, *, port: int = 0, protocol: str = "TCP"
    ) -> PolicyReport:
        """Say whether one may talk to the other, and which rule of which policy decides.

        Args:
            source: a service, ``external.NAME``, ``border``, ``dns``, ``metrics``, ``kubernetes``
                or ``world``.
            target: the same.
            port: of the target; 0 for every port that it is known to have.
            protocol: of that port.

        Raises:
            ProjectError: there is nobody of that name; the nearest one is told.

        Example:
            .. code-block:: python

                assert not ws["prod"].policy("kafka", "elasticsearch").allowed

        """
        from infometis_sdk.engine.boundary.explain import explain_policy

        return explain_policy(
            self.compose(),
            self.render(),
            source,
            target,
            port=port,
            protocol=protocol,
            api_server=remembered_api_server(self),
        )

    def influence(self, service: str = "") -> Report:
        """Say which fields of which objects each parameter may change."""
        from infometis_sdk.engine.explain import explain_influence

        return explain_influence(self.compose(), service)

    # --- the cluster --------------------------------------------------------------------------

    @property
    def workspace(self) -> Workspace:
        """The workspace that the stack belongs to."""
        return self._workspace

    @cached_property
    def chosen(self) -> ChosenPlatform:
        """The platform of the environment, and which cluster of it."""
        pin = self._pins.read(self.stack_id)
        return choose(self._workspace, self.environment, self.stack_id, pin=pin, asked=self._asked)

    def on(self, platform: str) -> Stack:
        """Return a handle on the stack as it is on another platform of this machine.

        Its :meth:`up` has this remembered, so that every later verb finds the stack there.

        Args:
            platform: name of a platform, or ``auto`` for the best that works here.

        """
        return Stack(self._workspace, self.environment, platform=platform)

    @property
    def platform(self) -> Platform:
        """The platform of the environment."""
        return self.chosen.platform

    def _cluster(self, run: Run, access: Access | None = None) -> Cluster:
        """Return the door to the cluster; made once and kept while the access stays the same."""
        from infometis_sdk._adapters.kubernetes_api import open_cluster

        access = access or self.platform.connect()
        if self._door is None or self._door[0] != access:
            self._door = (access, open_cluster(access))
            learn_api_server(self, self._door[1], run)
        return self._door[1]

    @property
    def _simulated(self) -> bool:
        return self._door is not None and self._door[0].simulated

    @property
    def simulated(self) -> bool:
        """Whether containers do not really run on the cluster.

        Raises:
            PlatformError: there is no cluster.

        """
        return self._simulated if self._door is not None else self.platform.connect().simulated

    def cluster(self, run: Run | None = None) -> Cluster:
        """Return the door to the cluster, through which anything may be read.

        Raises:
            PlatformError: there is no cluster.

        """
        return self._cluster(run or Run.within(_ASK))

    def capabilities(
        self, *, probe: bool = False, image: str = "", run: Run | None = None
    ) -> tuple[Capability, ...]:
        """Return what the cluster can do, and how we know.

        Args:
            probe: try it with small objects, which are taken away again; else only read.
            image: of the pods of the probes; empty for the default.
            run: deadline, events, cancel token.

        Raises:
            PlatformError: there is no cluster.
            ClusterError: the API server does not answer, or not to us.

        """
        from infometis_sdk.workspace import capabilities

        run = run or Run.within(_UP)
        if probe:
            capabilities.probe(self, run, **({"image": image} if image else {}))
        return capabilities.capabilities(self, self._cluster(run), run)

    @cached_property
    def audit(self) -> Audit:
        """The records of what was done to the stack from this machine, and by whom."""
        from infometis_sdk.workspace.auditing import audit_of

        return audit_of(self)

    def audit_copies(self, run: Run | None = None) -> tuple[AuditLine, ...]:
        """Return what the audit sink ``cluster`` keeps: records of every machine and guard.

        Raises:
            PlatformError: there is no cluster.
            ClusterError: the API server does not answer, or not to us.

        """
        from infometis_sdk.engine.compose import home_namespace
        from infometis_sdk.workspace.audit_in_cluster import copies

        run = run or Run.within(_ASK)
        home = home_namespace(self._workspace.project, self.environment)
        return copies(self._cluster(run), self.stack_id, home, run)

    def verify_audit(
        self, *, head: str = "", offline: bool = False, run: Run | None = None
    ) -> AuditReport:
        """Find every audit record that was removed, changed, reordered or cut off.

        Args:
            head: one that was printed earlier, ``CHAIN/NUMBER/HASH``.
            offline: do not ask the cluster for the heads that it keeps.
            run: deadline, events, cancel token.

        Raises:
            AuditError: the records cannot be read.

        """
        from infometis_sdk.workspace.auditing import verify_audit

        return verify_audit(self, head, run or Run.within(_ASK), offline=offline)

    def kubeconfig(self) -> Path:
        """Return the path of the kubeconfig; never the user's default one.

        Raises:
            PlatformError: there is no cluster, or we run inside it and need no file.

        """
        path = self.platform.connect().kubeconfig
        if path is None:
            msg = "the stack is reached with the credentials of this pod, not with a kubeconfig"
            raise PlatformError(msg)
        return path

    # --- plan and apply -----------------------------------------------------------------------

    def plan(
        self,
        services: Sequence[str] = (),
        *,
        adopt: Sequence[str] = (),
        accept_data_loss: Sequence[str] = (),
        run: Run | None = None,
    ) -> Plan:
        """Find the exact changes; reads only. What forbids them is in ``plan.blocked``.

        Args:
            services: only these are looked at; the others are neither changed nor pruned.
            adopt: objects (``StatefulSet/kafka``) of others that may be taken over.
            accept_data_loss: objects that may go with their data.
            run: deadline, events, cancel token.

        Raises:
            ProjectError: faults of the project.
            ClusterError: the API server does not answer, or not to us.
            WrongClusterError: it is not the cluster the stack lives on.

        """
        run = run or Run.within(_ASK)
        manifests = self._valid(services)
        known, cluster = remembered_api_server(self), self._cluster(run)
        if known != remembered_api_server(self):
            manifests = self._valid(services)
        with telling_how_it_is(self):
            return self._plan(
                manifests,
                cluster,
                run,
                services=services,
                adopt=adopt,
                accept_data_loss=accept_data_loss,
            )

    def _valid(self, services: Sequence[str] = ()) -> ManifestSet:
        """Render, and refuse what can be refused before anything is contacted or made."""
        from infometis_sdk.workspace.checking import known_services, validate

        manifests = self.render()
        known_services(manifests, services)
        faults = [
            fault
            for fault in validate(manifests, self._workspace.project.root)
            if fault.level == "error"
        ]
        if faults:
            raise ValidationError(faults)
        return manifests

    def _plan(
        self,
        manifests: ManifestSet,
        cluster: Cluster,
        run: Run,
        *,
        services: Sequence[str],
        adopt: Sequence[str],
        accept_data_loss: Sequence[str],
    ) -> Plan:
        made = self._draft(
            manifests,
            cluster,
            run,
            services=services,
            adopt=adopt,
            accept_data_loss=accept_data_loss,
        )
        if not made.empty:
            from infometis_sdk.workspace.capabilities import refuse_what_is_lacking
            from infometis_sdk.workspace.publishing import refuse_a_border_that_cannot_work

            refuse_a_border_that_cannot_work(self, manifests, cluster, run)
            refuse_what_is_lacking(self, made, manifests, cluster, run)
        return made

    def _draft(
        self,
        manifests: ManifestSet,
        cluster: Cluster,
        run: Run,
        *,
        services: Sequence[str] = (),
        adopt: Sequence[str] = (),
        accept_data_loss: Sequence[str] = (),
    ) -> Plan:
        """Plan, whatever the cluster or the border may lack."""
        from infometis_sdk.engine.plan import Consent, plan
        from infometis_sdk.workspace.publishing import given_sources, keep_certificate

        run.emit(Event(name="plan", state="started"))
        keep_certificate(self, manifests)
        made = plan(
            cluster,
            manifests,
            run,
            only=services,
            consent=Consent(adopt=adopt, data_loss=accept_data_loss),
            pinned=self._pins.read(self.stack_id).cluster_uid,
            given=given_sources(self, manifests, self.in_cluster(cluster, run)),
        )
        run.emit(Event(name="plan", state="finished", detail=made.headline()))
        return made

    def apply(
        self, plan: Plan, *, confirm: str = "", reason: str = "", run: Run | None = None
    ) -> ApplyReport:
        """Do exactly what the plan says, or refuse; does not wait until it is ready.

        Args:
            plan: from :meth:`plan`, or read from a file.
            confirm: the plan's digest, where circuit breakers or a protected environment demand it.
            reason: why, in your words, for the audit.
            run: deadline, events, cancel token.

        Raises:
            RefusedError: the plan is blocked, stale, or for another stack or cluster.
            ApplyError: some objects were not applied; ``.report`` says which.

        """
        run = run or Run.within(_UP)
        cluster = self._cluster(run)
        manifests = self._valid()
        return self._apply(plan, manifests, cluster, confirm, run, gated=False, reason=reason)

    def _apply(
        self,
        plan: Plan,
        manifests: ManifestSet,
        cluster: Cluster,
        confirm: str,
        run: Run,
        *,
        gated: bool,
        verb: str = "apply",
        reason: str = "",
    ) -> ApplyReport:
        from infometis_sdk.engine.apply import apply
        from infometis_sdk.errors import ApplyError
        from infometis_sdk.workspace.materials import materials
        from infometis_sdk.workspace.releases import recorded

        if plan.stack_id != self.stack_id:
            msg = f"the plan is for stack {plan.stack_id}, this is {self.stack_id}"
            raise RefusedError(msg, hint="choose the environment that the plan was made for")
        plugins = self._workspace.plugins

        def gate(services: Sequence[str]) -> None:
            self._wait(manifests, cluster, services, run)

        def before(plan: Plan) -> None:
            plugins.before_apply(plan)
            action.before(plan)  # last: what a plugin stops was never begun

        root = self._workspace.project.root
        try:
            with self.audit.acting(
                plan, cluster, run, verb=verb, reason=reason, confirm=confirm
            ) as action:
                report = apply(
                    cluster,
                    plan,
                    materials(
                        manifests,
                        root,
                        self.in_cluster(cluster, run),
                        **recorded(
                            self._workspace,
                            self.environment,
                            manifests,
                            platform=self.chosen.name,
                            reason=reason,
                        ),
                    ),
                    action.run,
                    confirm=confirm,
                    gate=gate if gated else None,
                    before=before,
                )
                action.done(report.outcomes, release=report.release)
        except ApplyError as error:
            plugins.after_apply(plan, error.report)
            raise
        finally:
            if plan.cluster_uid and not plan.empty:
                self._remember(plan.cluster_uid)
        warnings = plugins.after_apply(plan, report) if not plan.empty else ()
        return attrs.evolve(report, warnings=(*report.warnings, *action.warnings, *warnings))

    def _remember(self, uid: str) -> None:
        self._pins.write(self.stack_id, self.chosen.pin(uid))

    def _remember_choice(self, run: Run) -> None:
        """Remember, before anything is made, which platform was chosen; and say why."""
        chosen, known = self.chosen, self._pins.read(self.stack_id)
        if chosen.by and (known.platform, known.chosen_by) != (chosen.name, chosen.by):
            self._pins.write(self.stack_id, chosen.pin(known.cluster_uid))
            event = Event(
                name="choose platform", subject=chosen.name, state="finished", detail=chosen.why
            )
            run.emit(event)

    def in_cluster(self, cluster: Cluster, run: Run) -> Callable[[SecretRef], Secret]:
        """Return what resolves references to Secrets of the stack's namespace."""
        namespace = home_namespace(self._workspace.project, self.environment)

        def resolve(ref: SecretRef) -> Secret:
            from infometis_sdk.engine.writing.credentials import secret_data

            name, _, key = ref.target.partition("/")
            obj = cluster.get(
                ObjectRef(api_version="v1", kind="Secret", namespace=namespace, name=name), run
            )
            data = secret_data(obj)
            if obj is None or key not in data:
                what = f"has no key {key!r}" if obj else "does not exist"
                msg = f"the Secret {name} in namespace {namespace} {what}"
                raise SecretError(msg, reference=str(ref), hint="make it, then run this again")
            return Secret(data[key].decode("utf-8", errors="replace"))

        return resolve

    # --- up and status ------------------------------------------------------------------------

    def up(
        self,
        services: Sequence[str] = (),
        *,
        check: bool = True,
        wait: bool = True,
        confirm: str = "",
        adopt: Sequence[str] = (),
        accept_data_loss: Sequence[str] = (),
        reason: str = "",
        run: Run | None = None,
    ) -> UpReport:
        """Ensure the platform, plan, apply and wait until everything is ready.

        Args:
            services: only these; empty for all.
            check: raise where something is not ready; otherwise the report says so.
            wait: without it, what was applied is looked at once; nothing is waited for or checked,
                neither afterwards nor between services that need each other.
            confirm: digest of a plan that somebody looked at.
            adopt: see :meth:`plan`.
            accept_data_loss: see :meth:`plan`.
            reason: why, in your words, for the audit.
            run: deadline, events, cancel token.

        Raises:
            ProjectError, PlatformError, RefusedError, ApplyError: see the other verbs.
            NotReadyError: something is not ready; ``.report`` is the health of every object.

        """
        begun = time.monotonic()
        run = run or Run.within(_UP)
        manifests = self._valid(services)
        self._remember_choice(run)
        known, cluster = remembered_api_server(self), self._cluster(run, self.platform.ensure(run))
        if known != remembered_api_server(self):
            manifests = self._valid(services)
        lay_add_ons(self, run)
        made = self._plan(
            manifests,
            cluster,
            run,
            services=services,
            adopt=adopt,
            accept_data_loss=accept_data_loss,
        )
        if self.environment.protected and not made.empty and confirm != made.digest:
            msg = f"environment {self.name} is protected: its plan wants to be looked at first"
            raise ProtectedError(
                msg,
                hint=f"'infometis plan -e {self.name} -o plan.json', look at it, then "
                f"'infometis apply plan.json'; or 'infometis up -e {self.name} --confirm "
                f"{made.digest}'",
            )
        return self._carry_out(
            made,
            manifests,
            cluster,
            run,
            services=services,
            check=check,
            wait=wait,
            confirm=confirm,
            reason=reason,
            begun=begun,
        )

    def _carry_out(
        self,
        made: Plan,
        manifests: ManifestSet,
        cluster: Cluster,
        run: Run,
        *,
        services: Sequence[str] = (),
        check: bool = True,
        wait: bool = True,
        confirm: str = "",
        verb: str = "up",
        reason: str = "",
        begun: float,
    ) -> UpReport:
        """Apply exactly this plan, wait and check."""
        applied = self._apply(
            made, manifests, cluster, confirm, run, gated=wait, verb=verb, reason=reason
        )
        try:
            if wait:
                settled = self._settled(manifests, cluster, services, run, changed=not made.empty)
                health = self._checked(settled, manifests, cluster, services, run)
            else:
                health = self._look(manifests, cluster, services, run)
        except NotReadyError as error:
            if check:
                raise
            health = self._checked(error.report, manifests, cluster, services, run)
        return UpReport(
            environment=self.name,
            platform=self.chosen.name,
            changed=not made.empty,
            apply=applied,
            health=health,
            seconds=time.monotonic() - begun,
            findings=manifests.findings,
        )

    def _settled(
        self,
        manifests: ManifestSet,
        cluster: Cluster,
        services: Sequence[str],
        run: Run,
        *,
        changed: bool,
    ) -> HealthReport:
        """Wait until ready; where nothing was changed and all is well, one look is enough."""
        if not changed:
            health = self._look(manifests, cluster, services, run)
            if health.ready:
                return health
        return self._wait(manifests, cluster, services, run)

    def _look(
        self, manifests: ManifestSet, cluster: Cluster, services: Sequence[str], run: Run
    ) -> HealthReport:
        from infometis_sdk.engine.status import status

        return status(
            cluster,
            manifests,
            run,
            simulated=self._simulated,
            services=services,
            load_balancer=self._load_balancer,
        )

    def _wait(
        self, manifests: ManifestSet, cluster: Cluster, services: Sequence[str], run: Run
    ) -> HealthReport:
        from infometis_sdk.engine.wait import wait

        return wait(
            cluster,
            manifests,
            run,
            simulated=self._simulated,
            services=services,
            load_balancer=self._load_balancer,
        )

    @property
    def _load_balancer(self) -> bool:
        """Whether a Service is ready only once it has an address."""
        return self.platform.capabilities.get("load_balancer") == "declared"

    def _checked(
        self,
        health: HealthReport,
        manifests: ManifestSet,
        cluster: Cluster,
        services: Sequence[str],
        run: Run,
    ) -> HealthReport:
        from infometis_sdk.engine.checks import run_checks

        return attrs.evolve(
            health,
            checks=run_checks(
                cluster, manifests, run, simulated=self._simulated, services=services
            ),
            urls=self.urls(run=run),
        )

    def status(self, *, run: Run | None = None) -> HealthReport:
        """Look once at every object of the stack.

        Raises:
            PlatformError: there is no cluster.
            ClusterError: the API server does not answer, or not to us.

        """
        from infometis_sdk.engine.checks import check_externals, in_lines

        run = run or Run.within(_ASK)
        with telling_how_it_is(self):
            cluster = self._cluster(run)
            manifests = self.render()
            health = self._look(manifests, cluster, (), run)
            outside = check_externals(cluster, manifests, run, simulated=self._simulated)
            health = attrs.evolve(health, checks=in_lines(outside))
            return attrs.evolve(health, urls=self.urls(run=run))

    def drift(self, *, run: Run | None = None) -> DriftReport:
        """Say where live differs from desired, who did it and when."""
        from infometis_sdk.engine.drift import drift

        run = run or Run.within(_ASK)
        with telling_how_it_is(self):
            return drift(self._cluster(run), self.render(), run)

    def heal(self, *, reason: str = "", run: Run | None = None) -> ApplyReport:
        """Bring back, once, what drifted from the latest deployed Release.

        What ``policies.drift.exceptions`` names and what known controllers hold is left alone;
        nothing is deleted, and no Release is opened.

        Args:
            reason: why, in your words, for the audit.
            run: deadline, events, cancel token.

        Raises:
            RefusedError: there is no Release to return to, or a newer one is under way.
            ApplyError: some objects could not be healed; ``.report`` says which.

        """
        from infometis_sdk.workspace.guarding import heal_stack

        run = run or Run.within(_UP)
        return heal_stack(self, self._cluster(run), run, reason=reason)

    def guard(
        self, *, say: Callable[[GuardNote], None], listen: str = "", run: Run | None = None
    ) -> None:
        """Watch what the stack owns and keep it as its latest Release wants, until cancelled.

        What is corrected by itself, what is only told, and to whom, is for the environment's
        ``policies.drift`` and ``policies.notify`` to say.

        Args:
            say: takes each note.
            listen: ``host:port`` for metrics and health, such as ``127.0.0.1:9464``;
                empty for none.
            run: its cancel token, or its deadline, ends the guard.

        """
        from infometis_sdk.workspace.guarding import deployed, guard_stack

        run = run or Run()
        guard_stack(
            self,
            self._cluster(run),
            run,
            say=say,
            at=lambda standing, run: deployed(self, standing, run),
            listen=listen,
        )

    def checks(
        self, services: Sequence[str] = (), *, run: Run | None = None
    ) -> tuple[CheckResult, ...]:
        """Run the functional checks of the services, beyond the readiness of their pods.

        Raises:
            ClusterError: the API server does not answer, or not to us.

        """
        from infometis_sdk.engine.checks import check_services

        run = run or Run.within(_ASK)
        cluster = self._cluster(run)
        return check_services(
            cluster, self.render(), run, simulated=self._simulated, services=services
        )

    def evidence(self, manifests: ManifestSet, *, run: Run | None = None) -> Evidence:
        """Hold the live stack against a render, leaf by leaf, for a proof; reads only.

        Raises:
            ClusterError: the API server does not answer, or not to us.
            WrongClusterError: it is not the cluster the stack lives on.

        """
        from infometis_sdk.engine.proving.evidence import gather

        run = run or Run.within(_ASK)
        cluster, pinned = self._cluster(run), self._pins.read(self.stack_id).cluster_uid
        return gather(
            cluster, manifests, run, side=self.name, simulated=self._simulated, pinned=pinned
        )

    def doctor(self, *, probe: bool | None = None, run: Run | None = None) -> Report:
        """Say what works and what does not: machine, platform, plugins, project, cluster.

        Args:
            probe: whether to try what the cluster can do, with small objects that are taken away
                again; ``None`` tries a cluster that is ours and was never tried.
            run: deadline, events, cancel token.

        """
        from infometis_sdk.workspace.doctor import doctor

        return doctor(self._workspace, self, run or Run.within(_UP), probe=probe)

    # --- bundles and releases -----------------------------------------------------------------

    def bundle(self) -> Bundle:
        """Make the project's Bundle; the same as ``bundle`` of the workspace.

        Raises:
            ProjectError: every fault of the services and of the project's own values.

        """
        return self._workspace.bundle()

    def with_bundle(self, bundle: Bundle) -> Stack:
        """Return a handle that deploys a Bundle instead of the project's own services.

        The Bundle brings services and every value but the environment's own.

        Raises:
            RefusedError: this version of the SDK would render it otherwise than it was meant.

        Example:
            .. code-block:: python

                ws["uat"].with_bundle(Bundle.from_bytes(Path("core.bundle").read_bytes())).up()

        """
        from infometis_sdk.engine.core.bundle import project_of

        project = self._workspace.project
        made = project_of(bundle, project.environments, root=project.root)
        return self._workspace.with_project(made)[self.name]

    def store(self, run: Run | None = None, *, directory: str | Path = "") -> ReleaseStore:
        """Return the store of the stack's Releases, open for reading.

        Args:
            run: deadline and cancel token.
            directory: where ``policies.releases.directory`` keeps them; else the cluster's own.

        """
        from infometis_sdk.workspace.releases import cluster_store, directory_store

        if directory:
            return directory_store(directory, self.stack_id)
        namespace = home_namespace(self._workspace.project, self.environment)
        return cluster_store(self._cluster(run or Run.within(_ASK)), self.stack_id, namespace)

    def releases(self, *, store: ReleaseStore | None = None, run: Run | None = None) -> ReleaseList:
        """Return the Releases of the stack, oldest first.

        Args:
            store: where they are kept; the stack's own cluster by default.
            run: deadline and cancel token.

        Raises:
            StoreError: they cannot be read.

        """
        run = run or Run.within(_ASK)
        return (store or self.store(run)).releases(run)

    def release(
        self, number: int, *, store: ReleaseStore | None = None, run: Run | None = None
    ) -> Release:
        """Return one Release of the stack.

        Args:
            number: of the Release.
            store: where it is kept; the stack's own cluster by default.
            run: deadline and cancel token.

        Raises:
            StoreError: there is none of that number, or it was changed.

        """
        from infometis_sdk.workspace.releases import find

        return find(self.releases(store=store, run=run), number)

    def release_diff(
        self, a: int, b: int, *, store: ReleaseStore | None = None, run: Run | None = None
    ) -> ReleaseDiff:
        """Return what two Releases do not share: core, values, environment, credentials.

        Args:
            a: number of one.
            b: number of the other.
            store: where they are kept; the stack's own cluster by default.
            run: deadline and cancel token.

        Raises:
            StoreError: there is none of such a number.

        """
        from infometis_sdk.workspace.releases import diff

        run = run or Run.within(_ASK)
        return diff(self, store or self.store(run), a, b, run)

    def at_release(
        self, number: int = 0, *, store: ReleaseStore | None = None, run: Run | None = None
    ) -> Stack:
        """Return a handle on the stack as a Release deployed it: its Bundle and its values.

        Args:
            number: of the Release; 0 for the newest whole one before the one that runs.
            store: where it is kept; the stack's own cluster by default.
            run: deadline and cancel token.

        Raises:
            StoreError: there is no such Release, or it keeps no Bundle.
            TamperedError: it is not what was recorded.
            RefusedError: it is mixed, or was never deployed.

        """
        from infometis_sdk.workspace.releases import before, find, workspace_at

        run = run or Run.within(_ASK)
        store = store or self.store(run)
        known = store.releases(run)
        release = find(known, number) if number else before(known)
        return workspace_at(self._workspace, release, store.bundle(release, run))[self.name]

    def rollback(
        self,
        number: int = 0,
        *,
        store: ReleaseStore | None = None,
        check: bool = True,
        confirm: str = "",
        adopt: Sequence[str] = (),
        accept_data_loss: Sequence[str] = (),
        reason: str = "",
        run: Run | None = None,
    ) -> UpReport:
        """Return to an earlier Release: its Bundle and values, planned against what runs now.

        What cannot go back is refused before the first write:
        a volume that would shrink, an older data store on newer data, a first-boot setting.

        Args:
            number: see :meth:`at_release`.
            store: see :meth:`at_release`.
            check: see :meth:`up`.
            confirm: see :meth:`up`.
            adopt: see :meth:`up`.
            accept_data_loss: see :meth:`up`.
            reason: why, in your words.
            run: deadline, events, cancel token.

        Raises:
            StoreError, TamperedError, RefusedError: see :meth:`at_release`.
            PlanRefusedError: something cannot go back; ``.plan`` says what.
            ApplyError, NotReadyError: see :meth:`up`.

        """
        from infometis_sdk.workspace.releases import before

        run = run or Run.within(_UP)
        store = store or self.store(run)
        number = number or before(store.releases(run)).number
        return self.at_release(number, store=store, run=run).up(
            check=check,
            confirm=confirm,
            adopt=adopt,
            accept_data_loss=accept_data_loss,
            reason=reason or f"rollback to release {number}",
            run=run,
        )

    # --- using the services -------------------------------------------------------------------

    def urls(self, *, run: Run | None = None) -> Mapping[str, str]:
        """Return the URL of each route that somebody answers now; asks each of them once.

        None without a border, and none where containers are simulated.

        Returns:
            ``SERVICE.ENDPOINT`` to the URL.

        Raises:
            PlatformError: there is no cluster.

        """
        from infometis_sdk.workspace.publishing import answering

        if self.environment.border.type == "none":
            return {}
        return answering(self, run or Run.within(_ASK))

    def verify_border(self, *, run: Run | None = None) -> BorderReport:
        """Prove from outside that every route answers as promised: status, certificate, auth.

        What cannot be asked from here is ``unproven``, never passed.

        Raises:
            PlatformError: there is no cluster.
            ClusterError: the API server does not answer, or not to us.

        """
        from infometis_sdk.workspace.publishing import verify_border

        return verify_border(self, run or Run.within(_ASK))

    def credentials(
        self, service: str = "", *, reveal: bool = False, run: Run | None = None
    ) -> Report:
        """Return the credentials of the services, masked unless ``reveal``."""
        from infometis_sdk.workspace.credentials import read_credentials

        run = run or Run.within(_ASK)
        return read_credentials(self._cluster(run), self.render(), service, run, reveal=reveal)

    def logs(
        self,
        service: str,
        *,
        follow: bool = False,
        tail: int = 100,
        container: str = "",
        run: Run | None = None,
    ) -> Iterator[str]:
        """Yield the log lines of a service's pods, each with the pod's name in front.

        Raises:
            PlatformError: the pods are simulated and have no logs.

        """
        from infometis_sdk.engine.logs import logs

        run = run or Run()
        cluster, manifests = self._cluster(run), self.render()
        return logs(
            cluster,
            manifests,
            service,
            run,
            follow=follow,
            tail=tail,
            container=container,
            simulated=self._simulated,
        )

    def forward(
        self, service: str, endpoint: str = "", *, port: int = 0, run: Run | None = None
    ) -> Forward:
        """Open a loopback port to an endpoint of a service, for the life of the context.

        Raises:
            PlatformError: the pods are simulated and have no ports.

        """
        from infometis_sdk.engine.forward import forward

        run = run or Run()
        cluster = self._cluster(run)
        return forward(
            cluster,
            self.render(),
            service,
            run,
            simulated=self._simulated,
            endpoint=endpoint,
            port=port,
        )

    # --- endings ------------------------------------------------------------------------------

    def down(
        self,
        *,
        delete_data: bool = False,
        confirm_name: str = "",
        reason: str = "",
        run: Run | None = None,
    ) -> ApplyReport:
        """Delete the stack's objects; volumes and credentials stay unless ``delete_data``.

        Raises:
            ProtectedError: the environment is protected and its name was not given.
            ApplyError: something could not be deleted.

        """
        from infometis_sdk.engine.teardown import plan_teardown, tear_down

        if delete_data:
            self._named("down --delete-data", confirm_name)
        run = run or Run.within(_UP)
        cluster, manifests = self._cluster(run), self.render()
        with telling_how_it_is(self):
            made = plan_teardown(
                cluster,
                manifests,
                run,
                delete_data=delete_data,
                pinned=self._pins.read(self.stack_id).cluster_uid,
            )
        # Heads that the cluster keeps go with the stack, or stay as they are.
        with self.audit.acting(made, cluster, run, verb="down", reason=reason, keep=False) as act:
            report = tear_down(cluster, made, run, delete_data=delete_data, before=act.before)
            act.done(report.outcomes)
        return attrs.evolve(report, warnings=(*report.warnings, *act.warnings))

    def stop(self, *, confirm_name: str = "", reason: str = "", run: Run | None = None) -> None:
        """Pause the cluster; everything stays.

        Raises:
            PlatformError: the platform cannot pause.

        """
        self._named("stop", confirm_name)
        platform = self.platform
        if not isinstance(platform, StartStop):
            msg = f"platform {self.chosen.name} cannot pause its cluster"
            raise PlatformError(msg)
        with self.audit.ending("stop", reason=reason):
            platform.stop(run or Run.within(_ASK))

    def destroy(self, *, confirm_name: str = "", reason: str = "", run: Run | None = None) -> None:
        """Remove the cluster that the platform made, with everything in it.

        Raises:
            PlatformError: the cluster is not ours to remove.

        """
        self._named("destroy", confirm_name)
        with self.audit.ending("destroy", reason=reason):
            self.platform.destroy(run or Run.within(_ASK))
            self._pins.forget(add_ons_of(self))
            self._door = None
            self._pins.forget(self.stack_id)

    def abandon(self, *, confirm_name: str = "", reason: str = "", run: Run | None = None) -> None:
        """Forget which cluster the stack lives on; nothing is deleted anywhere."""
        del run
        self._named("abandon", confirm_name)
        with self.audit.ending("abandon", reason=reason):
            self._pins.forget(self.stack_id)

    @contextmanager
    def ending(self, verb: str, *, confirm_name: str = "", reason: str = "") -> Iterator[None]:
        """Guard and record what needs no plan and cannot be taken back.

        Raises:
            ProtectedError: the environment is protected and its name was not given.

        """
        self._named(verb, confirm_name)
        with self.audit.ending(verb, reason=reason):
            yield

    def _named(self, verb: str, given: str) -> None:
        if self.environment.preview.of and verb in ("stop", "destroy"):
            msg = f"{self.name} is a preview on a cluster that is not its own"
            raise RefusedError(msg, hint=f"'infometis preview destroy {self.name}' removes it")
        if self.environment.protected and given != self.name:
            msg = f"environment {self.name} is protected: {verb} wants its name typed"
            raise ProtectedError(
                msg, hint=f"infometis {verb} -e {self.name} --confirm-name {self.name}"
            )
