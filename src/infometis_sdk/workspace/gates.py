"""Look at everything that the gates of a promotion are decided on."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from attrs import frozen

from infometis_sdk.engine.promoting.gates import (
    approval_gate,
    authors_of,
    backup_gate,
    drift_gate,
    equivalence_gate,
    evidence_gate,
    soak_gate,
)
from infometis_sdk.errors import InfometisError
from infometis_sdk.model.plan import Plan
from infometis_sdk.model.promotion import GateResult
from infometis_sdk.model.release import Release
from infometis_sdk.workspace.cluster_life import BACKUP
from infometis_sdk.workspace.functions import ask
from infometis_sdk.workspace.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from infometis_sdk.model.pipeline import PipelineStep
    from infometis_sdk.model.promotion import Approval
    from infometis_sdk.model.run import Run
    from infometis_sdk.workspace.workspace import Workspace

__all__ = ("GateContext", "gates_of", "newest_backup")


@frozen(kw_only=True)
class GateContext:
    """What a gate function of a project's own is called with.

    Attributes:
        source: the Stack whose Release is promoted.
        target: the Stack that would get it, with the source's Bundle.
        release: what is promoted.
        plan: what would be done to the target.

    Example:
        .. code-block:: python

            def business_hours(context):
                hour = datetime.now(UTC).hour
                return True if 8 <= hour < 16 else "wait until 08:00 UTC"

    """

    source: Stack
    target: Stack
    release: Release
    plan: Plan


def gates_of(
    workspace: Workspace,
    step: PipelineStep,
    context: GateContext,
    run: Run,
    *,
    approvals: Sequence[Path],
    promoter: str,
) -> Iterator[GateResult]:
    """Look at each gate; what cannot be looked at is closed and says why.

    Args:
        workspace: of the project.
        step: what is demanded.
        context: what it is demanded of.
        run: deadline and cancel token.
        approvals: signature files.
        promoter: who promotes, who may not approve.

    Raises:
        CancelledError: the caller cancelled.
        DeadlineError: the time is used up.

    """
    gates, source, target = step.gates, context.source, context.target
    now = dt.datetime.now(dt.UTC)
    simulated = [each.name for each in (source, target) if each._simulated]  # noqa: SLF001
    yield evidence_gate(simulated, step.allow)
    if gates.soak:
        yield soak_gate(context.release, gates.soak, now)
    if gates.drift:
        yield _drift(source, context.release, run)
    if gates.equivalence:
        yield _equivalence(workspace, source, context.release, gates.equivalence, run)
    if gates.backup:
        yield backup_gate(newest_backup(target), gates.backup, target.name, now)
    if gates.approvals:
        yield _approvals(workspace, step, context, approvals, promoter)
    for name in gates.functions:
        wrong = ask(name, context, workspace.project.root, gates.timeout, run)
        opens = f"see {name}" if wrong else ""
        yield GateResult(name=name, opened=not wrong, reason=wrong or "it says yes", opens=opens)


def _unseen(name: str, error: InfometisError) -> GateResult:
    why = f"it cannot be looked at: {error.message}"
    return GateResult(name=name, opened=False, reason=why, opens=error.hint or "mend that")


def _drift(source: Stack, release: Release, run: Run) -> GateResult:
    try:
        then = source.at_release(release.number, run=run)
        return drift_gate(then.drift(run=run), source.name)
    except InfometisError as error:
        run.check("looking for drift")
        return _unseen("drift", error)


def _equivalence(
    workspace: Workspace, source: Stack, release: Release, worst: str, run: Run
) -> GateResult:
    try:
        report = workspace.prove(f"{source.name}@{release.number}", source.name, run=run)
        return equivalence_gate(report, worst)
    except InfometisError as error:
        run.check("proving the source")
        return _unseen("equivalence", error)


def newest_backup(target: Stack) -> str:
    """Return when the newest backup was made that the target's audit knows of."""
    found = target.audit.timeline(kind="write").events
    made = [e.time for e in found if e.verb == BACKUP and e.result == "done"]
    return max(made, default="")


def _approvals(
    workspace: Workspace,
    step: PipelineStep,
    context: GateContext,
    files: Sequence[Path],
    promoter: str,
) -> GateResult:
    from infometis_sdk._adapters.ssh_signatures import check_signature

    gates, digest = step.gates, context.plan.digest
    signers = (workspace.project.root or _here()) / gates.signers
    good: list[Approval] = []
    wrong = []
    for file in files:
        try:
            good.append(check_signature(file, digest, signers))
        except InfometisError as error:
            wrong.append(error.message)
    found = approval_gate(good, gates.approvals, authors_of(context.release, promoter), digest)
    if not wrong:
        return found
    return GateResult(
        name=found.name,
        opened=found.opened,
        reason="; ".join((found.reason, *wrong)),
        opens=found.opens,
        evidence=found.evidence,
    )


def _here() -> Path:
    from pathlib import Path

    return Path()
