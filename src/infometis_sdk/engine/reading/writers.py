"""Who wrote a field last, and when: what managedFields and events tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects.fieldset import Owner, display, entries, owned_leaves
from infometis_sdk.errors import ClusterError

if TYPE_CHECKING:
    from infometis_sdk.model.reference import ObjectRef
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("Object", "last_writer", "scaled_at")

Object = Mapping[str, Any]

_SCALING = frozenset({"SuccessfulCreate", "SuccessfulDelete", "ScalingReplicaSet"})


def last_writer(have: Object, path: str, manager: str) -> Owner | None:
    """Return the newest writer other than ``manager`` of a path that is written for people."""
    for owner in sorted(entries(have), key=lambda o: o.time, reverse=True):
        if owner.manager == manager and owner.operation == "Apply" and not owner.subresource:
            continue
        if owner.subresource == "status":
            continue
        for held, _ in owned_leaves(have, owner.fields):
            text = display(held, have)
            if path == text or path.startswith((text + ".", text + "[")):
                return owner
    return None


def scaled_at(cluster: Cluster, ref: ObjectRef, have: Object, manager: str, run: Run) -> str:
    """Date a change of scale, for which the API server records who, but not when.

    The controller's own events tell when it acted on it; without them the change is at least
    later than our last apply.
    """
    selector = f"involvedObject.kind={ref.kind},involvedObject.name={ref.name}"
    try:
        events = cluster.list("v1", "Event", run, namespace=ref.namespace, fields=selector)
    except ClusterError:
        events = ()
    times = [
        event.get("lastTimestamp") or event.get("eventTime") or ""
        for event in events
        if event.get("reason") in _SCALING
    ]
    newest = max(times, default="")
    ours = next((o.time for o in entries(have) if o.manager == manager and o.time), "")
    if newest > ours:
        return f"{newest} (by its events)"
    return f"after {ours}" if ours else ""
