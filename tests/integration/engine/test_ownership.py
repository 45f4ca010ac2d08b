"""What is ours, what is not, and what happens to ours behind our back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest
from tests.integration.engine.lab import actions, config_map, deployment, item, raw

from infometis_sdk.engine.objects.marks import PART_OF, STACK
from infometis_sdk.errors import PlanRefusedError, RefusedError

if TYPE_CHECKING:
    from tests.integration.engine.lab import Lab

pytestmark = pytest.mark.integration


def test_an_unmarked_object_is_never_adopted_silently(lab: Lab) -> None:
    """An object of somebody else stops the plan; adopted by name it becomes ours, whole."""
    lab.kubectl("create", "namespace", lab.namespace)
    shared = attrs.evolve(lab.environment, mode="shared")
    lab.environment = shared
    lab.kubectl("create", "configmap", "settings", "--from-literal=a=theirs", "--from-literal=z=1")
    wanted = lab.render(raw("app", config_map("settings", a="ours"), config_map("other", a="1")))
    made = lab.plan(wanted)
    (reason,) = made.blocked
    assert "ConfigMap/settings" in reason
    assert "kubectl-create" in reason
    with pytest.raises(PlanRefusedError):
        lab.apply(made, wanted)
    assert lab.get(lab.ref("ConfigMap", "other")) is None
    assert lab.must_get(lab.ref("ConfigMap", "settings"))["data"]["a"] == "theirs"

    adopted = lab.plan(wanted, adopt=["ConfigMap/settings"])
    assert actions(adopted) == {"ConfigMap/settings": "adopt", "ConfigMap/other": "create"}
    lab.apply(adopted, wanted)
    live = lab.must_get(lab.ref("ConfigMap", "settings"))
    assert live["data"] == {"a": "ours", "z": "1"}
    assert live["metadata"]["labels"][STACK] == lab.name
    lab.settled_but_foreign(wanted)


def test_an_object_that_appears_after_the_plan_is_not_adopted(lab: Lab) -> None:
    """What was to be created and is there now makes the plan stale, and is left alone."""
    wanted = lab.render(raw("app", config_map("settings", a="ours")))
    lab.up(lab.render(raw("app", config_map("first"))))
    made = lab.plan(wanted)
    lab.kubectl("create", "configmap", "settings", "--from-literal=a=theirs")
    with pytest.raises(RefusedError) as caught:
        lab.apply(made, wanted)
    assert "ConfigMap/settings" in str(caught.value)
    assert lab.must_get(lab.ref("ConfigMap", "settings"))["data"]["a"] == "theirs"


def test_an_object_deleted_under_us_is_drift_and_comes_back(lab: Lab) -> None:
    """Drift calls a deleted object missing; the next apply makes it again."""
    wanted = lab.render(raw("app", config_map("settings", a="1"), deployment("app")))
    lab.up(wanted)
    lab.kubectl("delete", "configmap", "settings")
    (found,) = lab.drift(wanted).items
    assert (found.state, str(found.ref), found.live) == ("drift", "ConfigMap/settings", "missing")
    assert actions(lab.plan(wanted)) == {"ConfigMap/settings": "create"}
    lab.up(wanted)
    lab.settled(wanted)


def test_our_object_without_its_labels_is_still_ours(lab: Lab) -> None:
    """Somebody took our labels away: the object is known by its managed fields, and mended."""
    wanted = lab.render(raw("app", config_map("settings", a="1")))
    lab.up(wanted)
    ref = lab.ref("ConfigMap", "settings")
    uid = lab.must_get(ref)["metadata"]["uid"]
    lab.kubectl("label", "configmap", "settings", f"{STACK}-", f"{PART_OF}-")
    found = lab.drift(wanted)
    assert {i.path for i in found.items} == {
        f"metadata.labels[{STACK}]",
        f"metadata.labels[{PART_OF}]",
    }
    assert {i.state for i in found.items} == {"drift"}
    made = lab.plan(wanted)
    assert not made.blocked
    assert item(made, "ConfigMap/settings").action == "update"
    lab.apply(made, wanted)
    live = lab.must_get(ref)
    assert live["metadata"]["uid"] == uid
    assert live["metadata"]["labels"][PART_OF]
    lab.settled(wanted)


def test_an_object_restored_by_a_backup_tool_is_ours_by_its_label(lab: Lab) -> None:
    """A restored object has our labels and another manager: it is taken up again, not refused."""
    wanted = lab.render(raw("app", config_map("settings", a="1")))
    lab.up(wanted)
    ref = lab.ref("ConfigMap", "settings")
    live = lab.must_get(ref)
    kept = {k: live["metadata"][k] for k in ("name", "namespace", "labels", "annotations")}
    lab.write("delete", ref, "")
    lab.write("create", {**live, "metadata": kept}, "velero-server")
    made = lab.plan(wanted)
    assert not made.blocked
    lab.apply(made, wanted)
    lab.settled(wanted)


def test_an_object_without_its_inventory_label_is_kept_and_named(lab: Lab) -> None:
    """What no longer carries our inventory's label is not pruned; the plan says that it stays."""
    lab.up(lab.render(raw("app", config_map("stays"), config_map("goes"), config_map("left"))))
    lab.kubectl("label", "configmap", "stays", f"{PART_OF}-")
    made = lab.plan(lab.render(raw("app", config_map("left"))))
    assert actions(made) == {"ConfigMap/goes": "delete"}
    assert any("ConfigMap/stays" in reason for reason in made.kept)


def test_a_copied_inventory_is_refused(lab: Lab) -> None:
    """An inventory that does not carry its own id is not believed."""
    wanted = lab.render(raw("app", config_map("settings", a="1")))
    lab.up(wanted)
    lab.kubectl(
        "label",
        "--overwrite",
        "configmap",
        f"infometis-{lab.name}",
        "applyset.kubernetes.io/id=applyset-forged-v1",
    )
    with pytest.raises(RefusedError, match="does not carry its own ApplySet id"):
        lab.plan(wanted)
