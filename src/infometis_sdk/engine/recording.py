"""Plans and reports -> audit records; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_sdk.model.audit import AuditChange, AuditOutcome
from infometis_sdk.model.table import apart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infometis_sdk.model.plan import Change, Plan, PlanItem
    from infometis_sdk.model.report import Outcome

__all__ = ("MOST_CHANGES", "begun", "changes_of", "outcomes_of", "overrides_of")

MOST_CHANGES = 1000
"""Fields, or objects, in one record; the plan's digest stands for the rest, and their number."""

_LONGEST = 200


def _short(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _apart(change: Change) -> tuple[object, object]:
    if isinstance(change.old, str) and isinstance(change.new, str):
        return apart(change.old, change.new)
    return change.old, change.new


def changes_of(items: Iterable[PlanItem]) -> tuple[AuditChange, ...]:
    """Return the fields that a plan changes; its values are masked where they are secret."""
    return tuple(
        AuditChange(
            object=str(item.ref),
            path=change.path,
            op=change.op,
            old=_short(old),
            new=_short(new),
        )
        for item in items
        for change in item.told
        for old, new in [_apart(change)]
    )


def outcomes_of(outcomes: Iterable[Outcome]) -> tuple[AuditOutcome, ...]:
    """Return what became of each object."""
    return tuple(
        AuditOutcome(
            object=str(o.ref),
            namespace=o.ref.namespace,
            action=o.action,
            result=o.result,
            detail=_short(o.detail),
        )
        for o in outcomes
    )


def begun(plan: Plan) -> dict[str, Any]:
    """Return the fields of the record that precedes the first write of a plan."""
    changes = changes_of(plan.items)
    objects = [f"{item.action} {item.ref}" for item in plan.items]
    evidence: dict[str, object] = {"items": len(objects), "objects": objects[:MOST_CHANGES]}
    if plan.scope:
        evidence["services"] = list(plan.scope)
    if plan.credentials:
        evidence["credentials"] = sorted(plan.credentials)
    if len(changes) > MOST_CHANGES:
        evidence["changes left out"] = len(changes) - MOST_CHANGES
    return {
        "plan": plan.digest,
        "cluster_uid": plan.cluster_uid,
        "diff": changes[:MOST_CHANGES],
        "evidence": evidence,
    }


def overrides_of(plan: Plan, *, confirm: str = "") -> dict[str, list[str]]:
    """Return which protections were set aside by name, by the name of the protection."""
    found = {
        "confirmed": [plan.confirm] if plan.confirm and confirm else [],
        "adopted": [str(item.ref) for item in plan.items if item.action == "adopt"],
        "overruled": [
            f"{item.ref} {decision.path}: {decision.manager}"
            for item in plan.items
            for decision in item.decisions
            if decision.action == "overrule"
        ],
    }
    return {name: values[:MOST_CHANGES] for name, values in found.items() if values}
