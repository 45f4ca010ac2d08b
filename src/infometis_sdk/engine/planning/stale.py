"""Whether what a plan rests on has moved since it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.engine.planning.autoscaling import what_counts
from infometis_sdk.engine.writing.job import REMOVING
from infometis_sdk.errors import StalePlanError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infometis_sdk.engine.reading.live import Live
    from infometis_sdk.model.plan import PlanItem

__all__ = ("refuse_moved",)


def refuse_moved(items: Iterable[PlanItem], live: Live) -> None:
    """Refuse where the fingerprint of any object is another than the plan's.

    Raises:
        StalePlanError: ``.moved`` names every such object.

    """
    moved = []
    for item in items:
        if item.action == "resize":
            continue  # claims carry no label of ours; the write itself re-reads
        have = live.get(item.ref)
        if have is None:
            stale = bool(item.fingerprint) and item.action not in REMOVING
        else:
            stale = item.action == "create" or (
                bool(item.fingerprint) and what_counts(item.payload, have) != item.fingerprint
            )
        if stale:
            moved.append(item.ref)
    if moved:
        names = ", ".join(str(ref) for ref in moved[:5])
        more = f" and {len(moved) - 5} more" if len(moved) > 5 else ""  # noqa: PLR2004 - as above
        msg = f"the cluster moved since the plan was made: {names}{more}"
        raise StalePlanError(msg, moved=moved, hint="plan again and look at what changed")
