"""One page of a comparison, with charts, that opens without a network."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infometis_sdk.model.comparison import ComparisonReport

__all__ = ("page",)


def page(report: ComparisonReport) -> str:
    """Return the page; every text in it is escaped, and it refers to nothing outside itself."""
    title = html.escape(report.headline())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<body>{report.table().markup()}</body></html>"
    )
