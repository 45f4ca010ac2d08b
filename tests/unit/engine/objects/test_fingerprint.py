from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.unit.engine.live_objects import applied, desired_objects, paths_of_leaves, put

from infometis_sdk.engine.objects.fingerprint import content, fingerprint
from infometis_sdk.engine.planning.examine import changes

quick = settings(max_examples=100, deadline=None)


@quick
@given(desired_objects())
def test_nothing_differs_from_itself(desired: dict[str, Any]) -> None:
    """The difference of an object to itself, or to a reordered copy, is empty."""
    live = applied(desired)
    assert changes(live, copy.deepcopy(live)) == ()
    turned = dict(reversed(list(live.items())))
    assert changes(live, turned) == ()
    assert fingerprint(live) == fingerprint(turned)


@quick
@given(desired_objects(), st.data())
def test_any_change_of_content_moves_it(desired: dict[str, Any], data: st.DataObject) -> None:
    """Each leaf of labels, annotations and of the object's own content counts, and is a change."""
    live = applied(desired)
    path = data.draw(st.sampled_from([p for p in paths_of_leaves(live) if p[0] == "spec"]))
    other = put(live, path, "something else entirely")
    assert fingerprint(other) != fingerprint(live)
    assert changes(live, other)


@pytest.mark.parametrize(
    "path",
    [
        ("metadata", "resourceVersion"),
        ("metadata", "generation"),
        ("metadata", "managedFields", 0, "time"),
        ("status",),
    ],
    ids=str,
)
def test_what_moves_by_itself_does_not_count(path: tuple[Any, ...]) -> None:
    """Status, versions and times move with every heartbeat of a controller."""
    live = applied({"kind": "X", "metadata": {"name": "n", "labels": {"a": "b"}}, "spec": {"a": 1}})
    live["metadata"]["generation"] = 1
    assert fingerprint(put(live, path, "moved")) == fingerprint(live)


def test_who_owns_what_counts() -> None:
    """The same content under another owner is another fingerprint; ownership of status is not."""
    live = applied({"kind": "X", "metadata": {"name": "n", "labels": {"a": "b"}}, "spec": {"a": 1}})
    assert fingerprint(put(live, ("metadata", "managedFields", 0, "manager"), "x")) != fingerprint(
        live
    )
    status = {
        "manager": "kcm",
        "operation": "Update",
        "subresource": "status",
        "fieldsV1": {"f:status": {}},
    }
    more = copy.deepcopy(live)
    more["metadata"]["managedFields"].append(status)
    assert fingerprint(more) == fingerprint(live)
    more["metadata"]["managedFields"][-1] = {**status, "subresource": "scale"}
    assert fingerprint(more) != fingerprint(live)


def test_a_controllers_bookkeeping_does_not_count() -> None:
    """The revision of a Deployment is written by its controller, and says nothing of the spec."""
    live = applied({"kind": "X", "metadata": {"name": "n", "labels": {"a": "b"}}, "spec": {"a": 1}})
    noisy = copy.deepcopy(live)
    name = "deployment.kubernetes.io/revision"
    noisy["metadata"].setdefault("annotations", {})[name] = "3"
    noisy["metadata"]["managedFields"].append(
        {
            "manager": "kcm",
            "operation": "Update",
            "fieldsV1": {"f:metadata": {"f:annotations": {".": {}, f"f:{name}": {}}}},
        }
    )
    assert fingerprint(noisy) == fingerprint(live)
    assert content(noisy) == content(live)


def test_another_object_of_the_same_name_is_another() -> None:
    """The UID counts: an object that was made anew is not the one that was looked at."""
    live = applied({"kind": "X", "metadata": {"name": "n", "labels": {"a": "b"}}, "spec": {"a": 1}})
    assert fingerprint(put(live, ("metadata", "uid"), "2")) != fingerprint(live)
