"""Field paths with list items by key."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, strategies as st

from infometis_sdk.engine.objects import paths
from infometis_sdk.testing.strategies import json_values

POD: dict[str, Any] = {
    "spec": {
        "containers": [
            {
                "name": "kafka",
                "image": "a",
                "ports": [{"containerPort": 9092, "protocol": "TCP"}, {"containerPort": 9093}],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
            }
        ],
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"x": 1}}],
        "tolerations": [{"key": "a"}],
        "empty": {},
    },
    "data": {"server.properties": "x", "app.kubernetes.io/name": "y"},
}


def test_leaves_are_named_by_keys() -> None:
    """List items go by the keys people know them by; where keys are not unique, by position."""
    assert paths.leaves(POD) == {
        "spec.containers[name=kafka].name": "kafka",
        "spec.containers[name=kafka].image": "a",
        "spec.containers[name=kafka].ports[containerPort=9092].containerPort": 9092,
        "spec.containers[name=kafka].ports[containerPort=9092].protocol": "TCP",
        "spec.containers[name=kafka].ports[containerPort=9093].containerPort": 9093,
        "spec.containers[name=kafka].volumeMounts[mountPath=/data].name": "data",
        "spec.containers[name=kafka].volumeMounts[mountPath=/data].mountPath": "/data",
        "spec.containers[name=kafka].env[0].name": "A",
        "spec.containers[name=kafka].env[0].value": "1",
        "spec.containers[name=kafka].env[1].name": "A",
        "spec.containers[name=kafka].env[1].value": "2",
        "spec.volumeClaimTemplates[metadata.name=data].metadata.name": "data",
        "spec.volumeClaimTemplates[metadata.name=data].spec.x": 1,
        "spec.tolerations[0].key": "a",
        "spec.empty": {},
        "data[server.properties]": "x",
        "data[app.kubernetes.io/name]": "y",
    }


def test_every_leaf_is_found_by_its_path() -> None:
    """The path of a leaf leads to it."""
    for path, value in paths.leaves(POD).items():
        assert paths.value_at(POD, path) == value


KEYS = st.from_regex(r"[a-z][a-z0-9./-]{0,8}", fullmatch=True)
OBJECTS = st.dictionaries(
    KEYS,
    st.recursive(
        st.integers() | st.text(max_size=4),
        lambda below: st.dictionaries(KEYS, below, max_size=3) | st.lists(below, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@given(OBJECTS)
def test_paths_round_trip(obj: dict[str, Any]) -> None:
    """A path is read back to the steps it was written from, and leads to its leaf."""
    for path, value in paths.leaves(obj).items():
        assert paths.render(paths.parse(path)) == path
        assert paths.value_at(obj, path) == value


@given(OBJECTS)
def test_nothing_differs_from_itself(obj: dict[str, Any]) -> None:
    """Comparing a value with its copy finds nothing."""
    assert paths.differences(obj, copy.deepcopy(obj)) == {}


@given(OBJECTS, OBJECTS)
def test_differences_name_changed_leaves(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Two values differ exactly where a difference is named, and both its sides are right."""
    found = paths.differences(old, new)
    assert (found == {}) == (old == new)
    for path, (left, right) in found.items():
        assert (paths.value_at(old, path), paths.value_at(new, path)) == (left, right)


def test_reordered_list_is_one_difference() -> None:
    """The same keyed items in another order are a difference of the list."""
    left = {"c": [{"name": "a"}, {"name": "b"}]}
    right = {"c": [{"name": "b"}, {"name": "a"}]}
    assert list(paths.differences(left, right)) == ["c"]


def test_values_of_other_types_differ() -> None:
    """True is not 1, and a map is not a list."""
    assert paths.differences({"a": True}, {"a": 1}) == {"a": (True, 1)}
    assert paths.differences({"a": {"b": 1}}, {"a": [1]}) == {"a": ({"b": 1}, [1])}


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("spec", "spec.replicas", True),
        ("spec.replicas", "spec", False),
        ("spec.replicas", "spec.replicasMax", False),
        ("spec.containers[name=*].image", "spec.containers[name=a].image", True),
        ("spec.containers[name=a]", "spec.containers[name=b].image", False),
        ("data[*.properties]", "data[server.properties]", True),
        ("data[*.properties]", "data[x.json]", False),
        ("spec.tolerations[*]", "spec.tolerations[0].key", True),
    ],
)
def test_matches(pattern: str, path: str, *, expected: bool) -> None:
    """A pattern covers its path and all below; a star is any text within one step."""
    assert paths.matches(pattern, path) is expected


@pytest.mark.parametrize("text", ["a[b", "a]b", "a..[x"])
def test_what_is_no_path(text: str) -> None:
    """Unclosed brackets are refused, with a right example."""
    with pytest.raises(ValueError, match="is not a field path"):
        paths.parse(text)


def test_set_and_remove() -> None:
    """Values are set and removed in place; maps on the way are made, list items must exist."""
    obj = copy.deepcopy(POD)
    paths.set_value(obj, "spec.containers[name=kafka].resources.limits.cpu", "1")
    paths.remove(obj, "spec.tolerations[0]")
    paths.remove(obj, "spec.nothing.here")
    assert obj["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}}
    assert obj["spec"]["tolerations"] == []
    with pytest.raises(KeyError, match=r"containers\[name=nifi\]"):
        paths.set_value(obj, "spec.containers[name=nifi].image", "x")


@given(json_values())
def test_any_json_has_leaves(value: object) -> None:
    """Nothing that JSON can carry breaks the walk."""
    assert paths.leaves({"a": value})
