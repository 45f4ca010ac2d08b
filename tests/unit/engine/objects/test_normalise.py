"""Bringing objects into the form in which the API server shows them."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, strategies as st

from infometis_sdk.engine.objects.normalise import normalise
from infometis_sdk.testing.strategies import json_values


def test_nulls_go_and_empty_maps_stay() -> None:
    """Nulls are dropped with what only they kept alive; what was written empty stays."""
    obj = {
        "kind": "A",
        "a": None,
        "b": {"c": None},
        "d": {},
        "e": [None],
        "f": [],
        "g": [{"h": None}, 1],
    }
    assert normalise(obj) == {"kind": "A", "d": {}, "f": [], "g": [1]}


def test_server_fields_go() -> None:
    """What the API server writes itself is not ours to send."""
    obj = {
        "kind": "A",
        "metadata": {
            "name": "a",
            "uid": "1",
            "resourceVersion": "2",
            "creationTimestamp": "x",
            "labels": {},
        },
        "status": {"a": 1},
    }
    assert normalise(obj) == {"kind": "A", "metadata": {"name": "a"}}


def pod(**spec: Any) -> dict[str, Any]:
    """Write a Pod."""
    return {
        "kind": "Pod",
        "spec": {"containers": [{"name": "a", **spec.pop("container", {})}], **spec},
    }


def test_pods() -> None:
    """Ports have their protocol, quantities are canonical, empty lists are left out."""
    obj = pod(
        tolerations=[],
        nodeSelector={},
        volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1024Mi"}}, {"name": "w", "emptyDir": {}}],
        container={
            "ports": [{"containerPort": 80.0}],
            "args": [],
            "resources": {"limits": {"cpu": 0.5, "memory": "1n"}},
        },
    )
    assert normalise(obj)["spec"] == {
        "containers": [
            {
                "name": "a",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "500m", "memory": "1m"}},
            }
        ],
        "volumes": [
            {"name": "v", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "w", "emptyDir": {}},
        ],
    }


def test_quantities_everywhere() -> None:
    """Claims, quotas, limit ranges and autoscalers hold quantities too; custom kinds may not."""
    spec = {"resources": {"requests": {"storage": "1024Mi"}}}
    claim = {"kind": "PersistentVolumeClaim", "spec": spec}
    assert normalise(claim)["spec"]["resources"]["requests"]["storage"] == "1Gi"
    quota = {"kind": "ResourceQuota", "spec": {"hard": {"pods": 10, "memory": "1024Mi"}}}
    assert normalise(quota)["spec"]["hard"] == {"pods": "10", "memory": "1Gi"}
    limits = {"kind": "LimitRange", "spec": {"limits": [{"type": "Pod", "max": {"cpu": "1000m"}}]}}
    assert normalise(limits)["spec"]["limits"][0]["max"] == {"cpu": "1"}
    target = {"type": "AverageValue", "averageValue": "1000m"}
    scaler = {
        "kind": "HorizontalPodAutoscaler",
        "spec": {"metrics": [{"resource": {"target": target}}]},
    }
    assert normalise(scaler)["spec"]["metrics"][0]["resource"]["target"]["averageValue"] == "1"
    assert normalise({"kind": "Widget", "spec": spec})["spec"] == spec


KINDS = (
    "Pod",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "Service",
    "Secret",
    "ConfigMap",
    "LimitRange",
    "ResourceQuota",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "HorizontalPodAutoscaler",
)
FIELDS = (
    "spec",
    "metadata",
    "template",
    "jobTemplate",
    "containers",
    "initContainers",
    "env",
    "ports",
    "resources",
    "requests",
    "limits",
    "volumes",
    "emptyDir",
    "sizeLimit",
    "valueFrom",
    "hard",
    "resourceFieldRef",
    "divisor",
    "metrics",
    "target",
    "averageValue",
    "data",
    "stringData",
    "volumeClaimTemplates",
    "ephemeral",
    "volumeClaimTemplate",
    "labels",
    "max",
    "name",
    "envFrom",
    "secretRef",
    "configMap",
    "projected",
    "sources",
    "imagePullSecrets",
)
NONSENSE = st.recursive(
    json_values(),
    lambda below: (
        st.dictionaries(st.sampled_from(FIELDS), below, max_size=4) | st.lists(below, max_size=2)
    ),
    max_leaves=12,
)


@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(FIELDS), NONSENSE, max_size=4))
def test_any_nonsense(kind: str, fields: dict[str, Any]) -> None:
    """Whatever an object holds, normalising succeeds, changes no input, and is stable."""
    obj = {"kind": kind, **fields}
    before = copy.deepcopy(obj)
    once = normalise(obj)
    assert obj == before
    assert normalise(once) == once
