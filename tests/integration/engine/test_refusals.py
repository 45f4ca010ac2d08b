"""What the project or the API server refuses: before the first write where that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.integration.engine.lab import actions, config_map, deployment, item, raw

from infometis_sdk.engine.validate import validate
from infometis_sdk.errors import (
    ApplyError,
    PlanRefusedError,
    ProjectError,
    RefusedError,
)
from infometis_sdk.model.parameter import Parameter
from infometis_sdk.model.service import Service

if TYPE_CHECKING:
    from tests.integration.engine.lab import Lab

pytestmark = pytest.mark.integration


# --- the project ------------------------------------------------------------------------------


def test_a_need_that_does_not_exist(lab: Lab) -> None:
    """A need of an unknown service is a fault that names both and the nearest known one."""
    with pytest.raises(ProjectError) as caught:
        lab.render(raw("kafka"), raw("app", config_map("a"), needs=["kafak"]))
    (fault,) = caught.value.faults
    assert "'kafak'" in str(fault)
    assert fault.nearest == "kafka"


def test_services_that_need_each_other(lab: Lab) -> None:
    """A circle of needs is a fault that shows the circle."""
    with pytest.raises(ProjectError, match="circle"):
        lab.render(raw("a", needs=["b"]), raw("b", needs=["a"]))


def test_two_services_with_one_object(lab: Lab) -> None:
    """Two services that claim one object are a fault that names object and services."""
    one, two = raw("one", config_map("same", a="1")), raw("two", config_map("same", a="2"))
    try:
        faults = [f for f in validate(lab.render(one, two)) if f.level == "error"]
    except ProjectError as error:
        faults = list(error.faults)
    text = " ".join(map(str, faults))
    assert "ConfigMap/same" in text
    assert "one" in text
    assert "two" in text


EVIL = """x
---
apiVersion: v1
kind: Secret
metadata: {name: stolen}
# {{ 7*7 }} "' : - &a *a !!python"""


def test_a_value_cannot_inject_yaml(lab: Lab) -> None:
    """A value that looks like YAML or Jinja arrives in the cluster as the text that it is."""
    service = Service(
        name="app",
        parameters={"motto": Parameter(type="string", default="none")},
        templates={
            "config.yaml.j2": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ name }}\n"
            "data:\n  motto: {{ params.motto }}\n"
        },
    )
    wanted = lab.render(service, app={"motto": EVIL})
    lab.up(wanted)
    assert lab.must_get(lab.ref("ConfigMap", "app"))["data"] == {"motto": EVIL}
    assert lab.get(lab.ref("Secret", "stolen")) is None
    lab.settled(wanted)


# --- the API server ---------------------------------------------------------------------------


def test_a_field_that_does_not_exist_is_refused_by_its_name(lab: Lab) -> None:
    """A misspelt field is refused in the plan where the namespace is there, by its path."""
    lab.up(lab.render(raw("app", config_map("a"))))
    broken = deployment("app")
    broken["spec"]["replikas"] = 2
    made = lab.plan(lab.render(raw("app", broken)))
    assert any("replikas" in reason for reason in made.blocked), made.blocked


def test_what_is_wrong_in_a_new_namespace_is_told_before_anything_is_in_it(lab: Lab) -> None:
    """Once the namespace is there, everything is asked about again: all refusals come at once."""
    broken, port = deployment("app"), {"port": 99999999}
    broken["spec"]["replikas"] = 2
    meta = {"name": "app"}
    door = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [port]}}
    made = lab.plan(wanted := lab.render(raw("app", config_map("a"), door, broken)))
    assert {i.certainty for i in made.items} == {"exact", "predicted"}
    assert not made.blocked
    with pytest.raises(ApplyError) as caught:
        lab.apply(made, wanted)
    results = {str(o.ref): o for o in caught.value.report.outcomes}
    assert results["Service/app"].result == results["Deployment/app"].result == "failed"
    assert "99999999" in results["Service/app"].detail
    assert "replikas" in results["Deployment/app"].detail
    assert results["ConfigMap/a"].result == "skipped"
    assert lab.get(lab.ref("ConfigMap", "a")) is None


def test_what_an_object_names_may_come_with_it(lab: Lab) -> None:
    """A pod that names the service account and the priority class of the same plan is no fault."""
    lab.up(lab.render(raw("app", config_map("a"))))
    level = f"{lab.name}-high"
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "late"}}
    priority = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": level},
        "value": 5,
    }
    pods = pod("one", serviceAccountName="late"), pod("two", priorityClassName=level)
    wanted = lab.render(raw("app", config_map("a"), account, priority, *pods))
    made = lab.plan(wanted)
    assert not made.blocked
    assert {str(i.ref) for i in made.items if i.certainty == "predicted"} == {"Pod/one", "Pod/two"}
    lab.apply(made, wanted)
    more = (*pods, pod("three", serviceAccountName="nobody"))
    alone = lab.render(raw("app", config_map("a"), account, priority, *more))
    (reason,) = lab.plan(alone).blocked
    assert '"nobody" not found' in reason
    lab.down(wanted)


def pod(name: str, **spec: Any) -> dict[str, Any]:
    """Return a pod of its own."""
    spec["containers"] = [{"name": "main", "image": "example/app:1"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


RBAC = "rbac.authorization.k8s.io"


def binding(name: str, role: str) -> dict[str, Any]:
    """Return a binding of a role to nobody in particular."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": role},
        "subjects": [{"kind": "User", "name": "somebody", "apiGroup": RBAC}],
    }


def test_a_guest_may_bring_a_role_with_its_binding(lab: Lab) -> None:
    """A binding is refused to guests until its role is there: it comes with the same plan."""
    lab.as_guest()
    verbs = ["get", "list", "create", "patch", "update"]
    guest = lab.as_service_account([{"apiGroups": ["*"], "resources": ["*"], "verbs": verbs}])
    role = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": "looker"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    }
    guest.up(guest.render(raw("app", role, binding("app", "looker"))))
    assert lab.get(lab.ref("RoleBinding", "app", f"{RBAC}/v1")) is not None
    objects = role, binding("app", "looker"), binding("other", "nobody")
    assert len(guest.plan(guest.render(raw("app", *objects))).blocked) == 1


def test_a_kind_that_nobody_brings(lab: Lab) -> None:
    """An object of a kind that neither the cluster nor the stack knows is refused in the plan."""
    ghost = {"apiVersion": "nobody.example/v1", "kind": "Ghost", "metadata": {"name": "boo"}}
    made = lab.plan(lab.render(raw("app", ghost)))
    assert any("Ghost" in reason and "nobody.example/v1" in reason for reason in made.blocked)


def test_a_quota_is_told_in_the_plan_where_it_is_there(lab: Lab) -> None:
    """An exceeded quota refuses the plan, with the numbers; nothing is written."""
    lab.environment = lab.with_quota({"count/deployments.apps": "0"})
    lab.up(lab.render(raw("app", config_map("a"))))
    lab.until(lambda: "hard" in lab.quota().get("status", {}), "the quota to count")
    wanted = lab.render(raw("app", config_map("a"), config_map("b"), deployment("app")))
    made = lab.plan(wanted)
    (reason,) = made.blocked
    assert "exceeded quota" in reason
    assert "count/deployments.apps" in reason
    with pytest.raises(PlanRefusedError):
        lab.apply(made, wanted)
    assert lab.get(lab.ref("ConfigMap", "b")) is None


def test_a_quota_that_comes_with_the_stack_is_explained_by_the_report(lab: Lab) -> None:
    """Where the namespace was not there to be asked, the apply says what was exceeded."""
    lab.environment = lab.with_quota({"count/deployments.apps": "0"})
    wanted = lab.render(raw("app", config_map("a"), deployment("app")))
    error = lab.fails(wanted)
    (failed,) = error.report.failed
    assert str(failed.ref) == "Deployment/app"
    assert "exceeded quota" in failed.detail
    assert "Deployment/app" in str(error)
    # What was applied stays applied, and the next run goes on from there.
    lab.environment = lab.with_quota({"count/deployments.apps": "5"})
    again = lab.render(raw("app", config_map("a"), deployment("app")))
    lab.until(lambda: not lab.plan(again).blocked or lab.raise_quota("5"), "the quota to rise")
    lab.up(again)
    lab.settled(again)


def policy(lab: Lab) -> list[dict[str, Any]]:
    """Return an admission policy that refuses Deployments of this namespace with a word."""
    name = f"no-{lab.name}"
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["deployments"],
    }
    return [
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [
                    {"expression": "false", "message": "deployments need a cost centre"}
                ],
            },
        },
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {
                    "namespaceSelector": {
                        "matchLabels": {"kubernetes.io/metadata.name": lab.namespace}
                    }
                },
            },
        },
    ]


def test_an_admission_refusal_is_told_in_its_own_words(lab: Lab) -> None:
    """What an admission policy says stands in the plan, at the object that it is about."""
    lab.up(lab.render(raw("app", config_map("a"))))
    for obj in policy(lab):
        lab.write("create", obj, "kubectl")
    wanted = lab.render(raw("app", config_map("a"), config_map("b"), deployment("app")))
    lab.until(lambda: bool(lab.plan(wanted).blocked), "the policy to count")
    made = lab.plan(wanted)
    assert any("deployments need a cost centre" in p for p in item(made, "Deployment/app").problems)
    assert len(made.blocked) == 1
    for obj in policy(lab):
        lab.write(
            "delete",
            lab.ref(obj["kind"], obj["metadata"]["name"], obj["apiVersion"], scoped=False),
            "",
        )


def test_a_namespace_that_is_going_stops_the_plan_and_says_what_holds_it(lab: Lab) -> None:
    """A namespace stuck in deletion is named with what it waits for; nothing is written."""
    lab.kubectl("create", "namespace", lab.namespace)
    stuck = config_map("stuck")
    stuck["metadata"].update(namespace=lab.namespace, finalizers=["example.com/forever"])
    lab.write("create", stuck, "kubectl")
    lab.kubectl("delete", "namespace", lab.namespace, "--wait=false")
    wanted = lab.render(raw("app", config_map("a")))

    def told() -> bool:
        return "example.com/forever" in " ".join(lab.plan(wanted).blocked)

    lab.until(told, "the namespace's controller to say what it waits for")
    with pytest.raises(PlanRefusedError):
        lab.apply(lab.plan(wanted), wanted)
    lab.patch(lab.ref("ConfigMap", "stuck"), {"metadata": {"finalizers": None}})


def test_a_guest_is_told_that_its_namespace_is_not_there(lab: Lab) -> None:
    """Namespaces that are not ours are never made: the plan says so."""
    lab.environment = attrs.evolve(lab.environment, mode="shared")
    wanted = lab.render(raw("app", config_map("a")))
    made = lab.plan(wanted)
    assert any(f"namespace {lab.namespace} does not exist" in r for r in made.blocked), made.blocked


def test_a_home_namespace_that_went_after_the_plan_ends_the_apply_at_once(lab: Lab) -> None:
    """Where the Lease can be written nowhere, the apply fails instead of asking for ever."""
    lab.environment = attrs.evolve(lab.environment, mode="shared")
    lab.kubectl("create", "namespace", lab.namespace)
    wanted = lab.render(raw("app", config_map("a")))
    made = lab.plan(wanted)
    lab.kubectl("delete", "namespace", lab.namespace)
    with pytest.raises(Exception, match=f'namespaces "{lab.namespace}" not found'):
        lab.apply(made, wanted)


# --- RBAC -------------------------------------------------------------------------------------


def test_one_forbidden_kind_leaves_the_rest_and_says_what_was_not_looked_at(lab: Lab) -> None:
    """Without the right to list one kind, plan and prune are incomplete and name the kind."""
    owner = lab.render(raw("app", config_map("a"), config_map("b"), deployment("app")))
    lab.up(owner)
    lab.environment = attrs.evolve(lab.environment, mode="shared")
    guest = lab.as_service_account(
        [
            {"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["*"]},
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]},
        ]
    )
    wanted = guest.render(raw("app", config_map("a")))
    made = guest.plan(wanted)
    assert any("deployments" in reason for reason in made.incomplete), made.incomplete
    assert actions(made) == {"ConfigMap/b": "delete"}
    assert any("deployments" in line for line in made.table().footer)
    guest.apply(made, wanted)
    # The inventory still covers the kind that nobody looked at, so the next prune finds it.
    found = lab.drift(lab.render(raw("app", config_map("a"))))
    assert "Deployment/app" in {str(i.ref) for i in found.items}


def test_who_may_get_but_not_list_is_told_so_and_goes_on(lab: Lab) -> None:
    """Without the right to list, objects are asked for one by one, and nothing is pruned."""
    lab.as_guest()
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "create", "patch"]}
    guest = lab.as_service_account([rule, {**rule, "resources": ["leases"], "verbs": ["*"]}])
    wanted = guest.render(raw("app", *(config_map(f"a{n}") for n in range(6))))
    made = guest.plan(wanted)
    assert any("list configmaps" in reason for reason in made.incomplete), made.incomplete
    assert set(actions(made).values()) == {"create"}
    assert not made.blocked


def test_a_forbidden_write_is_refused_in_the_plan(lab: Lab) -> None:
    """Where a kind may be read and not written, the plan says who may not do what."""
    lab.up(lab.render(raw("app", config_map("a"))))
    lab.environment = attrs.evolve(lab.environment, mode="shared")
    guest = lab.as_service_account(
        [
            {"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["*"]},
            {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]},
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]},
        ]
    )
    wanted = guest.render(raw("app", config_map("a"), deployment("app")))
    (reason,) = guest.plan(wanted).blocked
    assert "may not patch deployments" in reason


def test_a_failed_object_skips_what_comes_after_it_in_its_service_only(lab: Lab) -> None:
    """One object fails: the later ones of its service are skipped.

    Other services are applied, and nothing is pruned by a run that failed.
    """
    lab.up(lab.render(raw("old", config_map("old")), raw("base", config_map("base"))))
    lab.environment = lab.with_quota({"count/services": "0"})
    lab.raise_quota("0", "count/services")
    bad = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "bad"},
        "spec": {"ports": [{"port": 80}], "clusterIP": "None"},
    }
    wanted = lab.render(
        raw("base", config_map("base")),
        raw("broken", config_map("first"), bad, deployment("after")),
        raw("fine", deployment("fine")),
    )
    made = lab.unblocked(lab.plan(wanted))
    with pytest.raises(ApplyError) as caught:
        lab.apply(made, wanted)
    results = {str(o.ref): o.result for o in caught.value.report.outcomes}
    assert results == {
        "ConfigMap/first": "applied",
        "Service/bad": "failed",
        "Deployment/after": "skipped",
        "Deployment/fine": "applied",
        "ResourceQuota/infometis": results.get("ResourceQuota/infometis"),
        "ConfigMap/old": "skipped",
    }
    assert lab.get(lab.ref("ConfigMap", "old")) is not None


def test_another_stack_of_the_same_id_is_refused(lab: Lab) -> None:
    """Two environments that share a stack_id in one namespace do not merge silently."""
    lab.up(lab.render(raw("app", config_map("a"))))
    inventory = lab.ref("ConfigMap", f"infometis-{lab.name}")
    lab.patch(inventory, {"data": {"stack": "somebody"}})
    with pytest.raises(RefusedError, match="belongs to the stack 'somebody'"):
        lab.plan(lab.render(raw("app", config_map("a"))))


def test_a_kind_that_may_not_be_seen_at_all_is_a_problem_of_its_objects(lab: Lab) -> None:
    """A desired object of a kind that we may neither list nor get does not end the plan."""
    lab.up(lab.render(raw("app", config_map("a"))))
    lab.environment = attrs.evolve(lab.environment, mode="shared")
    guest = lab.as_service_account(
        [
            {"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["*"]},
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]},
        ]
    )
    made = guest.plan(guest.render(raw("app", config_map("b"), deployment("app"))))
    assert any("deployments" in reason for reason in made.incomplete)
    assert len(made.blocked) == 1
    assert "may not patch deployments" in made.blocked[0]
