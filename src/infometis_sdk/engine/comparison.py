"""Two environments side by side: what their checks said, and what their probes measured; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs
from attrs import field, frozen

from infometis_sdk.engine.noise import LEAST, against_history, judge, ratio, summary
from infometis_sdk.model.comparison import BehaviourResult, Measure, MeasureResult, Samples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infometis_sdk.engine.checks import CheckResult
    from infometis_sdk.model.comparison import Probe

__all__ = ("Taken", "compare_behaviour", "compare_measures")


@frozen(kw_only=True)
class Taken:
    """What one probe gave on one side.

    Attributes:
        rounds: one mapping of measures a call, warm-up left out.
        error: why it was given up.
        skipped: why it was not called at all.

    """

    rounds: tuple[Mapping[str, Measure], ...] = field(
        default=(), converter=tuple[Mapping[str, Measure], ...]
    )
    error: str = ""
    skipped: str = ""


def compare_behaviour(
    left: Sequence[CheckResult], right: Sequence[CheckResult]
) -> Iterator[BehaviourResult]:
    """Yield one verdict for each check that either side has."""
    ours, theirs = ({(r.service, r.check): r for r in side} for side in (left, right))
    for key in {**ours, **theirs}:
        a, b = ours.get(key), theirs.get(key)
        results = (a.result if a else "absent", b.result if b else "absent")
        details = [each.detail for each in (a, b) if each and each.detail]
        yield BehaviourResult(
            service=key[0],
            check=key[1],
            a=results[0],
            b=results[1],
            verdict=_behaviour(*results),
            detail="; ".join(dict.fromkeys(details)),
        )


def _behaviour(a: str, b: str) -> str:
    if {a, b} & {"not applicable", "not run"}:
        return "not applicable"
    if a == b:
        return "same" if a == "passed" else "failed"
    return "worse" if a == "passed" else "better"


def compare_measures(
    probe: Probe, a: Taken, b: Taken, earlier: Mapping[str, Sequence[float]], confidence: float
) -> Iterator[MeasureResult]:
    """Yield one verdict for each number that a probe gave.

    Args:
        probe: what was called.
        a: what it gave on the one side.
        b: what it gave on the other, which is judged.
        earlier: measure to the medians of B's earlier runs, oldest first.
        confidence: of the intervals.

    """
    skipped = a.skipped or b.skipped
    if skipped or a.error or b.error:
        errors = [taken.error for taken in (a, b)]
        yield MeasureResult(
            probe=probe.name,
            service=probe.service,
            a=Samples(error=errors[0]),
            b=Samples(error=errors[1]),
            verdict="not applicable" if skipped else "failed",
            detail=skipped or "; ".join(dict.fromkeys(error for error in errors if error)),
        )
        return
    names = dict.fromkeys(name for taken in (a, b) for round_ in taken.rounds for name in round_)
    for name in names:
        yield _measure(probe, name, a, b, earlier=earlier.get(name, ()), confidence=confidence)


def _measure(
    probe: Probe,
    name: str,
    a: Taken,
    b: Taken,
    *,
    earlier: Sequence[float],
    confidence: float,
) -> MeasureResult:
    sides = [[round_.get(name) for round_ in taken.rounds] for taken in (a, b)]
    given = [measure for side in sides for measure in side if measure is not None]
    first = given[0]
    base = MeasureResult(probe=probe.name, measure=name, service=probe.service, unit=first.unit)
    shapes = {(m.unit, m.better, m.tolerance) for m in given}
    if len(given) < sum(map(len, sides)):
        return _failed(base, "it was not given in every round")
    if len(shapes) > 1:
        words = " and ".join(sorted(f"{unit} ({way} is better)" for unit, way, _ in shapes))
        return _failed(base, f"units or tolerances differ: {words}")
    values = [[m.value for m in side if m is not None] for side in sides]
    middle, low, high = ratio(values[0], values[1], confidence)
    samples = [summary(side) for side in values]
    enough = min(map(len, values)) >= LEAST
    verdict = judge(low, high, better=first.better, tolerance=first.tolerance)
    if not enough:
        verdict = "unclear"
    return MeasureResult(
        probe=probe.name,
        measure=name,
        service=probe.service,
        unit=first.unit,
        better=first.better,
        tolerance=first.tolerance,
        a=samples[0],
        b=samples[1],
        ratio=middle,
        low=low,
        high=high,
        verdict=verdict,
        history=against_history(
            samples[1].median, earlier, better=first.better, tolerance=first.tolerance
        ),
        earlier=tuple(earlier),
        detail=_unclear(enough=enough) if verdict == "unclear" else "",
    )


def _unclear(*, enough: bool) -> str:
    return "more rounds may tell" if enough else f"fewer than {LEAST} rounds tell nothing"


def _failed(base: MeasureResult, why: str) -> MeasureResult:
    return attrs.evolve(base, verdict="failed", detail=why)
