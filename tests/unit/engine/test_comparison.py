"""Two environments side by side, on values; and the page that shows it."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

import attrs
import pytest

from infometis_sdk.engine.checks import CheckResult
from infometis_sdk.engine.comparison import Taken, compare_behaviour, compare_measures
from infometis_sdk.model.comparison import ComparisonReport, Measure, MeasureResult, Probe


def probe(name: str = "kafka.publish") -> Probe:
    """Return a probe that is never called."""
    return Probe(name=name, function=lambda _: {}, service="kafka")


def taken(*values: float, unit: str = "ms", better: str = "lower", name: str = "") -> Taken:
    """Return what a probe gave, one value a round."""
    return Taken(rounds=tuple({name: Measure(v, unit, better=better)} for v in values))


def one(a: Taken, b: Taken, earlier: tuple[float, ...] = ()) -> MeasureResult:
    """Return the verdict on one measure."""
    (found,) = compare_measures(probe(), a, b, {"": earlier}, 0.95)
    return found


FAST = taken(*(10 + n / 10 for n in range(10)))
SLOW = taken(*(20 + n / 10 for n in range(10)))


def check(result: str, detail: str = "") -> tuple[CheckResult, ...]:
    """Return how one check went."""
    return (CheckResult(service="nifi", check="ui", result=result, detail=detail),)


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ("passed", "passed", "same"),
        ("passed", "failed", "worse"),
        ("failed", "passed", "better"),
        ("failed", "failed", "failed"),
        ("passed", "not run", "not applicable"),
        ("not applicable", "not applicable", "not applicable"),
    ],
)
def test_checks_side_by_side(a: str, b: str, verdict: str) -> None:
    """B is judged against A; what was not asked is never called passed."""
    (found,) = compare_behaviour(check(a), check(b, "HTTP 503"))
    assert (found.verdict, found.detail) == (verdict, "HTTP 503")


def test_a_check_of_one_side_only() -> None:
    """A check that B lacks is a regression, and one that only B has is none."""
    (gone,) = compare_behaviour(check("passed"), ())
    (new,) = compare_behaviour((), check("passed"))
    assert (gone.b, gone.verdict, new.a, new.verdict) == ("absent", "worse", "absent", "better")


def test_measures_side_by_side() -> None:
    """Medians, ratio and verdict of a probe, and its history."""
    found = one(FAST, SLOW, earlier=(10.0, 10.2, 9.9, 10.1, 10.0))
    assert (found.verdict, found.history, found.unit) == ("worse", "worse", "ms")
    assert found.a.median == pytest.approx(10.45)
    assert found.low > 1.8
    assert one(SLOW, FAST).verdict == "better"
    assert one(FAST, FAST).verdict == "same"


def test_what_is_no_answer_fails() -> None:
    """An error, other units on the two sides, a number that comes and goes: none is hidden."""
    broken = one(Taken(error="dev: it failed: ValueError: no"), FAST)
    assert (broken.verdict, broken.detail) == ("failed", "dev: it failed: ValueError: no")
    units = one(FAST, taken(1, 2, 3, unit="s"))
    assert units.verdict == "failed"
    assert "ms (lower is better) and s (lower is better)" in units.detail
    rounds = (*FAST.rounds, {"other": Measure(1, "ms")})
    found = list(compare_measures(probe(), attrs.evolve(FAST, rounds=rounds), FAST, {}, 0.95))
    assert {f.verdict for f in found} == {"failed"}


def test_simulated_sides_are_not_applicable() -> None:
    """What was not run is neither passed nor failed."""
    skipped = Taken(skipped="containers of dev are simulated")
    found = one(skipped, skipped)
    assert (found.verdict, found.detail) == ("not applicable", "containers of dev are simulated")


def report() -> ComparisonReport:
    """Return a report with one of each."""
    hostile = probe("<script>alert(1)</script>")
    return ComparisonReport(
        a="dev",
        b='u"at',
        behaviour=tuple(compare_behaviour(check("passed"), check("failed", "<b>503</b>"))),
        measures=(
            one(FAST, SLOW, earlier=(10.0, 10.1)),
            one(FAST, FAST),
            *compare_measures(hostile, FAST, Taken(error="it </td> failed"), {}, 0.95),
        ),
        simulated=("dev",),
        rounds=10,
        time="2026-01-01T00:00:00+00:00",
        notes=("dev: containers are simulated",),
    )


def test_the_report_says_what_is_worse() -> None:
    """Regressions, failures and a worse history do not pass; all else does."""
    found = report()
    assert not found.passed
    assert len(found.worse) == 3
    assert attrs.evolve(found, behaviour=(), measures=found.measures[1:2]).passed
    history = attrs.evolve(found.measures[1], history="worse")
    assert not attrs.evolve(found, behaviour=(), measures=(history,)).passed
    assert "simulated: dev" in found.headline()
    text = str(found)
    assert re.search(r"worse +kafka +kafka\.publish +10\.4 ± 0\.37 ms", text) is not None, text
    data = json.loads(json.dumps(found.to_dict()))
    assert (data["passed"], data["measures"][0]["verdict"]) == (False, "worse")
    assert "&lt;script&gt;" in found._repr_html_()


def test_the_page_needs_no_network_and_trusts_no_text() -> None:
    """No script, nothing fetched, everything escaped, and every chart is well-formed."""
    page = report().to_html()
    assert "<script" not in page
    assert not re.search(r"(?:src|href|url|@import)\s*[=(]", page)
    assert set(re.findall(r"https?://[^\"\s]+", page)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in page
    charts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(charts) == 5  # two of each measure that has values, and one history
    for chart in charts:
        tree = ET.fromstring(chart)  # noqa: S314 - our own page
        title = tree.find("{http://www.w3.org/2000/svg}title")
        assert title is not None
        assert title.text
    assert page.count('class="dot a"') == page.count('class="dot b"') - 3 == 20
    assert "<b>503</b>" not in page


def test_the_page_draws_what_has_no_spread() -> None:
    """Equal, zero and single values break no axis."""
    for values in ((0.0,), (5.0, 5.0, 5.0), (-1.0, 0.0, 1.0)):
        same = taken(*values)
        made = attrs.evolve(report(), measures=(one(same, same, earlier=(0.0, 0.0)),))
        assert "NaN" not in made.to_html()
