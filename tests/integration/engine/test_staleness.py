"""What was shown is what is done: a plan that no longer fits is refused, and nothing is written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.integration.engine.lab import config_map, deployment, item, raw, secret

from infometis_sdk.engine.planning.plan_json import plan_from_json, plan_to_json
from infometis_sdk.errors import (
    InfometisError,
    PlanRefusedError,
    ProjectError,
    StalePlanError,
    WrongClusterError,
)

if TYPE_CHECKING:
    from tests.integration.engine.lab import Lab

    from infometis_sdk.model.plan import Plan
    from infometis_sdk.model.stack import ManifestSet

pytestmark = pytest.mark.integration


def stack(lab: Lab, value: str, *, replicas: int = 1) -> ManifestSet:
    """Return a stack of two stages: the second service needs the first."""
    return lab.render(
        raw("base", config_map("base", a=value)),
        raw(
            "app", deployment("app", replicas=replicas), config_map("late", a=value), needs=["base"]
        ),
    )


def versions(lab: Lab) -> dict[str, str]:
    """Return the resourceVersion of everything that is ours, bookkeeping too."""
    found = {}
    for version, kind in (("v1", "ConfigMap"), ("v1", "Secret"), ("apps/v1", "Deployment")):
        for obj in lab.cluster.list(version, kind, lab.run(), namespace=lab.namespace):
            found[f"{kind}/{obj['metadata']['name']}"] = obj["metadata"]["resourceVersion"]
    return found


def refused(lab: Lab, made: Plan, wanted: ManifestSet) -> StalePlanError:
    """Apply in vain, and make sure that nothing was written."""
    before = versions(lab)
    with pytest.raises(StalePlanError) as caught:
        lab.apply(made, wanted)
    assert versions(lab) == before
    return caught.value


def test_a_plan_from_a_file_is_applied_exactly(lab: Lab) -> None:
    """A plan survives the way through a file, digest and all, and does what it said."""
    wanted = stack(lab, "1")
    made = lab.plan(wanted)
    again = plan_from_json(plan_to_json(made))
    assert again == made
    lab.apply(again, wanted)
    lab.settled(wanted)


def edits(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every leaf."""
    if isinstance(data, dict):
        return [p for k, v in data.items() for p in edits(v, (*path, k))]
    if isinstance(data, list):
        return [p for k, v in enumerate(data) for p in edits(v, (*path, k))]
    return [path]


def test_a_plan_file_that_was_edited_is_refused(lab: Lab) -> None:
    """Whatever leaf of the file is changed, but for the time of its making.

    It is no plan any more.
    """
    lab.up(stack(lab, "1"))
    wanted = stack(lab, "2", replicas=2)
    text = plan_to_json(lab.plan(wanted))
    before = versions(lab)
    paths = edits(json.loads(text))
    assert len(paths) > 50
    for path in paths:
        if path[0] == "created":
            continue
        data = json.loads(text)
        node = data
        for step in path[:-1]:
            node = node[step]
        old = node[path[-1]]
        node[path[-1]] = (
            not old if isinstance(old, bool) else f"{old}x" if isinstance(old, str) else 77
        )
        with pytest.raises((StalePlanError, ProjectError)):
            lab.apply(plan_from_json(json.dumps(data)), wanted)
    assert versions(lab) == before
    lab.apply(plan_from_json(text), wanted)


def test_a_planned_object_that_somebody_changed_makes_the_plan_stale(lab: Lab) -> None:
    """A change of an object in the plan, also of its second stage: refused, nothing written."""
    lab.up(stack(lab, "1"))
    wanted = stack(lab, "2")
    made = lab.plan(wanted)
    lab.kubectl("label", "configmap", "late", "by=somebody")
    error = refused(lab, made, wanted)
    assert [str(ref) for ref in error.moved] == ["ConfigMap/late"]
    lab.up(wanted)


def test_a_planned_object_that_is_gone_makes_the_plan_stale(lab: Lab) -> None:
    """An object that was to be changed and is not there any more: refused, nothing written."""
    lab.up(stack(lab, "1"))
    wanted = stack(lab, "2")
    made = lab.plan(wanted)
    lab.kubectl("delete", "configmap", "late")
    refused(lab, made, wanted)


def test_an_object_that_was_made_anew_makes_a_deletion_stale(lab: Lab) -> None:
    """What is deleted is what was looked at, not another object of the same name."""
    lab.up(stack(lab, "1"))
    wanted = lab.render(raw("base", config_map("base", a="1")))
    made = lab.plan(wanted)
    assert item(made, "ConfigMap/late").action == "delete"
    lab.kubectl("delete", "configmap", "late")
    lab.kubectl("create", "configmap", "late")
    refused(lab, made, wanted)


def test_a_status_update_makes_no_plan_stale(lab: Lab) -> None:
    """Status moves all the time; a plan rests on none of it, though resourceVersion moved."""
    lab.up(stack(lab, "1"))
    ref = lab.ref("Deployment", "app", "apps/v1")
    lab.until(lambda: lab.must_get(ref).get("status", {}).get("readyReplicas") == 1, "a pod")
    wanted = stack(lab, "2", replicas=2)
    made = lab.plan(wanted)
    old = lab.must_get(ref)["metadata"]["resourceVersion"]
    condition = {"type": "Odd", "status": "True", "lastUpdateTime": "2026-01-01T00:00:00Z"}
    lab.patch(ref, {"status": {"conditions": [condition]}}, "meddler", subresource="status")
    assert lab.must_get(ref)["metadata"]["resourceVersion"] != old
    lab.apply(made, wanted)
    lab.settled(wanted)


def test_an_object_that_is_not_in_the_plan_may_change(lab: Lab) -> None:
    """Only what a plan rests on counts."""
    lab.up(stack(lab, "1"))
    wanted = stack(lab, "1", replicas=2)
    made = lab.plan(wanted)
    lab.kubectl("label", "configmap", "base", "by=somebody")
    lab.apply(made, wanted)


def test_another_value_of_a_secret_than_the_planned_one_is_refused(lab: Lab) -> None:
    """A plan holds a keyed hash of a Secret's values; another value at apply is another plan."""
    lab.up(lab.render(raw("app", secret("token", a="first"))))
    wanted = lab.render(raw("app", secret("token", a="second")))
    other = lab.render(raw("app", secret("token", a="third")))
    made = lab.plan(wanted)
    with pytest.raises(StalePlanError, match="core or its values are others"):
        lab.apply(made, other)
    # Also where all else is as it was planned.
    with pytest.raises(StalePlanError, match="Secret/token"):
        lab.apply(made, attrs.evolve(wanted, manifests=other.manifests))
    assert lab.must_get(lab.ref("Secret", "token"))["data"] == {"a": "Zmlyc3Q="}
    lab.apply(made, wanted)
    lab.settled(wanted)


def test_a_secret_that_the_project_no_longer_renders_is_refused(lab: Lab) -> None:
    """A plan file alone cannot apply a Secret: it does not hold it."""
    wanted = lab.render(raw("app", secret("token", a="first"), config_map("a")))
    made = lab.plan(wanted)
    with pytest.raises(StalePlanError, match="Secret/token"):
        lab.apply(made, lab.render(raw("app", config_map("a"))))
    assert lab.get(lab.ref("ConfigMap", "a")) is None


def test_a_blocked_plan_is_never_applied(lab: Lab) -> None:
    """Problems cannot be applied away: the plan is in the error, nothing is written."""
    wanted = lab.render(
        raw("app", {"apiVersion": "no.such/v1", "kind": "Ghost", "metadata": {"name": "x"}})
    )
    made = lab.plan(wanted)
    with pytest.raises(PlanRefusedError) as caught:
        lab.apply(made, wanted)
    assert caught.value.plan is made


def test_a_kubeconfig_that_points_elsewhere_now_is_refused(lab: Lab) -> None:
    """The cluster of the first apply is pinned: plan, apply and teardown refuse another one."""
    wanted = stack(lab, "1")
    made = lab.plan(wanted)
    elsewhere = attrs.evolve(made, cluster_uid="00000000-0000-0000-0000-000000000000")
    with pytest.raises(WrongClusterError):
        lab.apply(lab.unblocked(elsewhere), wanted)
    assert lab.get(lab.ref("Namespace", lab.namespace, scoped=False)) is None
    with pytest.raises(WrongClusterError, match="lives on 1234"):
        lab.plan(wanted, pinned="1234")
    lab.apply(made, wanted)
    with pytest.raises(WrongClusterError):
        lab.plan(wanted, pinned="1234")
    with pytest.raises(WrongClusterError):
        lab.down(wanted, pinned="1234")
    uid = made.cluster_uid
    assert lab.plan(wanted, pinned=uid).empty


def test_every_refusal_is_an_error_of_ours(lab: Lab) -> None:
    """A refusal has a message without full stop and a hint with the cure."""
    lab.up(stack(lab, "1"))
    wanted = stack(lab, "2")
    made = lab.plan(wanted)
    lab.kubectl("label", "configmap", "late", "by=somebody")
    with pytest.raises(InfometisError) as caught:
        lab.apply(made, wanted)
    assert caught.value.hint
    assert not caught.value.message.endswith(".")
    assert caught.value.exit_code == 3


def test_a_lost_inventory_is_written_anew(lab: Lab) -> None:
    """Somebody deleted our records: the stack is still ours, and the next run restores them."""
    lab.up(stack(lab, "1"))
    lab.kubectl("delete", "configmap", f"infometis-{lab.name}")
    made = lab.plan(stack(lab, "1"))
    assert made.empty
    assert made.unfinished
    lab.apply(made, stack(lab, "1"))
    assert not lab.plan(stack(lab, "1")).unfinished
    left = lab.render(raw("base", config_map("base", a="1")))
    assert {i.action for i in lab.plan(left).items} == {"delete"}
