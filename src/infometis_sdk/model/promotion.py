"""Promotions: gates, stages and what each left as evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from attrs import field, frozen

from infometis_sdk.model.report import Report
from infometis_sdk.model.table import Table

__all__ = (
    "ENDED",
    "STAGES",
    "STATES",
    "Approval",
    "GateResult",
    "PipelineReport",
    "PipelineRow",
    "PromotionReport",
    "StageResult",
)

STAGES = ("validation", "border", "deployment", "integration", "performance")
"""The five stages, in order; the gates stand before ``deployment``, the first that writes."""

STATES = ("running", "succeeded", "failed", "refused", "rolled back", "planned")
"""``planned`` is a dry-run; ``running`` is also what a crash or a cancel leaves, to be resumed."""

ENDED = ("succeeded", "failed", "refused", "rolled back")


@frozen(kw_only=True)
class GateResult:
    """Whether a gate is open.

    Attributes:
        name: such as ``soak``, or ``module:function``.
        opened: whether it is.
        reason: why.
        opens: what would open it; empty where it is open.
        evidence: what it was decided on, as plain data.

    """

    name: str
    opened: bool
    reason: str = ""
    opens: str = ""
    evidence: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class StageResult:
    """What a stage found or did.

    Attributes:
        name: one of :data:`STAGES`.
        state: ``pending``, ``running``, ``passed``, ``failed``, ``not applicable`` or
            ``not reached``.
        detail: one line.
        faults: everything that is wrong.
        evidence: what it rests on, as plain data.
        simulated: the containers it is about do not really run.
        started, ended: UTC, ISO 8601.

    """

    name: str
    state: str = "pending"
    detail: str = ""
    faults: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    evidence: Mapping[str, Any] = field(factory=dict)
    simulated: bool = False
    started: str = ""
    ended: str = ""

    @property
    def done(self) -> bool:
        """Whether it need not be done again."""
        return self.state in ("passed", "not applicable")


@frozen(kw_only=True)
class Approval:
    """A signature over a plan's digest that was checked.

    Attributes:
        principal: who, as the allowed-signers file names the key.
        key: fingerprint of the key.
        others: what else that file calls the same key.

    """

    principal: str
    key: str
    others: tuple[str, ...] = field(default=(), converter=tuple[str, ...])


def _untouched() -> tuple[StageResult, ...]:
    return tuple(StageResult(name=name) for name in STAGES)


@frozen(kw_only=True, repr=False)
class PromotionReport(Report):
    """One promotion, as far as it has come; what is kept, so that it can be resumed.

    Attributes:
        id: its own name.
        source, target: environments.
        pipeline: name of the pipeline; empty where none was declared.
        state: one of :data:`STATES`.
        release: number of the source's Release.
        bundle: id of the Bundle, the core digest that is promoted.
        render: digest of what the target renders of it, which must not change on the way.
        plan: digest of the plan for the target.
        changes: the plan's headline.
        author: who promotes.
        reason: why.
        gates: all of them, as they were last looked at.
        stages: all five.
        target_release: number of the Release that it made.
        started, ended: UTC, ISO 8601.
        seconds: how long this run of it took.
        overhead: seconds of it that were not spent in the deployment and the checks of its
            services.
        warnings: what went wrong without harm.

    """

    id: str
    source: str
    target: str
    pipeline: str = ""
    state: str = "running"
    release: int = 0
    bundle: str = ""
    render: str = ""
    plan: str = ""
    changes: str = ""
    author: str = ""
    reason: str = ""
    gates: tuple[GateResult, ...] = field(default=(), converter=tuple[GateResult, ...])
    stages: tuple[StageResult, ...] = field(factory=_untouched, converter=tuple[StageResult, ...])
    target_release: int = 0
    started: str = ""
    ended: str = ""
    seconds: float = 0.0
    overhead: float = 0.0
    warnings: tuple[str, ...] = field(default=(), converter=tuple[str, ...])

    @property
    def closed(self) -> tuple[GateResult, ...]:
        """The gates that are closed."""
        return tuple(gate for gate in self.gates if not gate.opened)

    def stage(self, name: str) -> StageResult:
        """Return a stage by its name."""
        return next(stage for stage in self.stages if stage.name == name)

    def with_stage(self, stage: StageResult) -> PromotionReport:
        """Return the promotion with that stage as it is now."""
        stages = tuple(stage if each.name == stage.name else each for each in self.stages)
        return attrs.evolve(self, stages=stages)

    def headline(self) -> str:
        """Say what was promoted and how far it came."""
        what = f"release {self.release} ({self.bundle.removeprefix('sha256:')[:12]})"
        return f"promotion of {what} from {self.source} to {self.target}: {self.state}"

    def table(self) -> Table:
        """Show one row a gate and a stage, and below them what is wrong and what would help."""
        gates = [
            ("gate", g.name, "open" if g.opened else "closed", _line(g.reason)) for g in self.gates
        ]
        stages = [
            (
                "stage",
                s.name,
                s.state + (" (simulated)" if s.simulated and s.state == "passed" else ""),
                _line(s.detail),
            )
            for s in self.stages
        ]
        before = STAGES.index("deployment")
        lines = [f"{g.name}: {g.opens}" for g in self.closed if g.opens]
        lines += [f"{s.name}: {fault}" for s in self.stages for fault in s.faults]
        lines += [f"warning: {warning}" for warning in self.warnings]
        if self.changes:
            lines.append(self.changes)
        if self.plan:
            lines.append(f"plan digest {self.plan}")
        return Table(
            title=self.headline(),
            columns=("", "NAME", "STATE", "DETAIL"),
            rows=(*stages[:before], *gates, *stages[before:]),
            footer=lines,
        )


def _line(text: str) -> str:
    return " ".join(text.split())


@frozen(kw_only=True)
class PipelineRow:
    """One environment of a pipeline, as it is now.

    Attributes:
        environment: its name.
        release: number of the Release that runs; 0 for none.
        status: of the newest Release; why it cannot be told, where that is so.
        bundle: id of the Bundle that runs.
        services: service to its core digest.
        since: when it was deployed, UTC.
        age: seconds since then; -1 where not known.
        drift: ``none``, a count, or why it cannot be told.
        promotion: how the last promotion into it ended.
        gates: gates of that promotion, by name.

    """

    environment: str
    release: int = 0
    status: str = ""
    bundle: str = ""
    services: Mapping[str, str] = field(factory=dict)
    since: str = ""
    age: int = -1
    drift: str = ""
    promotion: str = ""
    gates: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True, repr=False)
class PipelineReport(Report):
    """Environments x services, with digests, age, drift and the last gates."""

    pipeline: str
    rows: tuple[PipelineRow, ...] = field(default=(), converter=tuple[PipelineRow, ...])

    def headline(self) -> str:
        """Say how many cores there are."""
        cores = {row.bundle for row in self.rows if row.bundle}
        count = f"{len(cores)} core{'s' * (len(cores) != 1)}"
        return f"pipeline {self.pipeline}: {len(self.rows)} environments, {count}"

    def table(self) -> Table:
        """Show one row an environment and one column a service."""
        services = sorted({name for row in self.rows for name in row.services})
        return Table(
            title=self.headline(),
            columns=(
                "ENVIRONMENT",
                "RELEASE",
                "STATUS",
                "AGE",
                "DRIFT",
                *(name.upper() for name in services),
                "LAST PROMOTION",
                "GATES",
            ),
            rows=tuple(
                (
                    row.environment,
                    str(row.release or ""),
                    row.status,
                    _age(row.age),
                    row.drift,
                    *(row.services.get(n, "").removeprefix("sha256:")[:12] for n in services),
                    row.promotion,
                    ", ".join(f"{name} {state}" for name, state in row.gates.items()),
                )
                for row in self.rows
            ),
        )


def _age(seconds: int) -> str:
    """Write an age in its two largest units.

    Example:
        >>> _age(90061), _age(75), _age(-1)
        ('1d 1h', '1m 15s', '')

    """
    if seconds < 0:
        return ""
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])
