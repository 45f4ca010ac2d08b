"""Numbers under noise: no false alarms, no missed regressions."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings, strategies as st

from infometis_sdk.engine.noise import EARLIER, against_history, judge, ratio, summary

positive = st.floats(0.1, 1000, allow_nan=False)
samples = st.lists(positive, min_size=1, max_size=12)
quick = settings(max_examples=100, deadline=None)


def test_an_outlier_moves_nothing() -> None:
    """One slow answer is noise: median and spread do not follow it."""
    calm = summary([10, 10, 10, 9, 10, 10, 10])
    wild = summary([10, 10, 10, 9, 10, 10, 10_000])
    assert (calm.median, calm.spread) == (wild.median, wild.spread) == (10, 0)
    assert summary([]).values == ()


@quick
@given(samples, samples)
def test_the_interval_holds_the_ratio(a: list[float], b: list[float]) -> None:
    """Low, middle and high are in order, whatever the values."""
    middle, low, high = ratio(a, b)
    assert low <= middle <= high


@quick
@given(samples)
def test_a_side_is_as_good_as_itself(values: list[float]) -> None:
    """The same values on both sides are never better or worse."""
    middle, low, high = ratio(values, values)
    assert low <= 1 <= high
    assert middle == pytest.approx(1)
    assert judge(low, high, better="lower", tolerance=0.1) in ("same", "unclear")


@pytest.mark.parametrize("values", [[0.0] * 5, [-1.0, 0.0, 1.0, 2.0, 3.0]])
def test_values_that_have_no_ratio(values: list[float]) -> None:
    """Zeros and negative numbers are compared by their differences, and break nothing."""
    middle, low, high = ratio(values, values)
    assert low <= middle <= high
    assert middle == 1


def verdicts(factor: float, seed: int, noise: float = 0.08, better: str = "lower") -> str:
    """Return the verdict of ten noisy values against ten that are ``factor`` times as large."""
    draw = random.Random(seed)
    a, b = (
        [scale * draw.lognormvariate(0, noise) for _ in range(10)] for scale in (10, 10 * factor)
    )
    _, low, high = ratio(a, b)
    return judge(low, high, better=better, tolerance=0.1)


def test_noise_alone_is_hardly_ever_called_worse() -> None:
    """Of a thousand comparisons of equal sides, hardly one is called worse, as promised."""
    found = [verdicts(1.0, seed, noise=0.05) for seed in range(1000)]
    assert found.count("worse") <= 5
    assert found.count("same") > 800


def test_a_regression_is_found() -> None:
    """Half as slow again, under the same noise, is called worse nearly always."""
    found = [verdicts(1.5, seed) for seed in range(300)]
    assert found.count("worse") > 290
    assert [verdicts(1.5, seed, better="higher") for seed in range(300)].count("better") > 290
    assert [verdicts(0.6, seed, better="higher") for seed in range(300)].count("worse") > 290


def test_too_much_noise_is_unclear() -> None:
    """Where the noise is larger than the tolerance nothing is claimed, either way."""
    found = [verdicts(1.1, seed, noise=0.6) for seed in range(200)]
    assert found.count("unclear") > 150


def test_the_tolerance_decides() -> None:
    """What is surely slower, but within the tolerance, is the same."""
    assert judge(1.02, 1.08, better="lower", tolerance=0.1) == "same"
    assert judge(1.02, 1.08, better="lower", tolerance=0.01) == "worse"
    assert judge(0.5, 0.6, better="lower", tolerance=0.1) == "better"
    assert judge(0.5, 0.6, better="higher", tolerance=0.1) == "worse"


STEADY = [10.0, 10.3, 9.8, 10.1, 9.9]


@pytest.mark.parametrize(
    ("median", "earlier", "verdict"),
    [
        (20.0, STEADY, "worse"),
        (10.5, STEADY, "same"),
        (5.0, STEADY, "better"),
        (20.0, STEADY[: EARLIER - 1], ""),
        (19.0, [10.0, 30.0, 12.0, 25.0, 18.0], "same"),
        (25.0, [10.0, 30.0, 12.0, 25.0, 18.0], "unclear"),
    ],
)
def test_history(median: float, earlier: list[float], verdict: str) -> None:
    """A run is held against how much earlier runs differed from each other."""
    assert against_history(median, earlier, better="lower", tolerance=0.1) == verdict


def test_history_knows_which_way_is_better() -> None:
    """Less throughput is worse, more is better."""
    assert against_history(5.0, STEADY, better="higher", tolerance=0.1) == "worse"
    assert against_history(20.0, STEADY, better="higher", tolerance=0.1) == "better"
