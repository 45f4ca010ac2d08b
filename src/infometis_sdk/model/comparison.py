"""What a comparison of two environments says: behaviour and performance, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import field, frozen

from infometis_sdk.model.report import Report
from infometis_sdk.model.table import Table, shortened

__all__ = (
    "BETTER",
    "MEASURE_VERDICTS",
    "BehaviourResult",
    "ComparisonReport",
    "Measure",
    "MeasureResult",
    "Probe",
    "Samples",
)

BETTER = ("lower", "higher")
MEASURE_VERDICTS = ("better", "same", "unclear", "worse", "failed", "not applicable")
"""``unclear``: the noise is larger than the tolerance, so nothing is said either way."""


@frozen
class Measure:
    """A number with its unit, as a probe returns it.

    Attributes:
        value: finite.
        unit: such as ``ms``, ``MB/s`` or ``documents``.
        better: which way is an improvement: ``lower`` or ``higher``.
        tolerance: how much worse is still the same, as a part of the other side's value.

    Example:
        >>> Measure(12.5, "ms")
        Measure(value=12.5, unit='ms', better='lower', tolerance=0.1)

    """

    value: float
    unit: str
    better: str = field(default="lower", kw_only=True)
    tolerance: float = field(default=0.1, kw_only=True)


@frozen(kw_only=True)
class Probe:
    """A function that measures one environment.

    Attributes:
        name: unique in a project, such as ``kafka.publish``.
        function: called with the environment's :class:`~infometis_sdk.workspace.stack.Stack`;
            returns one :class:`Measure`, or several by name.
        service: whose behaviour it is; empty for the stack as a whole.
        needs_containers: it measures what containers do, so on a simulated cluster it is not run.
        timeout: seconds that one call may take.

    Example:
        >>> Probe(name="answer", function=lambda stack: Measure(1.0, "ms")).timeout
        60.0

    """

    name: str
    function: Callable[[Any], Measure | Mapping[str, Measure]] = field(eq=False)
    service: str = ""
    needs_containers: bool = True
    timeout: float = 60.0


@frozen(kw_only=True)
class Samples:
    """Everything that one measure gave on one side, warm-up left out.

    Attributes:
        values: in the order in which they were taken.
        median: the middle value.
        spread: median absolute deviation from the median, times 1.4826,
            which is the standard deviation where the noise is normal.
        error: why there are none.

    """

    values: tuple[float, ...] = field(default=(), converter=tuple[float, ...])
    median: float = 0.0
    spread: float = 0.0
    error: str = ""


@frozen(kw_only=True)
class BehaviourResult:
    """One functional check on both sides.

    Attributes:
        a, b: ``passed``, ``failed``, ``not applicable``, ``not run`` or ``absent``.
        verdict: ``same``, ``worse`` (passed on A and not on B), ``better``, ``failed`` (on both)
            or ``not applicable``.
        detail: why, in one line.

    """

    service: str
    check: str
    a: str
    b: str
    verdict: str
    detail: str = ""


@frozen(kw_only=True)
class MeasureResult:
    """One measure on both sides.

    Attributes:
        probe, measure: which; the measure is empty where the probe gives one number.
        ratio: how much larger B is than A, as a factor; 0 where it is not known.
        low, high: interval of the ratio that holds with the report's confidence.
        verdict: of B against A, one of :data:`MEASURE_VERDICTS`.
        history: the same word for B against its own earlier runs; empty without enough of them.
        earlier: medians of B's earlier runs, oldest first.
        detail: why, in one line.

    """

    probe: str
    measure: str = ""
    service: str = ""
    unit: str = ""
    better: str = "lower"
    tolerance: float = 0.1
    a: Samples = Samples()
    b: Samples = Samples()
    ratio: float = 0.0
    low: float = 0.0
    high: float = 0.0
    verdict: str = "unclear"
    history: str = ""
    earlier: tuple[float, ...] = field(default=(), converter=tuple[float, ...])
    detail: str = ""

    @property
    def name(self) -> str:
        """Probe and measure."""
        return f"{self.probe} {self.measure}".rstrip()


@frozen(kw_only=True, repr=False)
class ComparisonReport(Report):
    """Behaviour and performance of two environments, side by side.

    Attributes:
        a, b: names of the environments; B is judged against A.
        behaviour: functional checks.
        measures: performance probes.
        simulated: names of the sides whose containers do not really run.
        confidence: of the intervals.

    """

    a: str
    b: str
    behaviour: tuple[BehaviourResult, ...] = field(
        default=(), converter=tuple[BehaviourResult, ...]
    )
    measures: tuple[MeasureResult, ...] = field(default=(), converter=tuple[MeasureResult, ...])
    simulated: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    confidence: float = 0.95
    rounds: int = 0
    time: str = ""
    seconds: float = 0.0
    notes: tuple[str, ...] = field(default=(), converter=tuple[str, ...])

    @property
    def worse(self) -> tuple[BehaviourResult | MeasureResult, ...]:
        """What regressed from A to B, or could not be done on B."""
        bad = ("worse", "failed")
        return (
            *(found for found in self.behaviour if found.verdict in bad),
            *(found for found in self.measures if found.verdict in bad or found.history == "worse"),
        )

    @property
    def passed(self) -> bool:
        """Whether nothing regressed; what is unclear or not applicable did not."""
        return not self.worse

    def headline(self) -> str:
        """Count the verdicts."""
        verdicts = [each.verdict for each in self.behaviour]
        verdicts += [each.verdict for each in self.measures]
        counts = {verdict: verdicts.count(verdict) for verdict in dict.fromkeys(verdicts)}
        text = ", ".join(f"{n} {verdict}" for verdict, n in counts.items()) or "nothing to compare"
        kind = f" (simulated: {', '.join(self.simulated)})" if self.simulated else ""
        return f"{self.a} and {self.b}: {text}{kind}"

    def table(self) -> Table:
        """Show one row a check and one a measure."""
        rows: list[tuple[str, ...]] = [
            (each.verdict, each.service, each.check, each.a, each.b, "", "", each.detail)
            for each in self.behaviour
        ]
        rows += [_row(each) for each in self.measures]
        return Table(
            title=self.headline(),
            columns=(
                "VERDICT",
                "SERVICE",
                "CHECK",
                self.a.upper(),
                self.b.upper(),
                "RATIO",
                "HISTORY",
                "WHY",
            ),
            rows=tuple((*row[:-1], shortened(row[-1])) for row in rows),
            footer=tuple(self._notes()),
        )

    def _notes(self) -> Iterator[str]:
        yield from (f"note: {note}" for note in self.notes)

    def to_html(self) -> str:
        """Return one page with charts that opens without a network."""
        from infometis_sdk.model.comparison_page import page  # noqa: PLC0415 - only when drawn

        return page(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON and YAML, with the verdict as a whole."""
        return {**super().to_dict(), "passed": self.passed}


def _row(found: MeasureResult) -> tuple[str, ...]:
    ratio = f"{found.ratio:.2f} [{found.low:.2f}, {found.high:.2f}]" if found.ratio else ""
    return (
        found.verdict,
        found.service,
        found.name,
        _amount(found.a, found.unit),
        _amount(found.b, found.unit),
        ratio,
        found.history,
        found.detail,
    )


def _amount(samples: Samples, unit: str) -> str:
    if not samples.values:
        return ""
    return f"{samples.median:.3g} ± {samples.spread:.2g} {unit}".rstrip()
