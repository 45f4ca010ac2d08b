"""Patches of an environment: allow-listed paths of rendered objects, list items by key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.engine.inputs.values import plain
from infometis_sdk.engine.objects import paths
from infometis_sdk.model.fault import Fault

if TYPE_CHECKING:
    from infometis_sdk.model.environment import Patch

__all__ = ("ALLOWED", "apply_patches", "path_fault")

_POD = (
    "affinity",
    "imagePullSecrets",
    "nodeSelector",
    "priorityClassName",
    "schedulerName",
    "tolerations",
    "topologySpreadConstraints",
)
_TEMPLATE = r"spec\.(?:jobTemplate\.spec\.)?template\."
ALLOWED = (
    "spec.replicas",
    "resources of a container",
    "scheduling (affinity, nodeSelector, tolerations, topologySpreadConstraints, priority class)",
    "imagePullSecrets",
    "storageClassName",
    "metadata.labels and metadata.annotations",
)
"""What a patch may touch, in people's words."""

_ALLOWED = tuple(
    re.compile(pattern)
    for pattern in (
        r"spec\.replicas",
        rf"{_TEMPLATE}spec\.(?:initContainers|containers)\[[^\]]+\]\.resources(?:\..*)?",
        rf"{_TEMPLATE}spec\.(?:{'|'.join(_POD)})(?:[.\[].*)?",
        r"spec\.volumeClaimTemplates\[[^\]]+\]\.spec\.storageClassName",
        r"spec\.storageClassName",
        rf"(?:{_TEMPLATE})?metadata\.(?:labels|annotations)(?:[.\[].*)?",
        r"imagePullSecrets(?:\[.*)?",
    )
)


def apply_patches(objects: Iterable[dict[str, Any]], patches: Iterable[Patch]) -> list[Fault]:
    """Change objects in place as the patches say.

    Args:
        objects: rendered objects, not yet stamped, so names are those of the templates.
        patches: in order; a later one wins.

    Returns:
        The faults: no such object, a path that is not there or not allowed; with file and line.

    """
    table: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for obj in objects:
        table.setdefault((obj["kind"], obj["metadata"]["name"]), []).append(obj)
    faults = []
    for patch in patches:
        targets = table.get((patch.kind, patch.name), [])
        if not targets:
            known = [f"{kind}/{name}" for kind, name in table]
            wanted = f"{patch.kind}/{patch.name}"
            faults.append(
                _fault(patch, f"there is no {wanted} to patch", near=nearest(wanted, known))
            )
            continue
        for target in targets:
            faults += _apply(target, patch)
    return faults


def path_fault(patch: Patch) -> Fault | None:
    """Return the fault of a patch whose path is none, or is not allowed; whatever it is put on."""
    try:
        path = paths.render(paths.parse(patch.path))
    except ValueError as error:
        return _fault(patch, str(error))
    if not any(pattern.fullmatch(path) for pattern in _ALLOWED):
        return _fault(patch, "a patch may not touch this path", legal="; ".join(ALLOWED))
    return None


def _fault(patch: Patch, message: str, *, legal: str = "", near: str = "") -> Fault:
    where = f"{patch.kind}/{patch.name} {patch.path}"
    return Fault(message=message, origin=patch.origin, path=where, legal=legal, nearest=near)


def _apply(obj: dict[str, Any], patch: Patch) -> list[Fault]:
    if (refused := path_fault(patch)) is not None:
        return [refused]
    path = paths.render(paths.parse(patch.path))
    if selected := _selected(obj, path):
        return [
            _fault(
                patch,
                f"the label {selected!r} is part of a selector, which only core may change",
                legal="a label that no selector names",
            )
        ]
    value = plain(patch.value)
    if value is None:
        paths.remove(obj, path)
        return []
    old = paths.value_at(obj, path)
    if isinstance(old, dict) and isinstance(value, dict):
        value = _merge(old, value)
    try:
        paths.set_value(obj, path, value)
    except KeyError as error:
        holder = paths.value_at(obj, paths.parse(str(error.args[0]))[:-1])
        known = paths.item_steps("", holder) if isinstance(holder, list) else []
        return [_fault(patch, f"{error.args[0]} is not there", legal=", ".join(known))]
    return []


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _selected(obj: Mapping[str, Any], path: str) -> str:
    """Return the label of a pod template that a patch would change and a selector names."""
    match = re.fullmatch(rf"{_TEMPLATE}metadata\.labels(.*)", path)
    if not match:
        return ""
    selector = paths.value_at(obj, "spec.selector.matchLabels")
    named = list(selector) if isinstance(selector, Mapping) else []
    if not match[1]:
        # The whole map: merging cannot be told from replacing a selected label.
        return named[0] if named else ""
    key = paths.parse(match[1])[0]
    return key if key in named else ""
