"""Compare numbers under noise: medians, spreads, intervals without any assumed distribution.

The interval of a ratio is the one of Moses, from the ranks of all pairwise ratios
(Hollander, Wolfe and Chicken, *Nonparametric Statistical Methods*, 3rd ed., section 4.3):
one slow outlier moves neither it nor the median.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from infometis_sdk.model.comparison import Samples

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("CONFIDENCE", "EARLIER", "LEAST", "against_history", "judge", "ratio", "summary")

CONFIDENCE = 0.95
"""Of the intervals."""

LEAST = 4
"""With fewer values on a side no interval of ranks has that confidence: for n values each,
n²/2 - 1.96 √(n²(2n+1)/12) must reach 1."""

EARLIER = 5
"""So many earlier runs are needed before a new one is held against them."""

_NORMAL = 1.4826
"""Makes the median absolute deviation an estimate of the standard deviation of normal noise:
1 / the 0.75 quantile of the standard normal distribution."""

_OUTSIDE = 3.0
"""So many spreads from the median of earlier runs are no longer their noise."""


def summary(values: Sequence[float]) -> Samples:
    """Return the values with their median and spread.

    Example:
        >>> one = summary([10.0, 11.0, 12.0, 13.0, 500.0])
        >>> one.median, round(one.spread, 2)
        (12.0, 1.48)

    """
    if not values:
        return Samples()
    median = statistics.median(values)
    spread = _NORMAL * statistics.median(abs(value - median) for value in values)
    return Samples(values=tuple(values), median=median, spread=spread)


def ratio(
    a: Sequence[float], b: Sequence[float], confidence: float = CONFIDENCE
) -> tuple[float, float, float]:
    """Return how much larger B is than A, as a factor, with the ends of its interval.

    Where a value is not positive there are no ratios;
    then differences are taken, as parts of the larger median.

    Example:
        >>> [round(end, 2) for end in ratio([10, 11, 12, 10, 11], [20, 22, 21, 20, 21])]
        [1.91, 1.75, 2.1]

    """
    if min(*a, *b) > 0:
        pairs = sorted(there / here for here in a for there in b)
    else:
        scale = max(abs(statistics.median(a)), abs(statistics.median(b)))
        if not scale:
            scale = max(*map(abs, a), *map(abs, b)) or 1.0
        pairs = sorted(1 + (there - here) / scale for here in a for there in b)
    left, right = len(a), len(b)
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    rank = left * right / 2 - z * math.sqrt(left * right * (left + right + 1) / 12)
    # With fewer than LEAST values the widest interval there is still promises too much.
    cut = max(0, math.floor(rank) - 1)
    return statistics.median(pairs), pairs[cut], pairs[-1 - cut]


def judge(low: float, high: float, *, better: str, tolerance: float) -> str:
    """Say what an interval of a ratio means: ``better``, ``same``, ``worse`` or ``unclear``.

    ``worse`` and ``better`` are said only where the whole interval lies beyond the tolerance.

    Example:
        >>> judge(1.2, 1.4, better="lower", tolerance=0.1)
        'worse'
        >>> judge(0.9, 1.4, better="lower", tolerance=0.1)
        'unclear'

    """
    if better == "higher":
        low, high = 2 - high, 2 - low
    if low > 1 + tolerance:
        return "worse"
    if high < 1 - tolerance:
        return "better"
    return "same" if high <= 1 + tolerance else "unclear"


def against_history(
    median: float, earlier: Sequence[float], *, better: str, tolerance: float
) -> str:
    """Hold the median of a run against those of earlier runs of the same environment.

    Runs differ more from each other than the values of one run do,
    so what counts is the spread of the earlier medians.

    Returns:
        ``better``, ``same``, ``worse`` or ``unclear``; nothing with fewer than :data:`EARLIER`.

    Example:
        >>> against_history(20.0, [10.0, 10.5, 9.9, 10.1, 10.2], better="lower", tolerance=0.1)
        'worse'

    """
    if len(earlier) < EARLIER:
        return ""
    known = summary(earlier)
    up = median - known.median if better == "lower" else known.median - median
    beyond = abs(up) > tolerance * abs(known.median)
    noise = abs(up) <= _OUTSIDE * known.spread
    if not beyond:
        return "same"
    if noise:
        return "unclear" if up > 0 else "same"
    return "worse" if up > 0 else "better"
