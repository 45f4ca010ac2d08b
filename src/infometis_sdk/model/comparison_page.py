"""One page of a comparison, with charts, that opens without a network."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from infometis_sdk.model.charts import history, ratio_bar, strips

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infometis_sdk.model.comparison import (
        BehaviourResult,
        ComparisonReport,
        MeasureResult,
        Samples,
    )

__all__ = ("page",)

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5c6675; --line: #d9dee6; --paper: #fff;
  --card: #f6f8fa; --a: #2f6db5; --b: #c2600f; --good: #18794e; --bad: #b42318; --mid: #8a6100; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b5; --line: #343c48;
  --paper: #14181e; --card: #1c222a; --a: #7fb0ec; --b: #f0a35e; --good: #5fc795; --bad: #f28b82;
  --mid: #dcb455; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1rem; margin: 0; } p { margin: .25rem 0; } .soft { color: var(--soft); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { color: var(--soft); font-weight: 500; font-size: .85rem; } td.n, th.n { text-align: right; }
.wide { overflow-x: auto; margin-bottom: 1.25rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 1rem 1.25rem; margin: 0 0 1rem; }
.card header { display: flex; gap: .75rem; align-items: baseline; flex-wrap: wrap; }
.mark { font-size: .85rem; font-weight: 600; white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); } .mid { color: var(--mid); }
svg { width: 100%; height: auto; display: block; margin-top: .5rem; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); } svg .tick { fill: var(--soft); }
svg .grid { stroke: var(--line); } svg .one { stroke: var(--soft); stroke-dasharray: 3 3; }
svg .band { fill: var(--good); opacity: .13; }
svg .interval { stroke: var(--ink); stroke-width: 2; } svg .middle { fill: var(--ink); }
svg .dot { opacity: .55; } svg .dot.a { fill: var(--a); } svg .dot.b { fill: var(--b); }
svg .median { stroke-width: 3; } svg .median.a { stroke: var(--a); }
svg .median.b { stroke: var(--b); } svg text.side.a { fill: var(--a); }
svg text.side.b { fill: var(--b); }
svg .past { fill: none; stroke: var(--b); opacity: .6; }
svg .now { fill: none; stroke: var(--b); stroke-width: 2.5; }
"""
_TINTS = {
    "better": "good",
    "same": "good",
    "passed": "good",
    "worse": "bad",
    "failed": "bad",
    "unclear": "mid",
    "not applicable": "mid",
    "not run": "mid",
}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(report: ComparisonReport) -> str:
    """Return the page; every text in it is escaped, and it refers to nothing outside itself."""
    title = html.escape(f"{report.a} and {report.b} compared")
    return "".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n",
            *_head(report),
            *_behaviour(report),
            *_measures(report),
            "</body>\n</html>\n",
        )
    )


def _head(report: ComparisonReport) -> Iterator[str]:
    a, b = html.escape(report.a), html.escape(report.b)
    yield f"<h1>{a} and {b} compared</h1>\n"
    word = "nothing is worse" if report.passed else f"{len(report.worse)} worse or failed"
    tint = "good" if report.passed else "bad"
    yield f'<p><span class="mark {tint}">{word}</span> · {html.escape(report.headline())}</p>\n'
    yield (
        f'<p class="soft">{html.escape(report.time)} · {report.rounds} rounds, both sides in turns'
        f" · intervals hold with {report.confidence:.0%} · {b} is judged against {a}</p>\n"
    )
    yield from (f'<p class="mid">{html.escape(note)}</p>\n' for note in report.notes)


def _behaviour(report: ComparisonReport) -> Iterator[str]:
    if not report.behaviour:
        return
    yield "<h2>Behaviour</h2>\n"
    yield from _table(
        ("Verdict", "Service", "Check", report.a, report.b, "Why"),
        [_check_row(found) for found in report.behaviour],
    )


def _check_row(found: BehaviourResult) -> tuple[str, ...]:
    return (
        _mark(found.verdict),
        html.escape(found.service),
        html.escape(found.check),
        _mark(found.a),
        _mark(found.b),
        html.escape(found.detail),
    )


def _measures(report: ComparisonReport) -> Iterator[str]:
    if not report.measures:
        return
    yield "<h2>Performance</h2>\n"
    yield from _table(
        ("Verdict", "Measure", report.a, report.b, "Ratio", "History"),
        [_measure_row(found) for found in report.measures],
    )
    for found in report.measures:
        if found.a.values and found.b.values and found.ratio:
            yield from _card(found, report)


def _measure_row(found: MeasureResult) -> tuple[str, ...]:
    ratio = f"{found.ratio:.2f} ({found.low:.2f} to {found.high:.2f})" if found.ratio else ""
    why = f'<br><span class="soft">{html.escape(found.detail)}</span>' if found.detail else ""
    return (
        _mark(found.verdict),
        html.escape(found.name) + why,
        _amount(found.a, found.unit),
        _amount(found.b, found.unit),
        ratio,
        _mark(found.history) if found.history else "",
    )


def _card(found: MeasureResult, report: ComparisonReport) -> Iterator[str]:
    words = (found.service, f"{found.better} is better", f"{found.tolerance:.0%} is tolerated")
    about = html.escape(" · ".join(word for word in words if word))
    yield (
        f'<section class="card"><header><h3>{html.escape(found.name)}</h3>{_mark(found.verdict)}'
        f'<span class="soft">{about}</span></header>\n'
    )
    yield strips(found, report.a, report.b)
    yield ratio_bar(found, report.a, report.b)
    if found.earlier:
        yield history(found, report.b)
    yield "</section>\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lay out cells that are markup already; columns that say nothing are left out."""
    keep = [n for n in range(len(columns)) if any(row[n] for row in rows)]
    head = "".join(f"<th>{html.escape(columns[n])}</th>" for n in keep)
    yield f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n'
    for row in rows:
        yield "<tr>" + "".join(f"<td>{row[n]}</td>" for n in keep) + "</tr>\n"
    yield "</tbody></table></div>\n"


def _mark(word: str) -> str:
    tint = _TINTS.get(word, "")
    return f'<span class="mark {tint}">{html.escape(word)}</span>' if tint else html.escape(word)


def _amount(samples: Samples, unit: str) -> str:
    if not samples.values:
        return ""
    return html.escape(f"{samples.median:.4g} ± {samples.spread:.2g} {unit}".rstrip())
