"""Taking stacks down, and the singletons that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.integration.engine.lab import actions, config_map, custom_kind, raw

from infometis_sdk.engine.objects.inventory_id import CLUSTER_NAMESPACE, CLUSTER_PARENT
from infometis_sdk.engine.teardown import plan_teardown, tear_down
from infometis_sdk.errors import DeadlineError, NotFoundError, PlanRefusedError, StalePlanError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.model.service import Credential, Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.engine.lab import Lab

pytestmark = pytest.mark.integration

USERS = ObjectRef(
    api_version="v1", kind="ConfigMap", namespace=CLUSTER_NAMESPACE, name=CLUSTER_PARENT
)


def database() -> Service:
    """Return a service with a volume and a password."""
    made = Service.stateful("db", image="example/db:1.0", port=5432)
    return attrs.evolve(made, credentials={"admin": Credential(username="root", durable=True)})


def namespace(lab: Lab) -> Any:
    """Return the live namespace."""
    return lab.get(lab.ref("Namespace", lab.namespace, scoped=False))


def test_down_without_data_leaves_nothing_at_all(lab: Lab) -> None:
    """A stack that holds no data goes without a trace, its namespace too; twice is once."""
    wanted = lab.render(Service.web("hello", image="example/hello:1.0", port=8080))
    lab.up(wanted)
    report = lab.down(wanted)
    assert {o.result for o in report.outcomes} == {"deleted"}
    assert namespace(lab) is None
    assert lab.labelled() == set()
    again = lab.down(wanted)
    assert not again.outcomes
    assert lab.labelled() == set()


def test_down_keeps_data_and_says_so(lab: Lab) -> None:
    """Volumes and credentials stay, named in the report; the way back finds them; twice is once."""
    wanted = lab.render(database(), raw("app", config_map("a")))
    lab.up(wanted)
    claim = lab.ref("PersistentVolumeClaim", "data-db-0")
    lab.until_bound(claim)
    uid = lab.must_get(claim)["metadata"]["uid"]
    report = lab.down(wanted)
    told = " ".join(report.warnings)
    for name in (
        "PersistentVolumeClaim/data-db-0",
        "Secret/db-admin",
        f"Namespace/{lab.namespace}",
    ):
        assert f"kept: {name}" in told
    assert {k for k, _, _ in lab.members()} == {"Namespace", "Secret"}
    assert not [o for o in lab.down(wanted).outcomes if o.result != "deleted"]
    lab.up(wanted)
    assert lab.must_get(claim)["metadata"]["uid"] == uid
    lab.settled(wanted)


def test_delete_data_leaves_nothing_of_services_removed_earlier_either(lab: Lab) -> None:
    """Volumes of a service that left the project long ago are known, and go with the data."""
    lab.up(lab.render(database(), raw("app", config_map("a"))))
    claim = lab.ref("PersistentVolumeClaim", "data-db-0")
    lab.until_bound(claim)
    left = lab.render(raw("app", config_map("a")))
    lab.up(left)
    assert lab.get(claim) is not None
    report = lab.down(left, delete_data=True)
    deleted = {str(o.ref) for o in report.outcomes if o.result == "deleted"}
    assert {"PersistentVolumeClaim/data-db-0", "Secret/db-admin"} <= deleted
    assert namespace(lab) is None
    assert lab.labelled() == set()


def test_a_guest_leaves_its_namespace_as_it_found_it(lab: Lab) -> None:
    """In a namespace that is not ours everything of ours goes, the Lease too, and nothing else."""
    lab.as_guest()
    lab.kubectl("create", "configmap", "theirs")
    wanted = lab.render(database(), raw("app", config_map("a")))
    lab.up(wanted)
    claim = lab.ref("PersistentVolumeClaim", "data-db-0")
    lab.until_bound(claim)
    lab.down(wanted, delete_data=True)
    lab.until(lambda: lab.get(claim) is None, "the claim to go")
    assert lab.labelled() == set()
    assert namespace(lab) is not None
    assert lab.get(lab.ref("ConfigMap", "theirs")) is not None


def test_a_namespace_with_things_of_others_stays(lab: Lab) -> None:
    """Our namespace is not deleted over anything that is not ours, of whatever kind."""
    wanted = lab.render(raw("app", config_map("a")))
    lab.up(wanted)
    quota = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "theirs", "namespace": lab.namespace},
        "spec": {"podSelector": {}},
    }
    lab.write("create", quota, "kubectl")
    report = lab.down(wanted, delete_data=True)
    assert any("NetworkPolicy/theirs" in warning for warning in report.warnings)
    assert namespace(lab) is not None
    assert lab.get(lab.ref("ConfigMap", "a")) is None
    lab.kubectl("delete", "networkpolicy", "theirs")
    lab.down(wanted, delete_data=True)
    assert namespace(lab) is None


def test_something_of_others_that_comes_after_the_plan_keeps_the_namespace(lab: Lab) -> None:
    """The look into a namespace is repeated right before it would go."""
    wanted = lab.render(raw("app", config_map("a")))
    lab.up(wanted)
    made = plan_teardown(lab.cluster, wanted, lab.run())
    lab.kubectl("create", "configmap", "theirs")
    report = tear_down(lab.cluster, made, lab.run())
    assert {str(o.ref): o.result for o in report.outcomes}[f"Namespace/{lab.namespace}"] == "kept"
    assert lab.get(lab.ref("ConfigMap", "theirs")) is not None


def test_a_group_that_serves_nothing_any_more_keeps_no_namespace(lab: Lab) -> None:
    """The list of API groups lags behind a definition that has just gone: nothing is in it.

    An APIService that nobody answers for shows the same for as long as the test wants.
    """
    wanted = lab.render(raw("app", config_map("a")))
    lab.up(wanted)
    group = f"{lab.name}.example.com"
    spec = {"group": group, "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}
    name = {"name": f"v1.{group}"}
    kind = "apiregistration.k8s.io/v1"
    ghost = {"apiVersion": kind, "kind": "APIService", "metadata": name, "spec": spec}
    ref = lab.ref("APIService", name["name"], kind, scoped=False)
    lab.write("create", ghost, "kubectl")
    try:
        lab.until(lambda: group in lab.cluster.read("/apis", lab.run()), "the group to be listed")
        with pytest.raises(NotFoundError):
            lab.cluster.read(f"/apis/{group}/v1", lab.run())
        lab.down(wanted)
    finally:
        lab.write("delete", ref, "")
    assert namespace(lab) is None


def test_a_teardown_that_no_longer_fits_is_refused(lab: Lab) -> None:
    """An object that somebody changed or made anew after the plan is not deleted."""
    wanted = lab.render(raw("app", config_map("a")))
    lab.up(wanted)
    made = plan_teardown(lab.cluster, wanted, lab.run())
    lab.kubectl("label", "configmap", "a", "dear=yes")
    with pytest.raises(StalePlanError):
        tear_down(lab.cluster, made, lab.run())
    assert lab.get(lab.ref("ConfigMap", "a")) is not None
    with pytest.raises(StalePlanError):
        tear_down(lab.cluster, attrs.evolve(made, kept=("x",)), lab.run())


def test_claims_among_the_manifests_are_data_too(lab: Lab) -> None:
    """A claim that a manifest makes stays without --delete-data.

    A set that would take its claims along is refused.
    """
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    wanted = lab.render(raw("app", config_map("a"), claim))
    lab.up(wanted)
    report = lab.down(wanted)
    assert any("PersistentVolumeClaim/data" in warning for warning in report.warnings)
    assert lab.get(lab.ref("PersistentVolumeClaim", "data")) is not None
    assert lab.get(lab.ref("ConfigMap", "a")) is None
    lab.down(wanted, delete_data=True)
    assert namespace(lab) is None


def test_a_set_that_takes_its_volumes_along_is_refused_without_delete_data(lab: Lab) -> None:
    """`whenDeleted: Delete` would lose data that down promises to keep."""
    selfish = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "selfish"},
        "spec": {
            "serviceName": "selfish",
            "selector": {"matchLabels": {"app": "x"}},
            "template": {
                "metadata": {"labels": {"app": "x"}},
                "spec": {"containers": [{"name": "main", "image": "example/app:1"}]},
            },
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"},
        },
    }
    lab.as_guest()
    wanted = lab.render(raw("app", selfish))
    lab.up(wanted)
    with pytest.raises(PlanRefusedError, match="--delete-data"):
        lab.down(wanted)
    lab.down(wanted, delete_data=True)
    assert lab.labelled() == set()


def test_a_stuck_finalizer_is_named_when_time_is_up(lab: Lab) -> None:
    """What cannot be deleted is named with the finalizer that holds it; the next run goes on."""
    stuck = config_map("stuck")
    stuck["metadata"]["finalizers"] = ["example.com/forever"]
    lab.as_guest()
    wanted = lab.render(raw("app", stuck, config_map("a")))
    lab.up(wanted)
    made = plan_teardown(lab.cluster, wanted, lab.run())
    with pytest.raises(DeadlineError, match=r"ConfigMap/stuck .*example\.com/forever"):
        tear_down(lab.cluster, made, Run.within(2))
    lab.patch(lab.ref("ConfigMap", "stuck"), {"metadata": {"finalizers": None}})
    lab.down(wanted)
    assert lab.labelled() == set()


# --- singletons -------------------------------------------------------------------------------


def test_a_singleton_of_two_stacks_stays_until_the_last_one_leaves(
    labs: Callable[[], Lab],
) -> None:
    """Two stacks bring the same definition; the first down gives it up, the last removes it."""
    one, two = labs(), labs()
    one.as_guest()
    two.as_guest()
    crd = custom_kind("Widget", f"{one.name}.example.com")
    ref = one.ref(crd["kind"], crd["metadata"]["name"], crd["apiVersion"], scoped=False)
    stacks = [(lab, lab.render(raw("op", crd), raw("app", config_map("a")))) for lab in (one, two)]
    for lab, wanted in stacks:
        lab.up(wanted)
        lab.settled(wanted)
    assert set(one.must_get(USERS)["data"]) >= {one.name, two.name}
    widget = {
        "apiVersion": f"{one.name}.example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": two.namespace},
    }
    two.write("create", widget, "kubectl")

    report = one.down(stacks[0][1])
    outcome = {str(o.ref): o for o in report.outcomes}[str(ref)]
    assert (outcome.action, outcome.result) == ("release", "applied")
    assert one.name not in one.must_get(USERS)["data"]
    managers = {e["manager"] for e in one.must_get(ref)["metadata"]["managedFields"]}
    assert one.manager not in managers
    two.settled(stacks[1][1])

    kept = two.down(stacks[1][1])
    assert any("1 objects of kind Widget" in warning for warning in kept.warnings)
    assert two.get(ref) is not None


def test_the_last_user_of_a_singleton_removes_it(lab: Lab) -> None:
    """Without custom resources left, the definition goes with the last stack that uses it."""
    lab.as_guest()
    crd = custom_kind("Widget", f"{lab.name}.example.com")
    ref = lab.ref(crd["kind"], crd["metadata"]["name"], crd["apiVersion"], scoped=False)
    wanted = lab.render(raw("op", crd))
    lab.up(wanted)
    lab.down(wanted)
    assert lab.get(ref) is None
    users = lab.get(USERS)
    assert users is None or lab.name not in users["data"]


def test_another_version_of_a_shared_singleton_is_not_forced_on_others(
    labs: Callable[[], Lab],
) -> None:
    """A definition that another stack applied otherwise stops the plan, naming that stack."""
    one, two = labs(), labs()
    one.as_guest()
    two.as_guest()
    crd = custom_kind("Widget", f"{one.name}.example.com")
    other = {**crd, "spec": {**crd["spec"], "names": {**crd["spec"]["names"], "singular": "widgy"}}}
    one.up(one.render(raw("op", crd)))
    made = two.plan(two.render(raw("op", other)))
    assert any(one.manager in reason for reason in made.blocked), made.blocked
    one.down(one.render(raw("op", crd)))


def test_cluster_scoped_names_are_unique_for_each_stack(labs: Callable[[], Lab]) -> None:
    """Two stacks of one template have a ClusterRole each, bound to their own accounts."""
    template = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ name }}
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ name }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ name }}
subjects:
  - kind: ServiceAccount
    name: {{ name }}
"""
    service = Service(name="app", templates={"rbac.yaml.j2": template})
    one, two = labs(), labs()
    for lab in (one, two):
        lab.as_guest()
        lab.up(lab.render(service))
        lab.settled(lab.render(service))
    rbac = "rbac.authorization.k8s.io/v1"
    for lab in (one, two):
        binding = lab.must_get(lab.ref("ClusterRoleBinding", f"app-{lab.name}", rbac, scoped=False))
        assert binding["roleRef"]["name"] == f"app-{lab.name}"
        assert binding["subjects"][0]["namespace"] == lab.namespace
    one.down(one.render(service))
    assert one.labelled() == set()
    two.settled(two.render(service))
    two.down(two.render(service))


def test_a_singleton_that_is_no_longer_wanted_goes_or_is_given_up(labs: Callable[[], Lab]) -> None:
    """A plan releases what others use too, and signs out of the list of users."""
    one, two = labs(), labs()
    one.as_guest()
    two.as_guest()
    crd = custom_kind("Widget", f"{one.name}.example.com")
    for lab in (one, two):
        lab.up(lab.render(raw("op", crd), raw("app", config_map("a"))))
    left = one.render(raw("app", config_map("a")))
    made = one.plan(left)
    assert actions(made) == {f"CustomResourceDefinition/{crd['metadata']['name']}": "release"}
    one.apply(made, left)
    one.settled(left)
    assert one.name not in one.must_get(USERS)["data"]
    last = two.render(raw("app", config_map("a")))
    assert set(actions(two.plan(last)).values()) == {"delete"}
    two.up(last)
    two.settled(last)
