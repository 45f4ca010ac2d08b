"""One fingerprint of a live object: it serves plan, staleness and heal.

It holds what the object is and who owns which field of it;
it leaves out status, resourceVersion, times and the ownership of status,
since every status update moves those without changing anything that a plan rests on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

__all__ = ("NOISE", "content", "fingerprint")

NOISE = frozenset(
    {"deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration"}
)
"""Annotations that controllers and tools keep for themselves."""

_META = frozenset({"labels", "annotations", "finalizers", "ownerReferences"})


def content(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object without status and without what the API server keeps in its metadata.

    Example:
        >>> content({"kind": "Pod", "metadata": {"name": "a", "uid": "1"}, "status": {}})
        {'kind': 'Pod', 'metadata': {}}

    """
    meta = {k: v for k, v in (obj.get("metadata") or {}).items() if k in _META}
    if notes := meta.get("annotations"):
        kept = {k: v for k, v in notes.items() if k not in NOISE}
        meta = {**meta, "annotations": kept}
        if not kept:
            del meta["annotations"]
    return {**{k: v for k, v in obj.items() if k not in {"status", "metadata"}}, "metadata": meta}


def fingerprint(obj: Mapping[str, Any], *, replicas: bool = True) -> str:
    """Return ``sha256:…`` over content, identity and ownership of a live object.

    Args:
        obj: the live object.
        replicas: whether the number of pods counts, and who scaled them.

    """
    meta = obj.get("metadata") or {}
    held = content(obj)
    if not replicas:
        spec = {k: v for k, v in (held.get("spec") or {}).items() if k != "replicas"}
        held = {**held, "spec": spec}
    owners = [
        [
            e.get("manager"),
            e.get("operation"),
            e.get("subresource"),
            _quiet(e.get("fieldsV1") or {}),
        ]
        for e in meta.get("managedFields") or ()
        if e.get("subresource") not in (("status",) if replicas else ("status", "scale"))
    ]
    owners = [owner for owner in owners if owner[3]]
    data = [
        meta.get("uid"),
        held,
        sorted(owners, key=lambda o: json.dumps(o, sort_keys=True)),
    ]
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _quiet(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the ownership of noise, so that a controller's bookkeeping moves no fingerprint."""
    meta = fields.get("f:metadata")
    if not isinstance(meta, Mapping) or "f:annotations" not in meta:
        return dict(fields)
    notes = {k: v for k, v in meta["f:annotations"].items() if k[2:] not in NOISE and k != "."}
    rest = {k: v for k, v in meta.items() if k != "f:annotations"}
    if notes:
        rest["f:annotations"] = notes
    quiet = {k: v for k, v in fields.items() if k != "f:metadata"}
    if rest:
        quiet["f:metadata"] = rest
    return quiet
