"""What is no longer desired goes, and nothing else does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.integration.engine.lab import actions, config_map, custom_kind, deployment, raw

from infometis_sdk.errors import PlanRefusedError
from infometis_sdk.model.environment import Policies, PrunePolicy
from infometis_sdk.model.service import Credential, Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.engine.lab import Lab


pytestmark = pytest.mark.integration


def many(name: str, count: int) -> Service:
    """Return a service of many ConfigMaps."""
    return raw(name, *(config_map(f"{name}-{n}") for n in range(count)))


def test_an_empty_desired_set_is_refused(lab: Lab) -> None:
    """A project without services would take everything: that is what down is for."""
    lab.up(lab.render(many("a", 2)))
    nothing = lab.render()
    made = lab.plan(nothing)
    assert any("nothing is desired" in reason for reason in made.blocked), made.blocked
    with pytest.raises(PlanRefusedError):
        lab.apply(made, nothing)
    assert len([m for m in lab.members() if m[0] == "ConfigMap"]) == 2


def test_the_circuit_breaker_wants_the_digest(lab: Lab) -> None:
    """More than five objects, or a fifth, go only with the plan's digest as confirmation."""
    lab.up(lab.render(many("a", 12)))
    wanted = lab.render(many("a", 6))
    made = lab.plan(wanted)
    assert "6 of 13 objects would be deleted" in made.confirm
    assert "needs confirmation" in str(made)
    for wrong in ("", "sha256:guess"):
        with pytest.raises(PlanRefusedError) as caught:
            lab.apply(made, wanted, confirm=wrong)
        assert made.digest in caught.value.hint
    assert len([m for m in lab.members() if m[0] == "ConfigMap"]) == 12
    lab.apply(made, wanted, confirm=made.digest)
    lab.settled(wanted)


def test_five_objects_go_without_a_word(lab: Lab) -> None:
    """The breaker trips above its limit, not at it."""
    lab.up(lab.render(many("a", 12)))
    assert not lab.plan(lab.render(many("a", 7))).confirm


def test_the_breaker_can_be_set_and_prune_can_be_off(lab: Lab) -> None:
    """`policies.prune` sets the limit; switched off, everything stays and is named."""
    lab.up(lab.render(many("a", 12)))
    for policy, confirm, deleted in (
        (PrunePolicy(max_count=20), False, 11),
        (PrunePolicy(max_count=1, max_percent=99), False, 11),
        (PrunePolicy(max_count=1, max_percent=10), True, 11),
        (PrunePolicy(enabled=False), False, 0),
    ):
        lab.environment = attrs.evolve(lab.environment, policies=Policies(prune=policy))
        made = lab.plan(lab.render(many("a", 1)))
        assert bool(made.confirm) is confirm, policy
        assert list(actions(made).values()) == ["delete"] * deleted
        assert len(made.kept) == 11 - deleted


def database(name: str = "db") -> Service:
    """Return a service with a volume and a password."""
    made = Service.stateful(name, image="example/db:1.0", port=5432)
    return attrs.evolve(made, credentials={"admin": Credential(username="root", durable=True)})


def test_one_removed_service_is_one_decision_and_its_data_stays(lab: Lab) -> None:
    """Taking one service out of the project prunes exactly its objects without confirmation.

    Its volumes and credentials stay, and it takes them up again when it comes back.
    """
    both = lab.render(database(), many("a", 3))
    lab.up(both)
    claim, password = lab.ref("PersistentVolumeClaim", "data-db-0"), lab.ref("Secret", "db-admin")
    lab.until_bound(claim)
    before = lab.must_get(password)["data"], lab.must_get(claim)["metadata"]["uid"]

    left = lab.render(many("a", 3))
    made = lab.plan(left)
    assert not made.confirm
    assert not made.blocked
    assert set(actions(made)) == {
        "PodDisruptionBudget/db",
        "Service/db",
        "Service/db-headless",
        "ServiceAccount/db",
        "StatefulSet/db",
    }
    lab.apply(made, left)
    lab.settled(left)
    assert lab.get(lab.ref("StatefulSet", "db", "apps/v1")) is None

    lab.up(both)
    assert (lab.must_get(password)["data"], lab.must_get(claim)["metadata"]["uid"]) == before
    lab.settled(both)


def test_data_of_a_removed_service_goes_by_name(lab: Lab) -> None:
    """The removal names what it leaves behind; named, a volume goes, with the last one its keys.

    Volumes of a service that is still there are not touched, and twice is once.
    """
    alike = database("other")
    lab.up(lab.render(database(), alike, many("a", 3)))
    claim, password = lab.ref("PersistentVolumeClaim", "data-db-0"), lab.ref("Secret", "db-admin")
    spared = lab.ref("PersistentVolumeClaim", "data-other-0")
    lab.until_bound(claim)
    lab.until_bound(spared)

    left = lab.render(alike, many("a", 3))
    made = lab.plan(left)
    stays = "data stays until it is deleted by name (--accept-data-loss)"
    assert set(made.left) == {f"{claim}: {stays}", f"{password}: {stays}"}
    assert f"kept: {claim}, {password}: {stays}" in str(made)
    report = lab.apply(made, left)
    assert f"kept: {claim}: {stays}" in report.warnings
    assert lab.plan(left).empty

    named = [str(claim), str(spared), "Secret/other-admin"]
    made = lab.plan(left, data_loss=named)
    assert actions(made) == {str(claim): "delete", str(password): "delete"}
    lab.apply(made, left)
    lab.until(lambda: lab.get(claim) is None, "the volume claim to go")
    assert lab.get(password) is None
    assert lab.get(spared) is not None
    assert lab.plan(left, data_loss=named).empty
    lab.settled(left)


def test_a_service_may_go_with_its_data(lab: Lab) -> None:
    """Named beforehand, volume and credentials go in the same plan as what uses them."""
    lab.up(lab.render(database(), many("a", 3)))
    claim = lab.ref("PersistentVolumeClaim", "data-db-0")
    lab.until_bound(claim)
    left = lab.render(many("a", 3))
    made = lab.plan(left, data_loss=[str(claim)])
    assert not made.left
    lab.apply(made, left)
    lab.until(lambda: lab.get(claim) is None, "the volume claim to go")
    assert lab.get(lab.ref("Secret", "db-admin")) is None
    lab.settled(left)


def test_two_removed_services_want_the_digest(lab: Lab) -> None:
    """Several services at once are more than one decision."""
    lab.up(lab.render(many("a", 4), many("b", 4), many("c", 4)))
    assert lab.plan(lab.render(many("c", 4))).confirm


def test_a_service_removed_long_ago_changes_nothing(lab: Lab) -> None:
    """Only what goes now counts: an earlier removal does not trip the breaker."""
    lab.up(lab.render(many("a", 8), many("b", 8), many("c", 8)))
    lab.up(lab.render(many("b", 8), many("c", 8)))
    assert not lab.plan(lab.render(many("c", 8))).confirm


def claim(name: str) -> dict[str, Any]:
    """Return a PersistentVolumeClaim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def test_a_volume_goes_only_by_its_name(lab: Lab) -> None:
    """A claim, and a set that takes its claims with it, are refused until named one by one."""
    selfish = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "selfish"},
        "spec": {
            **deployment("selfish")["spec"],
            "serviceName": "selfish",
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"},
        },
    }
    lab.up(lab.render(raw("app", config_map("a"), claim("data"), selfish)))
    wanted = lab.render(raw("app", config_map("a")))
    refused = lab.plan(wanted)
    assert len(refused.blocked) == 2, refused.blocked
    assert all("--accept-data-loss" in reason for reason in refused.blocked)
    with pytest.raises(PlanRefusedError):
        lab.apply(refused, wanted)
    one = lab.plan(wanted, data_loss=["PersistentVolumeClaim/data"])
    assert len(one.blocked) == 1
    agreed = lab.plan(wanted, data_loss=["PersistentVolumeClaim/data", "StatefulSet/selfish"])
    assert not agreed.blocked
    lab.apply(agreed, wanted)
    assert lab.get(lab.ref("PersistentVolumeClaim", "data")) is None
    lab.settled(wanted)


KEPT = [
    "infometis.io/prune=keep",
    "helm.sh/resource-policy=keep",
    "client.lifecycle.config.k8s.io/deletion=detach",
]


@pytest.mark.parametrize("note", KEPT)
def test_what_is_annotated_stays_and_is_reported(lab: Lab, note: str) -> None:
    """Annotations of ours and of other tools protect an object; plan and report name it."""
    lab.up(lab.render(raw("app", config_map("a"), config_map("dear"))))
    lab.kubectl("annotate", "configmap", "dear", note)
    wanted = lab.render(raw("app", config_map("a")))
    made = lab.plan(wanted)
    assert made.empty
    assert any("ConfigMap/dear" in reason for reason in made.kept)
    assert "ConfigMap/dear" in str(made)
    # It is not forgotten either: without the annotation it goes.
    lab.kubectl("annotate", "configmap", "dear", note.partition("=")[0] + "-")
    assert actions(lab.plan(wanted)) == {"ConfigMap/dear": "delete"}


def test_what_only_carries_our_label_stays(lab: Lab) -> None:
    """A copy of our object under another name has our labels and was never applied: it stays."""
    lab.up(lab.render(raw("app", config_map("a"))))
    live = lab.must_get(lab.ref("ConfigMap", "a"))
    meta = {"name": "copy", "namespace": lab.namespace, "labels": live["metadata"]["labels"]}
    lab.write("create", {**live, "metadata": meta}, "kubectl")
    made = lab.plan(lab.render(raw("app", config_map("a"))))
    assert made.empty
    assert any("ConfigMap/copy" in r and "never applied" in r for r in made.kept)


def test_what_somebody_else_owns_stays(lab: Lab) -> None:
    """An object with a foreign owner goes with that owner, not by our hand."""
    lab.up(lab.render(raw("app", config_map("a"), config_map("owned"))))
    lab.kubectl("create", "configmap", "owner")
    owner = lab.must_get(lab.ref("ConfigMap", "owner"))["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
    lab.patch(
        lab.ref("ConfigMap", "owned"), {"metadata": {"ownerReferences": [reference]}}, "operator"
    )
    made = lab.plan(lab.render(raw("app", config_map("a"))))
    assert made.empty
    assert any("owned by ConfigMap/owner" in reason for reason in made.kept)


def widget(name: str, group: str) -> dict[str, Any]:
    """Return a custom resource."""
    return {
        "apiVersion": f"{group}/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"size": 1},
    }


def test_a_definition_with_foreign_resources_is_never_pruned(lab: Lab) -> None:
    """A CustomResourceDefinition stays while anybody's resources are there, and goes after."""
    group = f"{lab.name}.example.com"
    whole = lab.render(
        raw("app", config_map("a")),
        raw("op", custom_kind("Widget", group), widget("ours", group)),
    )
    first = lab.plan(whole)
    assert {i.certainty for i in first.items if i.ref.kind == "Widget"} == {"predicted"}
    lab.apply(first, whole)
    lab.settled(whole)
    foreign = widget("theirs", group)
    foreign["metadata"]["namespace"] = lab.namespace
    lab.write("create", foreign, "kubectl")

    wanted = lab.render(raw("app", config_map("a")))
    made = lab.plan(wanted)
    assert actions(made) == {"Widget/ours": "delete"}
    assert any("CustomResourceDefinition" in r and "1 objects" in r for r in made.kept), made.kept
    lab.apply(made, wanted)

    lab.write("delete", lab.ref("Widget", "theirs", f"{group}/v1"), "")
    again = lab.plan(wanted)
    assert actions(again) == {f"CustomResourceDefinition/widgets.{group}": "delete"}
    lab.apply(again, wanted)
    lab.settled(wanted)


def test_a_definition_that_got_used_after_the_plan_stays(lab: Lab) -> None:
    """The look into a definition is repeated right before it would go."""
    group = f"{lab.name}.example.com"
    lab.up(lab.render(raw("app", config_map("a")), raw("op", custom_kind("Widget", group))))
    wanted = lab.render(raw("app", config_map("a")))
    made = lab.plan(wanted)
    assert actions(made) == {f"CustomResourceDefinition/widgets.{group}": "delete"}
    foreign = widget("theirs", group)
    foreign["metadata"]["namespace"] = lab.namespace
    lab.write("create", foreign, "kubectl")
    report = lab.apply(made, wanted)
    (outcome,) = report.outcomes
    assert outcome.result == "kept"
    assert "1 objects of kind Widget" in outcome.detail
    lab.write("delete", lab.ref("Widget", "theirs", f"{group}/v1"), "")
    lab.up(wanted)
    lab.settled(wanted)


def test_a_part_of_the_stack_touches_no_other_part(lab: Lab) -> None:
    """`up a` neither prunes nor changes what belongs to others, whatever has happened to it."""
    lab.up(lab.render(many("a", 2), many("b", 2), many("gone", 2)))
    lab.kubectl("label", "configmap", "b-0", "infometis.io/stack-", "team=blue")
    wanted = lab.render(raw("a", config_map("a-0", new="1")), raw("b", config_map("b-9")))
    made = lab.plan(wanted, only=["a"])
    assert actions(made) == {"ConfigMap/a-0": "update"}
    lab.apply(made, wanted)
    names = {n for k, _, n in lab.members() if k == "ConfigMap"}
    assert names == {"a-0", "a-1", "b-1", "gone-0", "gone-1"}
    # What the part left alone is still known: the whole prunes it.
    whole = lab.plan(wanted)
    assert actions(whole)["ConfigMap/gone-0"] == "delete"


def test_kinds_of_one_name_are_not_taken_for_each_other(lab: Lab) -> None:
    """Two groups may have a kind of the same name; neither hides the other from prune."""
    group = f"{lab.name}.example.com"
    mine = {
        "apiVersion": f"{group}/v1",
        "kind": "ConfigMap",
        "metadata": {"name": "odd"},
        "spec": {},
    }
    crd = custom_kind("ConfigMap", group)
    lab.up(lab.render(raw("app", config_map("a"), crd, mine)))
    wanted = lab.render(raw("app", config_map("a"), crd))
    made = lab.plan(wanted)
    assert [(i.action, i.ref.group, i.ref.name) for i in made.items] == [("delete", group, "odd")]
    lab.apply(made, wanted)
    lab.settled(wanted)


def test_a_renamed_object_is_made_before_the_old_one_goes(lab: Lab) -> None:
    """Deletions come last: what replaces them is there first."""
    lab.up(lab.render(raw("app", config_map("old"), config_map("a"))))
    wanted = lab.render(raw("app", config_map("new"), config_map("a")))
    report = lab.up(wanted)
    assert [(str(o.ref), o.result) for o in report.outcomes] == [
        ("ConfigMap/new", "applied"),
        ("ConfigMap/old", "deleted"),
    ]


def test_two_stacks_of_one_namespace_leave_each_other_alone(labs: Callable[[], Lab]) -> None:
    """Prune goes by the inventory's label, never by the namespace."""
    one, two = labs(), labs()
    one.kubectl("create", "namespace", one.namespace)
    for each in (one, two):
        each.environment = attrs.evolve(each.environment, mode="shared", namespace=one.namespace)
        each.namespace = one.namespace
    mine, theirs = one.render(many("a", 3)), two.render(many("b", 3))
    one.up(mine)
    two.up(theirs)
    one.up(one.render(many("a", 2)))
    two.settled(theirs)
    one.down(mine, delete_data=True)
    two.settled(theirs)
    assert one.labelled() == set()
