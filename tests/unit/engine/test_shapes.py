"""Services of the common shapes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.engine.bundles import find, rendered

from infometis_sdk.engine.inputs.descriptor import faults_of
from infometis_sdk.engine.validate import validate
from infometis_sdk.model import Environment, Service

WEB = Service.web(
    "hello",
    image="host:5000/example/hello:1.0",
    port=8080,
    env={"GREETING": "yes: no", "N": "1"},
    command=["/bin/hello"],
)
STORE = Service.stateful("store", image="example/store:2@sha256:" + "a" * 64, port=80)
SHAPES = {"Deployment": WEB, "StatefulSet": STORE}


@pytest.mark.parametrize("kind", SHAPES)
def test_they_are_right(kind: str) -> None:
    """Descriptor and rendered objects pass every check, at the defaults and scaled."""
    service = SHAPES[kind]
    assert faults_of(service) == ()
    values = {"replicas": 3, "cpu": "2", "memory": "4Gi"}
    if kind == "StatefulSet":
        values["storage"] = "50Gi"
    scaled = Environment("prod", values={service.name: values})
    defaults = {
        "tolerations": [{"operator": "Exists"}],
        "node_selector": {"a": "b"},
        "storage_class": "x",
    }
    for manifests in (rendered(service), rendered(service, environment=scaled, **defaults)):
        assert validate(manifests) == ()


@pytest.mark.parametrize("kind", SHAPES)
def test_they_are_good_citizens(kind: str) -> None:
    """Probes, limits, restricted pods, spread, disruption budget, no token: without being asked."""
    service = SHAPES[kind]
    manifests = rendered(service)
    pod: dict[str, Any] = find(manifests, kind, service.name).object["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    assert (
        container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]
    )
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["topologySpreadConstraints"]
    assert (
        find(manifests, "PodDisruptionBudget", service.name).object["spec"]["maxUnavailable"] == 1
    )
    assert (
        find(manifests, "ServiceAccount", service.name).object["automountServiceAccountToken"]
        is False
    )


def test_what_was_asked_for() -> None:
    """Image, command, environment and port arrive as they were given."""
    spec = find(rendered(WEB), "Deployment", "hello").object["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == "host:5000/example/hello:1.0"
    assert container["command"] == ["/bin/hello"]
    assert container["env"] == [
        {"name": "GREETING", "value": "yes: no"},
        {"name": "N", "value": "1"},
    ]
    assert container["ports"] == [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]


def test_volumes_stay_and_only_grow() -> None:
    """The volume of a replica outlives it, and its size is a parameter that never shrinks."""
    spec = find(rendered(STORE), "StatefulSet", "store").object["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    }
    assert spec["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert STORE.parameters["storage"].shrink == "never"
    assert STORE.parameters["replicas"].shrink == "drain"


def test_an_image_without_a_tag_is_a_fault() -> None:
    """What is not pinned is refused where it is declared."""
    (fault,) = faults_of(Service.web("a", image="example/a", port=80))
    assert "not pinned" in fault.message
