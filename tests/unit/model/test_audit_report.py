"""What the audit says to people."""

from __future__ import annotations

from typing import Any

from infometis_sdk.model.audit import AuditChange, AuditEvent, AuditOutcome
from infometis_sdk.model.audit_report import AuditTimeline


def change(path: str) -> AuditChange:
    """Return a change of one field."""
    return AuditChange(object="ConfigMap/app", path=path, op="replace", old="1", new="2")


def outcome(name: str) -> AuditOutcome:
    """Return what became of one object."""
    return AuditOutcome(object=name, action="update", result="applied")


def event(**fields: Any) -> AuditEvent:
    """Return a record of one stack."""
    return AuditEvent(stack_id="demo-dev", **fields)


def test_a_timeline_names_who_was_overruled_and_what_was_healed() -> None:
    """One field or object is named, several are counted, and overruled writers are always named."""
    who = "ConfigMap/app data.level: kubectl-edit"
    healing = {"items": 1, "objects": ["update ConfigMap/app"]}
    events = (
        event(kind="override", verb="overruled", evidence={"what": [who]}),
        event(kind="override", verb="overruled", evidence={"what": [who, "x", "y"]}),
        event(kind="heal", phase="begin", diff=[change("data.level")], evidence=healing),
        event(kind="heal", verb="guard", phase="end", outcomes=[outcome("ConfigMap/app")]),
        event(kind="heal", phase="begin", evidence=healing),
        event(kind="heal", phase="begin", diff=[change("a"), change("b")], evidence=healing),
        event(kind="write", phase="begin", evidence={"items": 300, "objects": ["x", "y"]}),
        event(kind="heal", phase="end", outcomes=[outcome("Pod/a"), outcome("Pod/b")]),
    )
    table = AuditTimeline(stack_id="demo-dev", events=events).table()
    assert [row[6] for row in table.rows] == [
        who,
        f"{who} and 2 more",
        "ConfigMap/app data.level",
        "ConfigMap/app",
        "update ConfigMap/app",
        "update ConfigMap/app",
        "300 objects",
        "2 objects",
    ]
