"""Promote what runs in one environment to the next: gates, five stages, and a record of each.

Every stage leaves the record on disk before it begins and after it ended, so that a promotion that
was killed goes on with the stage that it was in; each stage may be repeated.
The first two only read, then come the gates, and only then the first write.
"""

# ruff: noqa: SLF001 - a promotion acts through the inner doors of the two stacks

from __future__ import annotations

import datetime as dt
import secrets
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from infometis_sdk._adapters.actor import actor
from infometis_sdk._adapters.promotion_files import PromotionFiles
from infometis_sdk.engine.objects.inventory_id import parent_name
from infometis_sdk.engine.promote import choose, eligible, render_digest, resumable
from infometis_sdk.engine.writing.lease import Writer
from infometis_sdk.errors import (
    CancelledError,
    DeadlineError,
    ForbiddenError,
    GateError,
    InfometisError,
    NotFoundError,
    PromotionError,
    ProtectedError,
    RefusedError,
)
from infometis_sdk.model.promotion import ENDED, GateResult, PromotionReport, StageResult
from infometis_sdk.model.run import Event, Run
from infometis_sdk.workspace.gates import GateContext, gates_of
from infometis_sdk.workspace.stages import Stages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infometis_sdk.model.plan import Plan
    from infometis_sdk.model.release import Release
    from infometis_sdk.workspace.stack import Stack
    from infometis_sdk.workspace.workspace import Workspace

__all__ = ("HOUR", "Request", "promote")

HOUR = 3600.0


@frozen(kw_only=True)
class Request:
    """How a promotion is asked for; see :meth:`.Workspace.promote`."""

    pipeline: str = ""
    dry_run: bool = False
    approvals: tuple[Path, ...] = field(default=(), converter=tuple[Path, ...])
    allow: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    confirm: str = ""
    reason: str = ""
    rollback: bool = False


def promote(
    workspace: Workspace, source: str, target: str, request: Request, run: Run | None = None
) -> PromotionReport:
    """Promote; see :meth:`.Workspace.promote`."""
    run = run or Run.within(HOUR)
    name, step = choose(workspace.project.pipelines, source, target, request.pipeline)
    step = attrs.evolve(
        step,
        allow=(*step.allow, *request.allow),
        rollback=step.rollback or request.rollback,
    )
    begun = time.monotonic()
    from_stack = workspace[source]
    run.emit(Event(name="promotion", subject="look at the source", state="started"))
    release = eligible(from_stack.releases(run=run))
    bundle = from_stack.store(run).bundle(release, run)
    run.emit(Event(name="promotion", subject="look at the source", state="finished"))
    to_stack = workspace[target].with_bundle(bundle)
    manifests = to_stack._valid()
    fresh = PromotionReport(
        id=secrets.token_hex(6),
        source=source,
        target=target,
        pipeline=name,
        release=release.number,
        bundle=release.bundle,
        render=render_digest(manifests),
        author=actor(),
        reason=request.reason,
        started=_now(),
    )
    stages = Stages(workspace, from_stack, to_stack, manifests=manifests, step=step, run=run)
    work = _Promotion(workspace, stages, release=release, request=request, fresh=fresh, begun=begun)
    return work.rehearse() if request.dry_run else work.perform()


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


class _Promotion:
    """One promotion on its way."""

    def __init__(
        self,
        workspace: Workspace,
        stages: Stages,
        *,
        release: Release,
        request: Request,
        fresh: PromotionReport,
        begun: float,
    ) -> None:
        self._workspace, self._stages, self._request = workspace, stages, request
        self._release, self._begun = release, begun
        self._files = PromotionFiles(workspace.state_dir / "promotions")
        self._report = fresh
        self._run = stages.run
        self._plan: Plan | None = None

    @property
    def _target(self) -> Stack:
        return self._stages.target

    # --- the whole ----------------------------------------------------------------------------

    def rehearse(self) -> PromotionReport:
        """Look at everything and change nothing."""
        self._stages.connect(make=False)
        if not self._stages.reachable:
            self._early_gates()
            why = f"there is no cluster of {self._target.name} yet; the promotion makes it"
            unseen = StageResult(name="validation", state="not reached", detail=why)
            self._report = self._report.with_stage(unseen)
            return self._ended("planned")
        plan = self._planned()
        for stage in (
            self._stages.validation(StageResult(name="validation"), plan),
            self._stages.border(StageResult(name="border")),
        ):
            self._report = self._report.with_stage(stage)
        self._gates(plan)
        shown = StageResult(
            name="deployment",
            state="not reached",
            detail=f"would do: {plan.headline()}",
            evidence={"items": [f"{item.action} {item.ref}" for item in plan.items]},
        )
        self._report = self._report.with_stage(shown)
        return self._ended("planned")

    def perform(self) -> PromotionReport:
        """Promote, or go on with what a crash or a cancel left."""
        stack_id = self._target.stack_id
        with self._files.alone(stack_id), ExitStack() as held:
            last = self._files.read(stack_id)
            if resumable(last, self._report) and last is not None:
                self._resume(last)
            self._stages.connect(make=self._began)
            if self._done_before(last):
                return self._report
            held.enter_context(self._alone())
            self._save()
            self._prepare()
            self._go_back()
            self._write()
            return self._ended("succeeded")

    def _resume(self, last: PromotionReport) -> None:
        """Go on with what was written; before the first write, what was read is read anew."""
        stages = self._report.stages
        self._report = attrs.evolve(last, warnings=(*last.warnings, f"resumed {_now()}"))
        if not self._began:
            self._report = attrs.evolve(self._report, stages=stages)

    @property
    def _began(self) -> bool:
        """Whether the first write was begun, so that the gates were open."""
        return self._report.stage("deployment").state != "pending"

    def _done_before(self, last: PromotionReport | None) -> bool:
        """Whether this very Release was promoted already and nothing moved since."""
        if last is None or last.state != "succeeded":
            return False
        keys = ("source", "release", "bundle", "render")
        if any(getattr(last, key) != getattr(self._report, key) for key in keys):
            return False
        if not self._stages.reachable or not self._planned().empty:
            return False
        note = "it was promoted before; nothing to do"
        self._report = attrs.evolve(last, warnings=(note,), seconds=self._spent)
        return True

    def _prepare(self) -> None:
        """Do what only reads, and look at the gates; refuse where anything is wrong."""
        if self._began:
            return
        if not self._stages.reachable:
            self._early_gates()
            if closed := self._report.closed:
                self._refuse([gate.name for gate in closed])
            self._stages.connect(make=True)
        begun = time.monotonic()
        plan = self._plan = self._planned()
        self._stages.busy += time.monotonic() - begun  # an `up` plans too
        self._stage("validation", lambda stage: self._stages.validation(stage, plan))
        self._stage("border", self._stages.border)
        faulty = [s for s in self._report.stages if s.state == "failed"]
        self._gates(plan)
        self._save()
        for gate in self._report.gates:
            self._recorded_gate(gate)
        closed = self._report.closed
        if closed or faulty:
            self._refuse([*(s.name for s in faulty), *(g.name for g in closed)])
        self._protected(plan)

    def _go_back(self) -> None:
        """End what had failed when it was killed: what runs by now may pass what failed then."""
        for stage in self._report.stages:
            if self._began and stage.state == "failed":
                self._after_failure(stage, None)

    def _write(self) -> None:
        stages = self._stages
        self._stage("deployment", self._deploy)
        self._stage("integration", stages.integration)
        self._stage("performance", stages.performance)

    def _deploy(self, stage: StageResult) -> StageResult:
        # What to go back to is known before the first write, also to whoever resumes this.
        known = self._target.releases(run=self._run)
        before, newest = known.live, known.items[-1] if known.items else None
        evidence = {
            "before": before.number if before else 0,
            "newest": newest.number if newest else 0,
            **stage.evidence,
        }
        stage = attrs.evolve(stage, evidence=evidence)
        self._keep(stage)
        # What the gates were opened for. What is left of it after a crash is less than that, and
        # has another digest.
        plan = self._plan or self._planned()
        confirm = self._request.confirm
        if self._stages.step.gates.approvals or plan.digest != self._report.plan:
            confirm = plan.digest
        result, number = self._stages.deployment(stage, plan, confirm, self._why)
        self._report = attrs.evolve(
            self._report, target_release=number or self._report.target_release
        )
        return result

    @property
    def _why(self) -> str:
        report = self._report
        text = f"promotion {report.id} of release {report.release} of {report.source}"
        return f"{text}: {report.reason}" if report.reason else text

    # --- gates --------------------------------------------------------------------------------

    def _planned(self) -> Plan:
        stages = self._stages
        return self._target._draft(stages.manifests, stages.cluster, self._run)

    def _gates(self, plan: Plan) -> None:
        self._run.emit(Event(name="promotion", subject="gates", state="started"))
        context = GateContext(
            source=self._stages.source, target=self._target, release=self._release, plan=plan
        )
        gates = gates_of(
            self._workspace,
            self._stages.step,
            context,
            self._run,
            approvals=self._request.approvals,
            promoter=self._report.author,
        )
        self._report = attrs.evolve(
            self._report, gates=tuple(gates), plan=plan.digest, changes=plan.headline()
        )
        count = len(self._report.closed)
        self._run.emit(
            Event(
                name="promotion",
                subject="gates",
                state="failed" if count else "finished",
                detail=f"{count} closed" if count else "",
            )
        )

    def _early_gates(self) -> None:
        """Before a cluster is made for the target, look at what needs none."""
        step = self._stages.step
        bare = attrs.evolve(step.gates, approvals=0, functions=())
        gates = gates_of(
            self._workspace,
            attrs.evolve(step, gates=bare),
            GateContext(
                source=self._stages.source,
                target=self._target,
                release=self._release,
                plan=self._stages.no_plan(),
            ),
            self._run,
            approvals=(),
            promoter=self._report.author,
        )
        self._report = attrs.evolve(self._report, gates=tuple(gates))

    def _refuse(self, names: list[str]) -> None:
        report = self._ended("refused")
        reasons = [f"{g.name}: {g.reason}; {g.opens}".rstrip("; ") for g in report.closed]
        reasons += [f"{s.name}: {fault}" for s in report.stages for fault in s.faults]
        lines = "\n".join(f"  - {reason}" for reason in reasons)
        msg = f"{report.target} may not be written to yet: {', '.join(names)}\n{lines}"
        raise GateError(msg, report=report, hint="nothing was changed; run it again once it is so")

    def _protected(self, plan: Plan) -> None:
        step, given = self._stages.step, self._request.confirm
        wanted = self._target.environment.protected or bool(plan.confirm)
        if not wanted or plan.empty or step.gates.approvals or given == plan.digest:
            return
        self._ended("refused")
        why = plan.confirm or "it is protected"
        msg = f"the plan for {self._report.target} wants to be looked at first: {why}"
        raise ProtectedError(
            msg,
            hint="'infometis promote --dry-run' shows it; "
            f"then repeat with --confirm {plan.digest}, or declare approvals",
        )

    # --- stages -------------------------------------------------------------------------------

    def _stage(self, name: str, work: Callable[[StageResult], StageResult]) -> None:
        before = self._report.stage(name)
        if before.done:
            return
        self._run.check(f"promoting, before {name}")
        begun = attrs.evolve(before, state="running", started=before.started or _now(), faults=())
        self._keep(begun)
        self._audit("promotion", verb=name, phase="begin")
        self._run.emit(Event(name="promotion", subject=name, state="started"))
        try:
            result = work(begun)
        except (CancelledError, DeadlineError):
            raise  # it stays "running", and goes on where it was
        except InfometisError as error:
            kept = self._report.stage(name)
            result = attrs.evolve(kept, state="failed", faults=(error.message,))
            self._finish(result)
            self._after_failure(result, error)
            return
        self._finish(result)
        if result.state == "failed":
            self._after_failure(result, None)

    def _finish(self, result: StageResult) -> None:
        result = attrs.evolve(result, ended=_now())
        self._keep(result)
        self._audit(
            "promotion",
            verb=result.name,
            phase="end",
            result=result.state,
            evidence={"subject": result.detail, "faults": list(result.faults)},
        )
        state = "failed" if result.state == "failed" else "finished"
        self._run.emit(
            Event(name="promotion", subject=result.name, state=state, detail=result.detail)
        )

    def _after_failure(self, result: StageResult, error: InfometisError | None) -> None:
        """Stop before the first write with all that is wrong; after it, go back if asked."""
        if result.name in ("validation", "border"):
            return  # the gates are looked at too, so that everything is told at once
        state, wrote = "failed", self._wrote(result)
        if self._stages.step.rollback and wrote:
            state = self._roll_back()
        report = self._ended(state)
        faults = "\n".join(f"  - {fault}" for fault in result.faults)
        msg = f"{result.name} of the promotion to {report.target} failed:\n{faults}"
        hint = f"'infometis rollback -e {report.target}' goes back"
        if not wrote:
            hint = error.hint if error else ""
        elif state == "rolled back":
            hint = ""
        raise PromotionError(msg, report=report, hint=hint) from error

    def _wrote(self, failed: StageResult) -> bool:
        """Whether anything was written: a Release is opened before the first write."""
        evidence = self._report.stage("deployment").evidence
        if failed.name != "deployment":
            return True
        if "newest" not in evidence:
            return False  # it failed before it looked
        try:
            known = self._target.releases(run=self._run)
        except InfometisError:
            return True  # nobody can tell
        return any(release.number > evidence["newest"] for release in known.items)

    def _roll_back(self) -> str:
        before = int(self._report.stage("deployment").evidence.get("before", 0))
        if not before:
            self._warn("there is no earlier release to return to")
            return "failed"
        self._run.emit(Event(name="promotion", subject="rollback", state="started"))
        try:
            self._stages.rollback(before, f"promotion {self._report.id} failed")
        except InfometisError as error:
            self._warn(f"it could not be rolled back: {error.message}")
            return "failed"
        self._run.emit(Event(name="promotion", subject="rollback", state="finished"))
        return "rolled back"

    # --- keeping ------------------------------------------------------------------------------

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold a Lease in the target, since a promotion may be asked for on two machines.

        Where the home namespace is not there yet, the number of the first Release decides.
        """
        target, cluster = self._target, self._stages.cluster_or_none
        namespace = self._stages.manifests.namespace
        lease = (
            Writer(
                cluster,
                target.stack_id,
                namespace,
                self._run,
                patience=0.0,
                name=f"{parent_name(target.stack_id)}-promotion",
            )
            if cluster is not None
            else None
        )
        if lease is None:
            yield
            return
        try:
            lease.__enter__()
        except (NotFoundError, ForbiddenError):
            yield
            return
        try:
            yield
        finally:
            lease.__exit__(None, None, None)
            self._stages.forget_lease(lease.ref)

    def _keep(self, stage: StageResult) -> None:
        self._report = self._report.with_stage(stage)
        self._save()

    def _save(self) -> None:
        try:
            self._files.write(self._target.stack_id, self._report)
        except OSError as error:
            msg = f"the promotion cannot be remembered: {error.strerror}"
            raise RefusedError(msg, hint="make room, then run it again") from error

    @property
    def _spent(self) -> float:
        return time.monotonic() - self._begun

    def _ended(self, state: str) -> PromotionReport:
        seconds = self._spent
        self._report = attrs.evolve(
            self._report,
            state=state,
            ended=_now(),
            seconds=seconds,
            overhead=max(0.0, seconds - self._stages.busy),
        )
        if state in ENDED:
            self._save()
        return self._report

    def _warn(self, text: str) -> None:
        self._report = attrs.evolve(self._report, warnings=(*self._report.warnings, text))

    def _recorded_gate(self, gate: GateResult) -> None:
        result = "opened" if gate.opened else "closed"
        evidence: dict[str, Any] = {"subject": gate.reason, **gate.evidence}
        self._audit("gate", verb=gate.name, result=result, evidence=evidence)
        if gate.name == "approvals":
            for name in gate.evidence.get("approved", ()):
                self._audit("approval", verb="sign", evidence={"subject": name})
        if gate.name == "evidence" and gate.evidence.get("simulated") and gate.opened:
            self._audit("override", verb="simulated", evidence={"subject": gate.reason})

    def _audit(self, kind: str, **fields: Any) -> None:  # noqa: ANN401 - fields of AuditEvent
        self._target.audit.record(
            kind,
            action=self._report.id,
            reason=self._report.reason,
            plan=self._report.plan,
            **fields,
        )
