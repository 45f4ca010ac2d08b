"""Bars for a terminal and for a page; no plotting library for two dozen rectangles."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("bars", "svg")

_WIDTH = 50
_PEERS = ("kubectl", "helm")


def bars(seconds: Mapping[str, float]) -> str:
    """Draw one line a measurement, longest first."""
    longest = max(seconds.values(), default=1.0)
    name = max((len(what) for what in seconds), default=0)
    lines = []
    for what, value in sorted(seconds.items(), key=lambda pair: -pair[1]):
        bar = ("#" if not what.startswith(_PEERS) else "=") * max(
            1, round(_WIDTH * value / longest)
        )
        lines.append(f"{what.ljust(name)}  {bar} {value:.2f} s")
    return "\n".join([*lines, "", "# ours   = peers"])


def svg(seconds: Mapping[str, float], title: str) -> str:
    """Draw a bar chart as SVG, longest first."""
    longest = max(seconds.values(), default=1.0)
    rows = []
    for row, (what, value) in enumerate(sorted(seconds.items(), key=lambda pair: -pair[1])):
        y = 40 + row * 24
        width = max(1.0, 520 * value / longest)
        color = "#9aa5b1" if what.startswith(_PEERS) else "#1f6feb"
        rows.append(
            f'<text x="232" y="{y + 13}" text-anchor="end">{html.escape(what)}</text>'
            f'<rect x="240" y="{y}" width="{width:.0f}" height="18" rx="2" fill="{color}"/>'
            f'<text x="{248 + width:.0f}" y="{y + 13}">{value:.2f}</text>'
        )
    height = 56 + 24 * len(seconds)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{height}" '
        f'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="20" y="24" font-size="16">{html.escape(title)}</text>{"".join(rows)}</svg>\n'
    )
