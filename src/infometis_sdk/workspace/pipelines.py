"""How the environments of a pipeline are: what runs where, since when, and what the gates said."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import attrs

from infometis_sdk._adapters.promotion_files import PromotionFiles
from infometis_sdk.errors import InfometisError, RefusedError
from infometis_sdk.model.promotion import PipelineReport, PipelineRow
from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_sdk.model.pipeline import Pipeline
    from infometis_sdk.model.release import Release
    from infometis_sdk.workspace.stack import Stack
    from infometis_sdk.workspace.workspace import Workspace

__all__ = ("pipeline_status",)

_MINUTES = 120.0


def pipeline_status(workspace: Workspace, name: str = "", run: Run | None = None) -> PipelineReport:
    """Look at every environment of a pipeline; see :meth:`.Workspace.pipeline_status`."""
    run = run or Run.within(_MINUTES)
    chosen, pipeline = _choose(workspace.project.pipelines, name)
    files = PromotionFiles(workspace.state_dir / "promotions")
    rows = []
    for environment in pipeline.environments:
        stack = workspace[environment]
        row = PipelineRow(environment=environment)
        try:
            row = _row(stack, row, run)
        except InfometisError as error:
            run.check(f"looking at {environment}")
            row = attrs.evolve(row, status=f"cannot be told: {error.message.splitlines()[0]}")
        rows.append(_with_promotion(stack, row, files))
    return PipelineReport(pipeline=chosen, rows=rows)


def _choose(known: Mapping[str, Pipeline], name: str) -> tuple[str, Pipeline]:
    if not known:
        msg = "the project declares no pipeline"
        raise RefusedError(msg, hint="declare one below 'pipelines' in infometis.yaml")
    if not name and len(known) == 1:
        return next(iter(known.items()))
    if name not in known:
        msg = f"there is no pipeline {name!r}" if name else "there are several pipelines"
        raise RefusedError(msg, hint=f"name one of: {', '.join(known)}")
    return name, known[name]


def _row(stack: Stack, row: PipelineRow, run: Run) -> PipelineRow:
    known = stack.releases(run=run)
    if not known.items:
        return attrs.evolve(row, status="nothing deployed")
    newest, live = known.items[-1], known.live
    status = newest.status + (" (mixed)" if newest.mixed else "")
    if known.problems:
        status = f"{status}; {len(known.problems)} damaged"
    if live is None:
        return attrs.evolve(row, status=status)
    since = live.ended or live.time
    return attrs.evolve(
        row,
        release=live.number,
        status=status,
        bundle=live.bundle,
        services={name: record.digest for name, record in live.services.items()},
        since=since,
        age=_age(since),
        drift=_drift(stack, live, run),
    )


def _age(since: str) -> int:
    try:
        begun = dt.datetime.fromisoformat(since)
    except ValueError:
        return -1
    return max(0, int((dt.datetime.now(dt.UTC) - begun).total_seconds()))


def _drift(stack: Stack, live: Release, run: Run) -> str:
    try:
        found = stack.at_release(live.number, run=run).drift(run=run)
    except InfometisError as error:
        run.check("looking for drift")
        return f"cannot be told: {error.message.splitlines()[0]}"
    count = len(found.items)
    return f"{count} field{'s' * (count != 1)}" if count else "none"


def _with_promotion(stack: Stack, row: PipelineRow, files: PromotionFiles) -> PipelineRow:
    try:
        last = files.read(stack.stack_id)
    except InfometisError as error:
        return attrs.evolve(row, promotion=error.message)
    if last is None:
        return row
    text = f"{last.state} from {last.source}"
    if last.state == "running":
        stage = next((s.name for s in last.stages if not s.done), "")
        text = f"stopped in {stage} from {last.source}; 'infometis promote' goes on"
    return attrs.evolve(
        row,
        promotion=text,
        gates={gate.name: "open" if gate.opened else "closed" for gate in last.gates},
    )
