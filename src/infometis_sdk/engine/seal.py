"""Keep secrets out of plans: values of Secrets become keyed hashes before anybody sees them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import attrs

from infometis_sdk.engine.credentials import keyed_hash
from infometis_sdk.model.plan import Change, Decision, PlanItem

__all__ = ("pod_template", "seal", "sealed", "with_annotation")

_MASK = "hmac:unkeyed"
"""Stands for a secret value while the cluster holds no key yet."""


def sealed(payload: Mapping[str, Any], key: bytes | None) -> Mapping[str, Any]:
    """Return a Secret's manifest with every value replaced by its keyed hash."""
    out = dict(payload)
    for name in ("data", "stringData"):
        if name in out:
            out[name] = {k: _hash(v, key, encoded=name == "data") for k, v in out[name].items()}
    return out


def _hash(value: Any, key: bytes | None, *, encoded: bool) -> str:  # noqa: ANN401 - JSON
    if key is None:
        return _MASK
    raw = base64.b64decode(value) if encoded else str(value).encode()
    return keyed_hash(key, raw)


def seal(item: PlanItem, key: bytes | None) -> PlanItem:
    """Return the item without secret values in payload, changes and decisions."""
    if item.ref.kind != "Secret":
        return item
    hidden = ("data", "stringData")

    def mask(value: Any) -> Any:  # noqa: ANN401 - JSON
        if value is None:
            return None
        return _hash(base64.b64encode(str(value).encode()).decode(), key, encoded=True)

    changes = tuple(
        Change(path=c.path, op=c.op, old=mask(c.old), new=mask(c.new))
        if c.path.startswith(hidden)
        else c
        for c in item.changes
    )
    decisions = tuple(
        Decision(path=d.path, manager=d.manager, action=d.action, why=d.why, live=mask(d.live))
        if d.path.startswith(hidden)
        else d
        for d in item.decisions
    )
    return attrs.evolve(
        item, payload=sealed(item.payload, key), changes=changes, decisions=decisions
    )


_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "Pod": (),
}


def pod_template(kind: str) -> tuple[str, ...] | None:
    """Return where a kind keeps its pod template; ``None`` where it has none."""
    return _TEMPLATES.get(kind)


def with_annotation(obj: Mapping[str, Any], name: str, value: str) -> Mapping[str, Any]:
    """Return a copy of a workload whose pods carry one more annotation."""
    steps = pod_template(obj["kind"])
    if steps is None:
        return obj
    return _put(obj, (*steps, "metadata", "annotations", name), value)


def _put(obj: Mapping[str, Any], path: tuple[str, ...], value: str) -> Mapping[str, Any]:
    head, rest = path[0], path[1:]
    return {**obj, head: _put(obj.get(head) or {}, rest, value) if rest else value}
