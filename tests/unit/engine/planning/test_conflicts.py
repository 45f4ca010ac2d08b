from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.unit.engine.live_objects import MANAGER, applied, put

from infometis_sdk.engine.objects.fieldset import Owner
from infometis_sdk.engine.planning.conflicts import additions, classify, decide, deployer
from infometis_sdk.model.environment import DriftPolicy

IMAGE = "spec.template.spec.containers[name=a].image"
DESIRED: dict[str, Any] = {
    "kind": "Deployment",
    "metadata": {"name": "n", "labels": {"a": "b"}},
    "spec": {"replicas": 2, "items": [{"name": "one", "v": 1}]},
}


def owner(manager: str, subresource: str = "", fields: dict[str, Any] | None = None) -> Owner:
    """Return an owner."""
    return Owner(
        manager=manager, operation="Update", subresource=subresource, time="t", fields=fields or {}
    )


@pytest.mark.parametrize(
    ("manager", "subresource", "path", "action"),
    [
        ("kubectl-edit", "", IMAGE, "overrule"),
        ("kubectl", "scale", "spec.replicas", "overrule"),
        ("before-first-apply", "", IMAGE, "overrule"),
        ("k9s", "", IMAGE, "overrule"),
        ("helm", "", IMAGE, "stop"),
        ("argocd-controller", "", IMAGE, "stop"),
        ("kustomize-controller", "", IMAGE, "stop"),
        ("Terraform", "", IMAGE, "stop"),
        ("infometis.other", "", IMAGE, "stop"),
        ("kube-controller-manager", "scale", "spec.replicas", "yield"),
        ("cert-manager-cainjector", "", "webhooks[name=x].clientConfig.caBundle", "yield"),
        (
            "vpa-updater",
            "",
            "spec.template.spec.containers[name=a].resources.requests.cpu",
            "yield",
        ),
        ("somebody", "", IMAGE, "yield"),
    ],
)
def test_each_class_of_manager(manager: str, subresource: str, path: str, action: str) -> None:
    """People are overruled, deployers stop, known controllers and unknown ones are yielded to."""
    found = classify(
        owner(manager, subresource),
        path,
        policy=DriftPolicy(),
        autoscaled=True,
        protected=False,
        adopted=False,
    )
    assert found[0] == action


@pytest.mark.parametrize(
    ("manager", "subresource", "path", "change", "action"),
    [
        ("somebody", "", IMAGE, {"protected": True}, "stop"),
        ("helm", "", IMAGE, {"adopted": True}, "overrule"),
        ("kube-controller-manager", "scale", "spec.replicas", {"autoscaled": False}, "overrule"),
        # A trusted name on another path or subresource proves nothing.
        ("kube-controller-manager", "", "spec.replicas", {"protected": True}, "stop"),
        ("kube-controller-manager", "scale", IMAGE, {"protected": True}, "stop"),
        ("vpa-updater", "", IMAGE, {"protected": True}, "stop"),
    ],
)
def test_what_changes_the_decision(
    manager: str, subresource: str, path: str, change: dict[str, bool], action: str
) -> None:
    """Protection, adoption by name and an autoscaler each have their word."""
    options = {"autoscaled": True, "protected": False, "adopted": False, **change}
    found = classify(owner(manager, subresource), path, policy=DriftPolicy(), **options)
    assert found[0] == action


@pytest.mark.parametrize(
    ("triple", "allowed"),
    [
        (f"bot::{IMAGE}", True),
        ("bot::spec.template.spec.containers[*].image", True),
        ("b*::spec.template*", True),
        ("bot:scale:spec.template*", False),
        ("other::spec.template*", False),
        ("bot::spec.replicas", False),
        ("bot", False),
    ],
)
def test_the_environments_own_list(triple: str, *, allowed: bool) -> None:
    """A triple must match in manager, subresource and path."""
    policy = DriftPolicy(yield_to=(triple,))
    action, _ = classify(
        owner("bot"), IMAGE, policy=policy, autoscaled=False, protected=True, adopted=False
    )
    assert action == ("yield" if allowed else "stop")


def with_writer(
    live: dict[str, Any], manager: str, fields: dict[str, Any], **more: str
) -> dict[str, Any]:
    """Return the object with one more entry in managedFields."""
    made = copy.deepcopy(live)
    made["metadata"]["managedFields"].append(
        {"manager": manager, "operation": "Update", "fieldsV1": fields, **more}
    )
    return made


def test_only_fields_that_differ_are_decided_about() -> None:
    """A field with our value, whoever owns it, is no conflict; status never is."""
    live = put(applied(DESIRED), ("spec", "replicas"), 5)
    fields: dict[str, Any] = {
        "f:spec": {"f:replicas": {}, "f:items": {'k:{"name":"one"}': {"f:v": {}}}}
    }
    live = with_writer(live, "kubectl", fields)
    live = with_writer(live, "kcm", {"f:status": {"f:ready": {}}}, subresource="status")
    found = decide(
        DESIRED,
        live,
        MANAGER,
        policy=DriftPolicy(),
        autoscaled=False,
        protected=False,
        adopted=False,
    )
    assert [(d.path, d.action, d.live) for _, d in found] == [("spec.replicas", "overrule", 5)]


def test_the_worst_decision_counts() -> None:
    """Where two hold one field, the one that stops wins over the one that is overruled."""
    live = put(applied(DESIRED), ("spec", "replicas"), 5)
    for manager in ("helm", "kubectl"):
        live = with_writer(live, manager, {"f:spec": {"f:replicas": {}}})
    ((_, decision),) = decide(
        DESIRED,
        live,
        MANAGER,
        policy=DriftPolicy(),
        autoscaled=False,
        protected=False,
        adopted=False,
    )
    assert (decision.action, decision.manager) == ("stop", "helm")


def found(live: dict[str, Any], policy: DriftPolicy | None = None) -> dict[str, Any]:
    """Return additions by their text."""
    from infometis_sdk.engine.objects.fieldset import display

    return {
        display(path, live): value
        for path, _, value in additions(DESIRED, live, MANAGER, policy or DriftPolicy())
    }


def foreign() -> dict[str, Any]:
    """Return the live object with a label, a structure and a list item of somebody else."""
    live = applied(DESIRED)
    live["metadata"]["labels"]["team"] = "blue"
    live["spec"]["probe"] = {"http": {"port": 1, "path": "/"}}
    live["spec"]["items"].append({"name": "two", "v": 2, "w": 3})
    fields = {
        "f:metadata": {"f:labels": {"f:team": {}}},
        "f:spec": {
            "f:probe": {".": {}, "f:http": {".": {}, "f:port": {}, "f:path": {}}},
            "f:items": {
                'k:{"name":"two"}': {".": {}, "f:name": {}, "f:v": {}, "f:w": {}},
                'k:{"name":"one"}': {"f:v": {}},
            },
        },
    }
    return with_writer(live, "kubectl-edit", fields)


def test_additions_are_whole() -> None:
    """A label is one addition, and so is a structure or an item that is all theirs."""
    assert found(foreign()) == {
        "metadata.labels.team": "blue",
        "spec.probe": {"http": {"port": 1, "path": "/"}},
        "spec.items[name=two]": {"name": "two", "v": 2, "w": 3},
    }


def test_what_is_partly_somebody_elses_is_taken_apart() -> None:
    """Where a controller holds a part of it, only the rest is theirs."""
    live = with_writer(
        foreign(), "kube-scheduler", {"f:spec": {"f:probe": {"f:http": {"f:port": {}}}}}
    )
    assert {p for p in found(live) if p.startswith("spec.probe")} == {"spec.probe.http.path"}


@pytest.mark.parametrize("manager", ["kube-controller-manager", "kubelet", "k3s"])
def test_the_clusters_own_controllers_add_nothing_foreign(manager: str) -> None:
    """What Kubernetes itself keeps on an object is not drift."""
    live = applied(DESIRED)
    live["metadata"]["labels"]["x"] = "y"
    assert not found(with_writer(live, manager, {"f:metadata": {"f:labels": {"f:x": {}}}}))


def test_known_noise_and_allowed_additions_are_left_out() -> None:
    """A restart by kubectl, a revision, and what the environment's own list names."""
    live = applied(DESIRED)
    notes = {
        "kubectl.kubernetes.io/restartedAt": "t",
        "deployment.kubernetes.io/revision": "1",
        "mine": "m",
    }
    live["metadata"]["annotations"] = notes
    fields: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{name}": {} for name in notes}}}
    live = with_writer(live, "kubectl", fields)
    assert set(found(live)) == {"metadata.annotations.mine"}
    assert not found(live, DriftPolicy(yield_to=("kubectl::metadata.annotations*",)))


def test_deployers() -> None:
    """Helm is one; a tool whose name only begins alike is not."""
    assert deployer(owner("helm"))
    assert deployer(owner("argocd-application-controller"))
    assert not deployer(owner("helmet-operator"))
