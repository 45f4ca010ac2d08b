"""Copies of audit records in the cluster: what is kept where there is no cluster yet, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from infometis_sdk._serde.audit_lines import seal
from infometis_sdk.engine.audit import verify
from infometis_sdk.errors import ConflictError, NotFoundError, PlatformError
from infometis_sdk.model.audit import AuditEvent, AuditOutcome
from infometis_sdk.model.run import Run
from infometis_sdk.ports.audit import AuditSinkContext
from infometis_sdk.workspace.audit_in_cluster import ClusterSink, copies

if TYPE_CHECKING:
    from infometis_sdk.ports.cluster import Cluster, Write


class _Shelf:
    """A namespace that may not be there yet, which takes objects once."""

    def __init__(self) -> None:
        self.there = False
        self.objects: dict[str, dict[str, Any]] = {}

    def write(self, write: Write, run: Run) -> None:
        run.check("writing")
        if not self.there:
            msg = "there is no such namespace"
            raise NotFoundError(msg)
        if write.ref.name in self.objects:
            msg = "it is there already"
            raise ConflictError(msg)
        self.objects[write.ref.name] = cast("dict[str, Any]", write.body)

    def list(self, *_: object, **wanted: str) -> list[dict[str, Any]]:
        assert wanted == {"namespace": "home", "labels": "infometis.io/audit-of=dev"}
        return [obj for _, obj in sorted(self.objects.items(), reverse=True)]


def chain(count: int, **fields: Any) -> list[AuditEvent]:
    """Return so many records of one chain."""
    made: list[AuditEvent] = []
    for number in range(count):
        event = AuditEvent(kind="write", stack_id="dev", **fields)
        head = made[-1].head if made else None
        made.append(seal(event, head, chain="abc", time=f"2026-11-24T00:00:{number:02}Z"))
    return made


def test_what_cannot_be_kept_now_is_kept_later() -> None:
    """Without a cluster or a namespace records wait, and come in order, each once."""
    shelf = _Shelf()
    doors: list[_Shelf] = []

    def connect(run: Run) -> Cluster:
        run.check("connecting")
        if not doors:
            msg = "there is no cluster"
            raise PlatformError(msg)
        return cast("Cluster", shelf)

    sink = ClusterSink(
        AuditSinkContext(stack_id="dev", environment="dev", namespace="home", connect=connect)
    )
    events = chain(12)
    sink.append(events[0])
    doors.append(shelf)
    sink.append(events[1])
    assert not shelf.objects
    shelf.there = True
    for event in events[2:]:
        sink.append(event)
    sink.append(events[-1])  # its answer was lost
    lines = copies(cast("Cluster", shelf), "dev", "home", Run.within(60))
    report = verify("dev", lines, {})
    assert (report.records, report.intact) == (12, True)


def test_a_large_record_fits_into_an_object() -> None:
    """A record of 10,000 objects is compressed below what Kubernetes takes, and comes back."""
    shelf = _Shelf()
    shelf.there = True
    outcomes = [
        AuditOutcome(object=f"ConfigMap/a-rather-long-name-{n}", action="create", result="applied")
        for n in range(10_000)
    ]
    (event,) = chain(1, outcomes=outcomes)
    context = AuditSinkContext(
        stack_id="dev",
        environment="dev",
        namespace="home",
        connect=lambda _: cast("Cluster", shelf),
    )
    ClusterSink(context).append(event)
    (body,) = shelf.objects.values()
    assert len(str(body)) < 1024 * 1024
    assert body["immutable"]
    lines = copies(cast("Cluster", shelf), "dev", "home", Run.within(60))
    assert verify("dev", lines, {}).intact
