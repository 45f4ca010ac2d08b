"""Keep secrets out of plans: values of Secrets become keyed hashes before anybody sees them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk.engine.writing.credentials import keyed_hash

if TYPE_CHECKING:
    from infometis_sdk.model.plan import PlanItem

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
    text = str(value)
    if encoded:
        try:
            return keyed_hash(key, base64.b64decode(text, validate=True))
        except binascii.Error:
            pass  # the API server will refuse it; until then it is as secret as any other
    return keyed_hash(key, text.encode())


def seal(item: PlanItem, key: bytes | None) -> PlanItem:
    """Return the item without secret values in payload, changes and decisions."""
    if item.ref.kind != "Secret":
        return item
    hidden = ("data", "stringData")

    def mask(value: Any, path: str) -> Any:  # noqa: ANN401 - JSON
        if value is None:
            return None
        if isinstance(value, Mapping):
            return {k: mask(v, path) for k, v in value.items()}
        return _hash(value, key, encoded=path.startswith("data"))

    changes = tuple(
        attrs.evolve(c, old=mask(c.old, c.path), new=mask(c.new, c.path))
        if c.path.startswith(hidden)
        else c
        for c in item.changes
    )
    decisions = tuple(
        attrs.evolve(d, live=mask(d.live, d.path)) if d.path.startswith(hidden) else d
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
