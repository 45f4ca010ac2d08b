"""Charts of a comparison as inline SVG: plain text, no script, nothing fetched."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.model.comparison import MeasureResult

__all__ = ("history", "ratio_bar", "strips", "ticks")

_WIDTH = 640
_LEFT = 96
_RIGHT = 24
_ROW = 34


def ticks(low: float, high: float, about: int = 5) -> tuple[float, ...]:
    """Return round numbers that cover a range.

    Example:
        >>> ticks(0.93, 1.21)
        (0.9, 1.0, 1.1, 1.2, 1.3)

    """
    span = (high - low) or abs(high) or 1.0
    raw = span / max(1, about - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(round(number * step, 12) for number in range(first, last + 1))


def strips(found: MeasureResult, a: str, b: str) -> str:
    """Draw every value of both sides on one axis, with the medians."""
    values = (*found.a.values, *found.b.values)
    axis = _Axis(min(values), max(values))
    rows = []
    for number, (name, side, samples) in enumerate(((a, "a", found.a), (b, "b", found.b))):
        middle = 20 + number * _ROW
        dots = "".join(
            f'<circle class="dot {side}" cx="{axis.at(value):.1f}" '
            f'cy="{middle + _shift(place):.1f}" r="3.2"/>'
            for place, value in enumerate(samples.values)
        )
        at = axis.at(samples.median)
        rows.append(
            f'<text class="side {side}" x="{_LEFT - 12}" y="{middle + 4}" '
            f'text-anchor="end">{_text(name, 14)}</text>{dots}'
            f'<line class="median {side}" x1="{at:.1f}" x2="{at:.1f}" '
            f'y1="{middle - 13}" y2="{middle + 13}"/>'
        )
    height = 20 + 2 * _ROW
    label = f"{found.name}: values of both sides in {found.unit or 'units'}"
    return _svg(height + 26, label, axis.draw(height - 8, found.unit) + "".join(rows))


def ratio_bar(found: MeasureResult, a: str, b: str) -> str:
    """Draw the interval of the ratio over the band of what counts as the same."""
    low_band, high_band = 1 - found.tolerance, 1 + found.tolerance
    axis = _Axis(min(found.low, low_band), max(found.high, high_band))
    middle = 18
    left, right = axis.at(found.low), axis.at(found.high)
    body = (
        f'<rect class="band" x="{axis.at(low_band):.1f}" y="4" '
        f'width="{axis.at(high_band) - axis.at(low_band):.1f}" height="28"/>'
        f'<line class="one" x1="{axis.at(1):.1f}" x2="{axis.at(1):.1f}" y1="4" y2="32"/>'
        f'<line class="interval" x1="{left:.1f}" x2="{right:.1f}" y1="{middle}" y2="{middle}"/>'
        f'<line class="interval" x1="{left:.1f}" x2="{left:.1f}" y1="12" y2="24"/>'
        f'<line class="interval" x1="{right:.1f}" x2="{right:.1f}" y1="12" y2="24"/>'
        f'<circle class="middle" cx="{axis.at(found.ratio):.1f}" cy="{middle}" r="4.5"/>'
        f'<text class="side" x="{_LEFT - 12}" y="{middle + 4}" text-anchor="end">'
        f"{_text(f'{b} / {a}', 14)}</text>"
    )
    ends = f"between {found.low:.2f} and {found.high:.2f}"
    label = f"{found.name}: {b} is {found.ratio:.2f} times {a}, {ends}"
    return _svg(62, label, axis.draw(34, "times") + body)


def history(found: MeasureResult, b: str) -> str:
    """Draw the medians of earlier runs, oldest first, and the one of now."""
    values = (*found.earlier, found.b.median)
    marks = ticks(min(values), max(values), 3)
    low, high = marks[0], marks[-1]
    top, bottom = 10.0, 70.0

    def up(value: float) -> float:
        return bottom - (value - low) / ((high - low) or 1.0) * (bottom - top)

    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(values) - 1)
    points = [(_LEFT + number * step, up(value)) for number, value in enumerate(values)]
    lines = "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" '
        f'y1="{up(m):.1f}" y2="{up(m):.1f}"/>'
        f'<text class="tick" x="{_LEFT - 8}" y="{up(m) + 4:.1f}" text-anchor="end">{m:g}</text>'
        for m in marks
    )
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle class="dot b" cx="{x:.1f}" cy="{y:.1f}" r="2.4"/>' for x, y in points)
    x, y = points[-1]
    now = f'<circle class="now" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
    words = (
        f'<text class="tick" x="{_LEFT}" y="90">{len(found.earlier)} earlier runs of '
        f"{_text(b, 30)}, oldest first; the ring is now</text>"
    )
    label = f"{found.name}: medians of {b} over time in {found.unit or 'units'}"
    body = f'{lines}<polyline class="past" points="{path}"/>{dots}{now}{words}'
    return _svg(98, label, body)


class _Axis:
    """A horizontal axis from one round number to another."""

    def __init__(self, low: float, high: float) -> None:
        room = (high - low) * 0.04 or abs(high) * 0.05 or 1.0
        self._marks = ticks(low - room, high + room)
        self._low, self._high = self._marks[0], self._marks[-1]

    def at(self, value: float) -> float:
        """Return where a value stands."""
        part = (value - self._low) / (self._high - self._low)
        return _LEFT + part * (_WIDTH - _LEFT - _RIGHT)

    def draw(self, bottom: float, unit: str) -> str:
        """Draw grid lines down to ``bottom``, and their numbers below it."""
        return "".join(self._lines(bottom, unit))

    def _lines(self, bottom: float, unit: str) -> Iterator[str]:
        for mark in self._marks:
            x = self.at(mark)
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{bottom}"/>'
            yield (
                f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">'
                f"{mark:g}</text>"
            )
        if unit:
            yield (
                f'<text class="tick" x="{_LEFT - 30}" y="{bottom + 16}" text-anchor="end">'
                f"{_text(unit, 10)}</text>"
            )


def _shift(place: int) -> float:
    """Move dots off each other, the same way at every drawing."""
    return ((place * 7) % 5 - 2) * 3.2


def _text(text: str, limit: int) -> str:
    return html.escape(text if len(text) <= limit else f"{text[: limit - 1]}…")


def _svg(height: float, label: str, body: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{html.escape(label)}</title>{body}</svg>"
    )
