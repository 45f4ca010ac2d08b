"""Readiness of custom resources: two operators with words of their own, and everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infometis_sdk.engine.readiness.verdict import (
    CONFIRM_SECONDS,
    Context,
    Verdict,
    condition,
    failing,
    progressing,
    ready,
)

__all__ = (
    "HEALTH_RED_SECONDS",
    "UNKNOWN_SECONDS",
    "Object",
    "custom",
    "eck_elasticsearch",
    "strimzi_kafka",
)

Object = Mapping[str, Any]

UNKNOWN_SECONDS = 15.0
"""A controller that writes a status at all does so by then."""

HEALTH_RED_SECONDS = 120.0
"""Shards of a new or restarting cluster are unassigned for a while."""


def custom(obj: Object, context: Context) -> Verdict:
    """Judge a custom resource that nobody knows.

    kstatus and Pulumi call it ready when it has no conditions, that is, before its controller has
    looked at it. Here it is unknown, which is a warning, unless its kind has no status at all.
    """
    found = condition(obj, "Ready")
    status = obj.get("status") or {}
    told = ": ".join(str(found[k]) for k in ("reason", "message") if found.get(k))
    if found["status"] == "True":
        known = status.get("observedGeneration") is not None
        return ready(told, confirm=0.0 if known else CONFIRM_SECONDS)
    if found["status"]:
        return progressing(f"not ready: {told}" if told else "not ready")
    if not status and context.has_status is False:
        return ready("its kind has no status")
    text = "nothing in its status tells whether it is ready"
    return failing(text, "NoStatus", UNKNOWN_SECONDS, becomes="unknown")


def strimzi_kafka(obj: Object, context: Context) -> Verdict:
    """Judge a Kafka of the Strimzi operator."""
    del context
    status = obj.get("status") or {}
    if not isinstance(status.get("observedGeneration"), int):
        return progressing("the operator has not seen it yet")
    if condition(obj, "Ready")["status"] == "True":
        return ready("ready")
    bad = condition(obj, "NotReady")
    if bad["status"] == "True" and bad["reason"] != "Creating":
        # The operator tries again every two minutes, so this is not final.
        return failing(f"{bad['reason']}: {bad.get('message', '')}", "NotReady", 0)
    return progressing(str(bad.get("message") or "not ready yet"))


def eck_elasticsearch(obj: Object, context: Context) -> Verdict:
    """Judge an Elasticsearch of the ECK operator."""
    del context
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    phase, health = str(status.get("phase") or ""), str(status.get("health") or "")
    if phase == "Invalid":
        return failing("the operator calls it invalid", "Invalid", 0)
    if health == "red":
        return failing("its health is red", "HealthRed", HEALTH_RED_SECONDS)
    sets = spec.get("nodeSets") or ()
    wanted = sum(int(s.get("count") or 0) for s in sets)
    nodes = int(status.get("availableNodes") or 0)
    if phase != "Ready":
        return progressing(f"phase {phase or 'unknown'}")
    if nodes != wanted:
        return progressing(f"{nodes} of {wanted} nodes available")
    # One data node cannot hold replicas, so it never gets better than yellow.
    if health == "green" or (health == "yellow" and _data_nodes(sets) == 1):
        return ready(f"{nodes} of {wanted} nodes, {health}")
    return progressing(f"its health is {health or 'unknown'}")


def _data_nodes(sets: Any) -> int:  # noqa: ANN401 - a list of mappings
    """Count the nodes that may hold data: those without roles have all of them."""
    total = 0
    for one in sets:
        roles = (one.get("config") or {}).get("node.roles")
        if roles is None or any(str(role).startswith("data") for role in roles):
            total += int(one.get("count") or 0)
    return total
