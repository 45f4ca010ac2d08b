"""Live objects as an API server would return them, made from what is desired."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from infometis_sdk.engine.objects.stamp import content_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = (
    "MANAGER",
    "applied",
    "desired_objects",
    "fields_of",
    "paths_of_leaves",
    "put",
    "stamped",
)

MANAGER = "infometis.test"

_NAMES = st.sampled_from(["a", "b", "c.d", "e/f", "replicas", "x y"])
_SCALARS = st.one_of(
    st.integers(1, 9),
    st.just(value=True),
    st.text("xyz", min_size=1, max_size=4),
    st.floats(0.5, 0.9),
)


def _values() -> st.SearchStrategy[Any]:
    items = st.lists(
        st.fixed_dictionaries({"name": st.sampled_from("pqrs"), "v": _SCALARS}),
        min_size=1,
        max_size=3,
        unique_by=lambda item: item["name"],
    )
    return st.recursive(
        _SCALARS | items,
        lambda below: st.dictionaries(_NAMES, below, min_size=1, max_size=3),
        max_leaves=6,
    )


def stamped(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object with its digest."""
    made = copy.deepcopy(dict(obj))
    made["metadata"]["annotations"] = {
        **made["metadata"].get("annotations", {}),
        "infometis.io/digest": content_digest(obj),
    }
    return made


def desired_objects() -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for objects with maps, lists of named items and scalars, stamped."""
    return st.builds(
        lambda spec, labels: stamped(
            {
                "apiVersion": "v1",
                "kind": "Thing",
                "metadata": {"name": "n", "namespace": "ns", "labels": labels},
                "spec": spec,
            }
        ),
        st.dictionaries(_NAMES, _values(), min_size=1, max_size=4),
        st.dictionaries(_NAMES, st.text("xyz", max_size=3), min_size=1, max_size=2),
    )


def fields_of(value: Any) -> dict[str, Any]:
    """Return the field tree that an apply of this value owns: lists are keyed by ``name``."""
    if isinstance(value, dict) and value:
        return {f"f:{key}": fields_of(item) for key, item in value.items()}
    if isinstance(value, list) and value and all("name" in item for item in value):
        return {
            "k:" + json.dumps({"name": item["name"]}): {".": {}, **fields_of(item)}
            for item in value
        }
    return {}


def applied(desired: Mapping[str, Any], manager: str = MANAGER) -> dict[str, Any]:
    """Return what is live after an apply: with server-filled fields and managedFields."""
    live = copy.deepcopy(dict(desired))
    tree = fields_of({k: v for k, v in live.items() if k not in ("apiVersion", "kind")})
    for key in ("f:name", "f:namespace"):
        tree["f:metadata"].pop(key, None)
    live["metadata"].update(
        uid="1",
        resourceVersion="7",
        managedFields=[
            {
                "manager": manager,
                "operation": "Apply",
                "apiVersion": "v1",
                "time": "2026-01-01T00:00:00Z",
                "fieldsType": "FieldsV1",
                "fieldsV1": tree,
            }
        ],
    )
    live.setdefault("spec", {})["defaulted"] = "by the server"
    live["status"] = {"ready": 1}
    return live


def paths_of_leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return keys and indices that lead to each leaf."""
    if isinstance(value, dict):
        return [p for k, v in value.items() for p in paths_of_leaves(v, (*path, k))]
    if isinstance(value, list):
        return [p for k, v in enumerate(value) for p in paths_of_leaves(v, (*path, k))]
    return [path]


def put(obj: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a copy with another value at a path."""
    made = copy.deepcopy(obj)
    node = made
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return made
