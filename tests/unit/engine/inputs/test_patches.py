"""Patches of an environment."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.engine.bundles import KAFKA, find, render_faults, rendered

from infometis_sdk.model import Environment, Fault, Origin, Patch, Service

POD = "spec.template.spec"
WHERE = Origin(layer="environment", file="environments/dev.yaml", line=9)


def environment(
    path: str, value: Any, *, kind: str = "StatefulSet", name: str = "kafka"
) -> Environment:
    """Make an environment with one patch."""
    patch = Patch(kind=kind, name=name, path=path, value=value, origin=WHERE)
    return Environment("dev", patches=(patch,))


def patched(path: str, value: Any) -> Any:
    """Return the spec of the patched StatefulSet."""
    manifests = rendered(KAFKA, environment=environment(path, value))
    return find(manifests, "StatefulSet", "kafka").object["spec"]


def refused(path: str, value: Any = 1, **target: str) -> Fault:
    """Return the fault of a patch, which knows its file and line."""
    (fault,) = render_faults(KAFKA, environment=environment(path, value, **target))
    assert fault.origin == WHERE
    return fault


def test_items_are_found_by_key() -> None:
    """A container is found by its name, maps merge into what is there, null unsets."""
    resources = f"{POD}.containers[name=kafka].resources"
    spec = patched(resources, {"limits": {"cpu": "1"}})
    assert spec["template"]["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "1"},
        "requests": {"memory": "1Gi"},
    }
    spec = patched(resources, {"requests": None})
    assert spec["template"]["spec"]["containers"][0]["resources"] == {}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.replicas", 5),
        (f"{POD}.nodeSelector", {"disk": "fast"}),
        (f"{POD}.tolerations", [{"operator": "Exists"}]),
        (f"{POD}.affinity.nodeAffinity", {}),
        (f"{POD}.priorityClassName", "high"),
        (f"{POD}.topologySpreadConstraints", []),
        (f"{POD}.imagePullSecrets", [{"name": "x"}]),
        ("spec.volumeClaimTemplates[metadata.name=data].spec.storageClassName", "fast"),
        (f"{POD}.containers[name=kafka].resources.limits.memory", "2Gi"),
        ("metadata.annotations[example.com/team]", "data"),
        ("spec.template.metadata.labels[team]", "data"),
    ],
)
def test_allowed(path: str, value: Any) -> None:
    """Resources, replicas, scheduling, storage class, pull secrets, free labels may change."""
    assert rendered(KAFKA, environment=environment(path, value)).manifests


@pytest.mark.parametrize(
    "path",
    [
        "spec.serviceName",
        "spec.selector",
        f"{POD}.containers[name=kafka].image",
        f"{POD}.containers[name=kafka].args",
        f"{POD}.containers[name=kafka].env",
        f"{POD}.containers",
        f"{POD}.volumes",
        f"{POD}.hostNetwork",
        "metadata.name",
        "spec.volumeClaimTemplates[metadata.name=data].spec.resources",
        "kind",
        "spec",
    ],
)
def test_refused(path: str) -> None:
    """Any other path is refused, with what may be patched."""
    fault = refused(path)
    assert "may not touch" in fault.message
    assert "spec.replicas" in fault.legal
    assert fault.path == f"StatefulSet/kafka {path}"


@pytest.mark.parametrize(
    "path",
    ["spec.template.metadata.labels[app.kubernetes.io/name]", "spec.template.metadata.labels"],
)
def test_selected_labels_stay(path: str) -> None:
    """A label that a selector names is core."""
    assert "selector" in refused(path, {"app.kubernetes.io/name": "x"}).message


def test_nothing_to_patch() -> None:
    """An object or item that is not there is named, with the nearest that is."""
    assert refused("spec.replicas", name="kafak").nearest == "StatefulSet/kafka"
    fault = refused(f"{POD}.containers[name=nifi].resources", {"limits": {}})
    assert fault.legal == "[name=kafka]"


def test_raw_manifests_can_be_patched() -> None:
    """Patches reach raw manifests too."""
    raw = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "op"},
        "spec": {"replicas": 1},
    }
    manifests = rendered(
        Service(name="op", manifests=[raw]),
        environment=environment("spec.replicas", 2, kind="Deployment", name="op"),
    )
    assert find(manifests, "Deployment", "op").object["spec"]["replicas"] == 2
    assert raw["spec"] == {"replicas": 1}
