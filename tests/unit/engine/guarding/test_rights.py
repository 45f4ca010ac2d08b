"""Least privilege: the kinds and namespaces of the stack, and nothing to write in a report."""

from __future__ import annotations

from typing import Any

import pytest

from infometis_sdk import Environment, Project, Service, Workspace
from infometis_sdk.model.environment import DriftPolicy, Policies
from infometis_sdk.workspace.guard_pod import guard_manifests

_SAFE = {"get", "list", "watch"}


def rendered(*objects: dict[str, Any], action: str = "heal", mode: str = "shared") -> list[Any]:
    """Return the guard's objects for a stack of these."""
    environment = Environment(
        "dev",
        namespace="demo",
        stack_id="demo-dev",
        mode=mode,
        policies=Policies(drift=DriftPolicy(action=action)),
    )
    service = Service(name="app", manifests=objects)
    project = Project(
        name="demo", id="demo", services={"app": service}, environments={"dev": environment}
    )
    return guard_manifests(Workspace(project)["dev"], image="registry.example/im:1")


def granted(objects: list[Any]) -> set[tuple[str, str, str, str]]:
    """Return namespace, resource, verb, and the one name it is limited to, if any."""
    return {
        (obj["metadata"].get("namespace", ""), resource, verb, name)
        for obj in objects
        if obj["kind"] in ("Role", "ClusterRole")
        for rule in obj["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def obj(kind: str, name: str, version: str = "v1", **more: Any) -> dict[str, Any]:
    """Return an object."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **more}


def test_a_guard_that_reports_may_not_write() -> None:
    """Beside its own Lease it only reads."""
    found = granted(rendered(obj("ConfigMap", "a"), action="report"))
    writing = {(r, v, n) for _, r, v, n in found if v not in _SAFE}
    assert writing == {
        ("leases", "create", ""),
        ("leases", "update", "infometis-demo-dev-guard"),
    }


def test_a_guard_that_heals_may_write_what_the_stack_has() -> None:
    """ConfigMaps are the stack's, Secrets are not; nothing is ever deleted."""
    found = granted(rendered(obj("ConfigMap", "a")))
    assert ("demo", "configmaps", "patch", "") in found
    assert not any(resource == "secrets" for _, resource, _, _ in found)
    assert not any(verb in ("delete", "deletecollection", "*") for _, _, verb, _ in found)
    assert {space for space, _, _, _ in found} == {"demo"}


def test_where_the_stack_has_no_config_map_only_the_audit_is_written() -> None:
    """The heads of the audit are the one ConfigMap that the guard writes itself."""
    found = granted(rendered(obj("Service", "a", spec={"ports": [{"port": 1}]})))
    patches = {(r, n) for _, r, v, n in found if v == "patch"}
    assert patches == {("services", ""), ("configmaps", "infometis-demo-dev-audit")}


def test_roles_are_handed_out_by_name_only() -> None:
    """``escalate`` and ``bind`` are limited to the stack's own roles and to those it binds."""
    rbac = "rbac.authorization.k8s.io"
    found = granted(
        rendered(
            obj("Role", "reader", f"{rbac}/v1", rules=[]),
            obj(
                "RoleBinding",
                "readers",
                f"{rbac}/v1",
                roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": "view"},
            ),
        )
    )
    assert {(r, n) for _, r, v, n in found if v == "escalate"} == {("roles", "reader")}
    assert {(r, n) for _, r, v, n in found if v == "bind"} == {("clusterroles", "view")}


def test_what_is_in_no_namespace_takes_a_cluster_role() -> None:
    """A stack that owns its namespace may see and mend it, and nothing else of the cluster."""
    found = granted(rendered(obj("ConfigMap", "a"), mode="independent"))
    assert {(r, v) for space, r, v, _ in found if not space} == {
        ("namespaces", verb) for verb in (*_SAFE, "create", "patch")
    }


def test_the_pod_is_restricted() -> None:
    """The Deployment passes the restricted Pod Security level, and listens on its own address."""
    (deployment,) = (o for o in rendered(obj("ConfigMap", "a")) if o["kind"] == "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "$(POD_IP):9464" in container["args"]
    assert deployment["spec"]["template"]["metadata"]["labels"].keys() >= set(
        deployment["spec"]["selector"]["matchLabels"]
    )


@pytest.mark.parametrize("action", ["report", "heal"])
def test_no_object_of_the_guard_is_the_stacks(action: str) -> None:
    """They carry no label of the stack, so neither prune nor drift looks at them."""
    for each in rendered(obj("ConfigMap", "a"), action=action):
        assert not any(key.startswith("infometis.io/") for key in each["metadata"]["labels"])
