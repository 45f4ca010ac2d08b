from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import assume, given, settings, strategies as st
from tests.unit.engine.live_objects import (
    MANAGER,
    applied,
    desired_objects,
    paths_of_leaves,
    put,
)

from infometis_sdk.engine.objects.fieldset import (
    display,
    entries,
    find_item,
    ours,
    owned_leaves,
    proven,
    value_at,
    without,
)
from infometis_sdk.engine.objects.paths import MISSING, value_at as value_by_text

quick = settings(max_examples=150, deadline=None)


@quick
@given(desired_objects())
def test_what_was_just_applied_is_proven(desired: dict[str, Any]) -> None:
    """After an apply nothing need be asked, whatever the server filled in."""
    assert proven(desired, applied(desired), MANAGER)


def changed(value: Any) -> Any:
    """Return another value than this one, of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value + "!"
    return value + 1


@quick
@given(desired_objects(), st.data())
def test_any_changed_leaf_is_noticed(desired: dict[str, Any], data: st.DataObject) -> None:
    """One live value that is not the desired one, and nothing is proven."""
    live = applied(desired)
    paths = [
        p
        for p in paths_of_leaves(desired)
        if p[0] not in ("apiVersion", "kind")
        and p[:2] not in (("metadata", "name"), ("metadata", "namespace"))
    ]
    path = data.draw(st.sampled_from(paths))
    old = live
    for step in path:
        old = old[step]
    assert not proven(desired, put(live, path, changed(old)), MANAGER)


@quick
@given(desired_objects(), st.data())
def test_any_field_given_up_or_gained_is_noticed(
    desired: dict[str, Any], data: st.DataObject
) -> None:
    """Owning one field less or one more than desired, and an apply would change that."""
    live = applied(desired)
    tree = live["metadata"]["managedFields"][0]["fieldsV1"]
    paths = [p for p in paths_of_trees(tree) if p[-1] != "."]
    path = data.draw(st.sampled_from(paths))
    less = copy.deepcopy(live)
    node = less["metadata"]["managedFields"][0]["fieldsV1"]
    for step in path[:-1]:
        node = node[step]
    # An empty tree would mean the whole of it.
    assume(len(node) > 1)
    del node[path[-1]]
    assert not proven(desired, less, MANAGER)
    more = copy.deepcopy(live)
    more["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:defaulted"] = {}
    assert not proven(desired, more, MANAGER)


def paths_of_trees(tree: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the path of every node of a field tree."""
    return [(*path, k) for k in tree] + [
        p for k, v in tree.items() for p in paths_of_trees(v, (*path, k))
    ]


@quick
@given(desired_objects())
def test_another_manager_or_operation_proves_nothing(desired: dict[str, Any]) -> None:
    """Only our own entry, made by server-side apply and not on a subresource, counts."""
    assert not proven(desired, applied(desired, "kubectl"), MANAGER)
    for key, value in (("operation", "Update"), ("subresource", "status")):
        live = applied(desired)
        live["metadata"]["managedFields"][0][key] = value
        assert not proven(desired, live, MANAGER)


@quick
@given(desired_objects())
def test_a_desired_object_that_moved_is_not_proven(desired: dict[str, Any]) -> None:
    """The digest of its own content is one of the leaves, so any change shows."""
    live = applied(desired)
    other = copy.deepcopy(desired)
    other["metadata"]["annotations"]["infometis.io/digest"] = "sha256:other"
    assert not proven(other, live, MANAGER)


@pytest.mark.parametrize("zero", ["", 0, False], ids=repr)
def test_what_the_server_leaves_out_as_zero_is_there(zero: Any) -> None:
    """A zero value that we own and that is not live was left out by the API server."""
    desired = {
        "kind": "X",
        "metadata": {"name": "n", "labels": {"a": "b"}},
        "spec": {"z": zero, "y": 1},
    }
    live = applied(desired)
    del live["spec"]["z"]
    assert proven(desired, live, MANAGER)
    gone = put(desired, ("spec", "z"), "value")
    assert not proven(gone, live, MANAGER)


def test_an_empty_map_is_as_good_as_absent_only_at_the_top() -> None:
    """The data of a ConfigMap is dropped for good; a structure may come back the next time."""
    meta = {"name": "n", "labels": {"a": "b"}}
    live = applied({"kind": "X", "metadata": meta, "data": {}})
    del live["data"]
    assert proven({"kind": "X", "metadata": meta, "data": {}}, live, MANAGER)
    desired = {"kind": "X", "metadata": meta, "spec": {"z": {}, "y": 1}}
    live = applied(desired)
    del live["spec"]["z"]
    assert not proven(desired, live, MANAGER)


def test_an_object_with_nothing_but_its_identity_has_no_entry() -> None:
    """Nothing is owned where nothing is sent."""
    bare = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}
    assert proven(bare, {**bare, "metadata": {"name": "a", "uid": "1"}}, MANAGER)
    assert not proven({**bare, "spec": {"a": 1}}, bare, MANAGER)


def test_atomic_values_may_hold_what_the_server_filled_in() -> None:
    """Of an atomic list that we own under an unchanged digest, the desired part is enough."""
    desired = {"metadata": {"name": "n"}, "spec": {"list": [{"a": 1}]}}
    live = {
        "metadata": {
            "name": "n",
            "managedFields": [
                {"manager": MANAGER, "operation": "Apply", "fieldsV1": {"f:spec": {"f:list": {}}}}
            ],
        },
        "spec": {"list": [{"a": 1, "filled": "in"}]},
    }
    assert proven(desired, live, MANAGER)
    assert not proven({**desired, "spec": {"list": [{"a": 2}]}}, live, MANAGER)
    assert not proven({**desired, "spec": {"list": [{"a": 1}, {"a": 1}]}}, live, MANAGER)
    assert not proven({**desired, "spec": {"list": [{"a": True}]}}, live, MANAGER)


def test_the_order_of_items_is_part_of_the_proof() -> None:
    """Foreign items in between do not matter, another order of ours does."""
    items = [{"name": n, "v": 1} for n in "abc"]
    desired = {"metadata": {"name": "n", "labels": {"x": "y"}}, "spec": {"items": items}}
    live = applied(desired)
    between = put(live, ("spec", "items"), [items[0], {"name": "z"}, *items[1:]])
    assert proven(desired, between, MANAGER)
    turned = put(live, ("spec", "items"), [items[1], items[0], items[2]])
    assert not proven(desired, turned, MANAGER)


def test_a_defaulted_list_key_is_ours() -> None:
    """The protocol of a port is a key of the list, filled in by the server and owned by us."""
    desired = {"metadata": {"name": "n"}, "spec": {"ports": [{"port": 80}]}}
    key = 'k:{"port":80,"protocol":"TCP"}'
    tree: dict[str, Any] = {"f:spec": {"f:ports": {key: {".": {}, "f:port": {}, "f:protocol": {}}}}}
    live = {
        "metadata": {
            "name": "n",
            "managedFields": [{"manager": MANAGER, "operation": "Apply", "fieldsV1": tree}],
        },
        "spec": {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]},
    }
    assert proven(desired, live, MANAGER)
    filled = put(desired, ("spec", "ports"), [{"port": 80, "protocol": "TCP"}])
    assert proven(filled, live, MANAGER)


@quick
@given(desired_objects())
def test_every_owned_leaf_is_found_again(desired: dict[str, Any]) -> None:
    """Paths lead to the values that they were yielded with, and their text to the same ones."""
    live = applied(desired)
    tree = ours(live, MANAGER)
    assert tree is not None
    found = list(owned_leaves(live, tree))
    assert found
    for path, value in found:
        assert value_at(live, path) == value
        text = display(path, live)
        assert value_by_text(live, text) in (value, MISSING if "x y" in text else value)


@quick
@given(desired_objects(), st.data())
def test_taking_one_path_away_leaves_the_others(
    desired: dict[str, Any], data: st.DataObject
) -> None:
    """What is yielded is gone from the payload, and nothing else is; the original is untouched."""
    live = applied(desired)
    tree = ours(live, MANAGER)
    assert tree is not None
    leaves = list(owned_leaves(live, tree))
    path, _ = data.draw(st.sampled_from(leaves))
    assume(path[-1] != "name")
    before = copy.deepcopy(live)
    less = without(live, path)
    assert live == before
    assert value_at(less, path) is None
    for other, value in leaves:
        if other != path:
            assert value_at(less, other) == value


def test_items_are_found_by_their_keys() -> None:
    """A key that an item lacks counts as defaulted, but only where one item can be meant."""
    items = [{"port": 80}, {"port": 81, "protocol": "UDP"}]
    assert find_item(items, {"port": 80, "protocol": "TCP"}) is items[0]
    assert find_item(items, {"port": 81, "protocol": "UDP"}) is items[1]
    assert find_item(items, {"port": 82, "protocol": "TCP"}) is None
    assert find_item([{"port": 80}, {"port": 80}], {"port": 80}) is None


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("spec", "replicas"), "spec.replicas"),
        (("data", "a.conf"), "data[a.conf]"),
        (("metadata", "annotations", "x/y"), "metadata.annotations[x/y]"),
        (("metadata", "finalizers", '[="a"]'), 'metadata.finalizers[="a"]'),
        (("ports", '[{"port":80,"protocol":"TCP"}]'), "ports[port=80,protocol=TCP]"),
    ],
)
def test_paths_for_people(path: tuple[str, ...], text: str) -> None:
    """Keys with dots and slashes stand in brackets."""
    assert display(path) == text


def test_owners_are_labelled_with_their_subresource() -> None:
    """Who wrote through `scale` is shown so."""
    live = {"metadata": {"managedFields": [{"manager": "kcm", "subresource": "scale"}]}}
    (owner,) = entries(live)
    assert owner.label == "kcm/scale"
    assert entries({}) == ()
