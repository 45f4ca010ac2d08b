"""Fields that cannot change in place, and volumes that grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.engine.lab import actions, deployment, item, raw

from infometis_sdk.engine.objects.marks import STACK
from infometis_sdk.errors import PlanRefusedError
from infometis_sdk.model.service import Service

if TYPE_CHECKING:
    from tests.integration.engine.lab import Lab

pytestmark = pytest.mark.integration


def job(command: str) -> dict[str, Any]:
    """Return a Job."""
    container = {"name": "main", "image": "example/app:1", "command": [command]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }


def test_an_immutable_field_of_a_workload_is_a_replacement_shown_in_the_plan(lab: Lab) -> None:
    """A Deployment's selector and a Job's template: the plan says replace and why, and does so."""
    lab.up(lab.render(raw("app", deployment("app"), job("one"))))
    before = lab.must_get(lab.ref("Deployment", "app", "apps/v1"))["metadata"]["uid"]
    wanted = lab.render(raw("app", deployment("app", app="renamed"), job("two")))
    made = lab.plan(wanted)
    assert actions(made) == {"Deployment/app": "replace", "Job/once": "replace"}
    change = item(made, "Deployment/app")
    assert any("immutable" in warning for warning in change.warnings)
    assert {c.path for c in change.changes} >= {"spec.selector.matchLabels.app"}
    lab.apply(made, wanted)
    after = lab.must_get(lab.ref("Deployment", "app", "apps/v1"))
    assert after["metadata"]["uid"] != before
    assert after["spec"]["selector"]["matchLabels"] == {"app": "renamed"}
    lab.settled(wanted)


def test_a_plain_validation_error_is_no_replacement(lab: Lab) -> None:
    """A value that the API server refuses blocks the plan; nothing is deleted for it."""
    lab.up(lab.render(raw("app", deployment("app"))))
    broken = deployment("app")
    broken["spec"]["template"]["spec"]["restartPolicy"] = "Sometimes"
    made = lab.plan(lab.render(raw("app", broken)))
    assert item(made, "Deployment/app").action == "update"
    assert any("Sometimes" in reason for reason in made.blocked)


def test_an_immutable_field_beside_a_wrong_one_is_no_replacement(lab: Lab) -> None:
    """Deleting it would leave nothing: the new one could not be made either."""
    lab.up(lab.render(raw("app", deployment("app"))))
    broken = deployment("app", app="renamed")
    broken["spec"]["template"]["spec"]["restartPolicy"] = "Sometimes"
    made = lab.plan(lab.render(raw("app", broken)))
    assert item(made, "Deployment/app").action == "update"
    assert any("Sometimes" in reason for reason in made.blocked)


def test_what_holds_something_for_others_is_never_replaced(lab: Lab) -> None:
    """A claim's immutable fields are refused with the reason, never deleted for a change."""

    def claim(storage_class: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data"},
            "spec": {
                "storageClassName": storage_class,
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }

    lab.up(lab.render(raw("app", claim("standard"))))
    made = lab.plan(lab.render(raw("app", claim("other"))))
    assert item(made, "PersistentVolumeClaim/data").action == "update"
    assert any("PersistentVolumeClaim/data" in reason for reason in made.blocked)


def database(lab: Lab, **values: Any) -> Any:
    """Render a stateful service with two replicas."""
    service = Service.stateful("db", image="example/db:1.0", port=5432, replicas=2)
    return lab.render(service, **({"db": values} if values else {}))


def claims(lab: Lab) -> dict[str, str]:
    """Return claim to requested size."""
    listed = lab.cluster.list("v1", "PersistentVolumeClaim", lab.run(), namespace=lab.namespace)
    return {c["metadata"]["name"]: c["spec"]["resources"]["requests"]["storage"] for c in listed}


def pods(lab: Lab) -> dict[str, str]:
    """Return pod to UID."""
    listed = lab.cluster.list("v1", "Pod", lab.run(), namespace=lab.namespace)
    return {p["metadata"]["name"]: p["metadata"]["uid"] for p in listed}


def ready(lab: Lab) -> bool:
    """Whether both replicas are ready."""
    live = lab.must_get(lab.ref("StatefulSet", "db", "apps/v1"))
    return bool(live.get("status", {}).get("readyReplicas") == 2)


def test_volumes_grow_without_losing_a_pod(lab: Lab) -> None:
    """Claims are resized, the set is made anew, and its pods and volumes go on."""
    lab.up(database(lab, storage="1Gi"))
    lab.until(lambda: ready(lab), "two replicas")
    before = pods(lab)
    assert claims(lab) == {"data-db-0": "1Gi", "data-db-1": "1Gi"}

    wanted = database(lab, storage="2Gi")
    made = lab.plan(wanted)
    assert actions(made) == {
        "PersistentVolumeClaim/data-db-0": "resize",
        "PersistentVolumeClaim/data-db-1": "resize",
        "StatefulSet/db": "replace",
    }
    lab.apply(made, wanted)
    assert claims(lab) == {"data-db-0": "2Gi", "data-db-1": "2Gi"}
    lab.until(lambda: ready(lab), "two replicas")
    assert pods(lab) == before
    lab.settled(wanted)


def test_volumes_do_not_shrink(lab: Lab) -> None:
    """A smaller volume is refused with the reason, before anything is touched."""
    lab.up(database(lab, storage="2Gi"))
    made = lab.plan(database(lab, storage="1Gi"))
    assert any("shrink" in reason and "1Gi" in reason for reason in made.blocked), made.blocked
    with pytest.raises(PlanRefusedError):
        lab.apply(made, database(lab, storage="1Gi"))


def test_volumes_grow_only_where_their_class_allows_it(lab: Lab) -> None:
    """A storage class without expansion refuses the plan, naming class and claim."""
    rigid = f"rigid-{lab.name}"
    lab.write(
        "create",
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": rigid},
            "provisioner": "example/none",
        },
        "kubectl",
    )
    lab.up(database(lab, storage="1Gi", storage_class=rigid))
    lab.until(lambda: len(claims(lab)) >= 1, "the first claim")
    made = lab.plan(database(lab, storage="2Gi", storage_class=rigid))
    assert any("does not allow volumes to grow" in reason for reason in made.blocked)


def test_create_only_parameters_and_downgrades_are_refused_with_the_reason(lab: Lab) -> None:
    """What only counts at the first start cannot change on what runs; nor can a version go back."""
    lab.up(database(lab, storage_class="standard"))
    made = lab.plan(database(lab, storage_class="fast"))
    assert any("storage_class" in r and "a volume keeps the class" in r for r in made.blocked)

    newer = Service.stateful("db", image="example/db:2.0", port=5432, replicas=2, version="2.0")
    lab.up(lab.render(newer, db={"storage_class": "standard"}))
    older = Service.stateful("db", image="example/db:1.9", port=5432, replicas=2, version="1.9")
    made = lab.plan(lab.render(older, db={"storage_class": "standard"}))
    assert any("go back" in r and "2.0" in r and "1.9" in r for r in made.blocked)


def test_fewer_replicas_of_a_data_store_need_a_drain(lab: Lab) -> None:
    """Scale-in without a drain recipe is a plan error."""
    lab.up(database(lab, replicas=2))
    made = lab.plan(database(lab, replicas=1))
    assert any("db.replicas" in reason and "drain" in reason for reason in made.blocked)


def test_rules_about_a_running_service_do_not_hold_for_one_that_never_came_to_be(lab: Lab) -> None:
    """Where the first apply failed before anything was made.

    First-start settings are still open.
    """
    lab.environment = lab.with_quota({"count/statefulsets.apps": "0"})
    wanted = database(lab, storage_class="standard", storage="2Gi")
    lab.fails(wanted)
    lab.environment = lab.with_quota({})
    lab.kubectl(
        "delete", "pdb,serviceaccount,service,resourcequota", "--selector", f"{STACK}={lab.name}"
    )
    made = lab.plan(database(lab, storage_class="fast", storage="1Gi"))
    assert not made.blocked, made.blocked
