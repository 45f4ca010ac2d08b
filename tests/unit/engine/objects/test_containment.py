from __future__ import annotations

from typing import Any

from hypothesis import given, settings, strategies as st
from tests.unit.engine.live_objects import (
    MANAGER,
    applied,
    desired_objects,
    paths_of_leaves,
    put,
)

from infometis_sdk.engine.objects.containment import lacking, surplus
from infometis_sdk.engine.objects.fieldset import display

quick = settings(max_examples=100, deadline=None)


def told(desired: dict[str, Any], live: dict[str, Any]) -> list[str]:
    """Return the paths that are told."""
    return [display(path, live) for path, _, _ in lacking(desired, live)]


@quick
@given(desired_objects())
def test_what_was_applied_lacks_nothing(desired: dict[str, Any]) -> None:
    """After an apply every desired leaf is live, and nothing of ours is too much."""
    live = applied(desired)
    assert told(desired, live) == []
    assert list(surplus(desired, live, MANAGER)) == []


@quick
@given(desired_objects(), st.data())
def test_any_other_leaf_is_told_whoever_owns_it(
    desired: dict[str, Any], data: st.DataObject
) -> None:
    """A live value that is not the desired one is told, also where somebody else owns it all."""
    paths = [
        p
        for p in paths_of_leaves({"spec": desired["spec"], "metadata": desired["metadata"]})
        if p[:2] not in (("metadata", "name"), ("metadata", "namespace"))
    ]
    path = data.draw(st.sampled_from(paths))
    live = put(applied(desired), path, "another value altogether")
    live["metadata"]["managedFields"][0]["manager"] = "kubectl-edit"
    assert told(desired, live) != []


def live_with(spec: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """Return a live object whose spec somebody owns as the tree says."""
    entry = {"manager": MANAGER, "operation": "Apply", "fieldsV1": {"f:spec": fields}}
    return {"spec": spec, "metadata": {"name": "a", "managedFields": [entry]}}


def test_an_item_more_in_an_atomic_list_is_told() -> None:
    """Whoever adds to an atomic list owns all of it, so nothing else would tell of the addition."""
    live = live_with({"args": ["a", "evil"]}, {"f:args": {}})
    assert told({"spec": {"args": ["a"]}}, live) == ["spec.args"]


def test_defaults_inside_an_atomic_list_are_not_told() -> None:
    """What the server fills into the items of an atomic list is no difference."""
    live = live_with({"rules": [{"a": 1, "b": 2}]}, {"f:rules": {}})
    assert told({"spec": {"rules": [{"a": 1}]}}, live) == []


def test_items_are_matched_by_the_keys_of_the_api_server() -> None:
    """A defaulted key does not hide an item, and an item of somebody else is no lack of ours."""
    tree: dict[str, Any] = {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:name": {}}}
    ports = [{"port": 9, "protocol": "TCP"}, {"port": 80, "protocol": "TCP", "name": "http"}]
    live = live_with({"ports": ports}, {"f:ports": tree})
    desired = {"spec": {"ports": [{"port": 80, "name": "http"}]}}
    assert told(desired, live) == []
    assert list(surplus(desired, live, MANAGER)) == []
    wrong = live_with(
        {"ports": [{"port": 80, "protocol": "TCP", "name": "web"}]}, {"f:ports": tree}
    )
    assert told(desired, wrong) == ["spec.ports[name=web].name"]
    gone = live_with({"ports": []}, {"f:ports": tree})
    assert told(desired, gone) == ["spec.ports[port=80]"]


def test_another_order_is_told() -> None:
    """Init containers run in their order, so another one is another behaviour."""
    tree: dict[str, Any] = {f'k:{{"name":"{n}"}}': {".": {}, "f:name": {}} for n in "ab"}
    live = live_with({"list": [{"name": "b"}, {"name": "a"}]}, {"f:list": tree})
    assert told({"spec": {"list": [{"name": "a"}, {"name": "b"}]}}, live) == ["spec.list"]


def test_what_is_not_desired_any_more_is_surplus() -> None:
    """A field that we own and do not render would go with the next apply."""
    live = live_with({"a": 1, "b": 2}, {"f:a": {}, "f:b": {}})
    assert list(surplus({"spec": {"a": 1}}, live, MANAGER)) == [(("spec", "b"), 2)]


def test_as_good_as_absent() -> None:
    """A false or empty value that the server leaves out is there all the same."""
    live = live_with({"a": 1}, {"f:a": {}})
    assert told({"spec": {"a": 1, "b": False, "c": "", "d": 0}}, live) == []
    assert told({"spec": {"a": True}}, live) == ["spec.a"]
