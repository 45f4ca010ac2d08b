"""Quotas of a namespace: how much a stack takes at its most, and whether that fits."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.unit.engine.bundles import find, rendered

from infometis_sdk.engine.capacity.needs import most_pods, pod_needs
from infometis_sdk.engine.capacity.quotas import quota_faults
from infometis_sdk.engine.validate import validate
from infometis_sdk.model import (
    Environment,
    LimitsPolicy,
    Manifest,
    ManifestSet,
    Origin,
    Policies,
    QuotaPolicy,
    ScalingPolicy,
    Service,
)

WEB = Service.web("hello", image="example/hello:1", port=8080, replicas=3, cpu="500m")
STORE = Service.stateful("store", image="example/store:2", port=80, storage="10Gi", replicas=2)


def manifests(*objects: dict[str, Any], policies: Policies | None = None) -> ManifestSet:
    """Return these objects, in the namespace ``uat``."""
    for obj in objects:
        obj["metadata"]["namespace"] = "uat"
    return ManifestSet(
        environment=Environment("uat", policies=policies or Policies()),
        namespace="uat",
        stack_id="demo-uat",
        manifests=[Manifest(object=obj, zone="core") for obj in objects],
    )


def workload(kind: str = "Deployment", **spec: Any) -> dict[str, Any]:
    """Return a workload of pods that request half a cpu."""
    pod = {"containers": [{"name": "main", "resources": {"requests": {"cpu": "500m"}}}]}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "a"},
        "spec": {"template": {"spec": pod}, **spec},
    }


def quota(name: str = "q", namespace: str = "uat", **spec: Any) -> dict[str, Any]:
    """Return a live quota."""
    hard = {key: value for key, value in spec.items() if key not in ("scopes", "scopeSelector")}
    rest = {key: value for key, value in spec.items() if key in ("scopes", "scopeSelector")}
    return {
        "kind": "ResourceQuota",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"hard": hard, **rest},
    }


def told(hard: dict[str, str], *services: Service, **policies: Any) -> list[str]:
    """Return what validation says of a quota of the environment."""
    here = Origin(layer="environment", file="environments/uat.yaml", line=9)
    environment = Environment(
        "uat",
        policies=Policies(resource_quota=hard, **policies),
        origin=here,
        sources={f"policies.resource_quota.{key}": here for key in hard},
    )
    found = validate(rendered(*services, environment=environment))
    assert {str(fault.origin) for fault in found} <= {"environments/uat.yaml:9"}
    return [fault.message for fault in found if fault.level == "error"]


def test_a_rolling_update_needs_room() -> None:
    """The pods of an update count: what fits just so could never be updated."""
    assert told({"requests.cpu": "2", "pods": "4"}, WEB) == []
    (message,) = told({"requests.cpu": "1999m"}, WEB)
    assert message == (
        "ResourceQuota/infometis allows requests.cpu 1999m, and 2 are wanted: "
        "Deployment/hello (4 pods, 1 of them in a rolling update) 2"
    )
    assert len(told({"pods": "3"}, WEB)) == 1


def test_an_autoscaler_needs_room_for_its_maximum() -> None:
    """The most pods count, not those of today."""
    scaling = {"hello": ScalingPolicy(min=1, max=7, cpu=70)}
    assert told({"pods": "8", "cpu": "4"}, WEB, scaling=scaling) == []
    found = told({"pods": "7", "cpu": "3"}, WEB, scaling=scaling)
    assert len(found) == 2
    assert all("8 pods, 1 of them in a rolling update" in message for message in found)


def test_volumes_count_one_by_one() -> None:
    """A claim for each replica, by class where the quota asks for one."""
    assert told({"requests.storage": "20Gi", "persistentvolumeclaims": "2"}, STORE) == []
    found = told({"requests.storage": "19Gi", "persistentvolumeclaims": "1"}, STORE)
    assert found[0].startswith("ResourceQuota/infometis allows requests.storage 19Gi, and 20Gi are")
    assert len(found) == 2
    named = {"fast.storageclass.storage.k8s.io/requests.storage": "1Gi"}
    assert told(named, STORE) == []


def test_objects_count() -> None:
    """Objects that are rendered count, by the old names and by ``count/``."""
    names = {"count/deployments.apps": "0", "services": "0", "count/services": "0"}
    assert len(told(names, WEB)) == 3
    fitting = {"count/deployments.apps": "1", "services": "1", "count/networkpolicies": "0"}
    assert told(fitting, WEB) == []


def test_what_a_quota_demands_of_every_container() -> None:
    """A quota on limits refuses pods without any; a default limit helps."""
    (message,) = told({"limits.cpu": "10"}, WEB)
    assert message.endswith(
        "counts limits.cpu, and Deployment/hello containers[name=main] names none, "
        "so its pods are refused"
    )
    assert told({"limits.cpu": "10"}, WEB, limits=LimitsPolicy(default={"cpu": "1"})) == []
    (message,) = told({"limits.cpu": "3"}, WEB, limits=LimitsPolicy(default={"cpu": "1"}))
    assert "allows limits.cpu 3, and 4 are wanted" in message


@pytest.mark.parametrize(
    ("scope", "counts"),
    [
        ("Terminating", False),
        ("NotTerminating", True),
        ("BestEffort", False),
        ("NotBestEffort", True),
        ("PriorityClass", False),
        ("VolumeAttributesClass", False),
    ],
)
def test_scopes(scope: str, *, counts: bool) -> None:
    """A scoped quota counts only what is in its scope."""
    made = manifests(workload(replicas=2))
    assert bool(quota_faults(made, [quota(pods="1", scopes=[scope])])) is counts


def test_priority_classes() -> None:
    """Pods count whose priority class is among the named ones."""
    obj = workload(replicas=2)
    obj["spec"]["template"]["spec"]["priorityClassName"] = "high"

    def counted(operator: str, *values: str) -> bool:
        rule = {"scopeName": "PriorityClass", "operator": operator, "values": list(values)}
        selector = {"matchExpressions": [rule]}
        return bool(quota_faults(manifests(obj), [quota(pods="1", scopeSelector=selector)]))

    assert counted("In", "high", "low")
    assert not counted("In", "low")
    assert counted("NotIn", "low")
    assert not counted("DoesNotExist")


def test_the_scoped_object() -> None:
    """Scopes and priority classes reach the object, under a name of its own."""
    scoped = {
        "best": QuotaPolicy(hard={"pods": "0"}, scopes=["BestEffort"]),
        "high": QuotaPolicy(hard={"cpu": "2"}, priority_classes=["high"]),
    }
    made = rendered(WEB, environment=Environment("uat", policies=Policies(scoped_quotas=scoped)))
    best = find(made, "ResourceQuota", "infometis-best")
    assert best.object["spec"] == {"hard": {"pods": "0"}, "scopes": ["BestEffort"]}
    assert best.zone == "border"
    high = find(made, "ResourceQuota", "infometis-high").object["spec"]
    rule = {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
    assert high["scopeSelector"] == {"matchExpressions": [rule]}


def test_quotas_of_others() -> None:
    """A live quota of somebody else counts in its own namespace alone."""
    made = manifests(workload(replicas=4))
    (fault,) = quota_faults(made, [quota(pods="4")])
    assert fault.message.startswith("ResourceQuota/q in namespace uat allows pods 4, and 5 are")
    assert quota_faults(made, [quota(pods="4", namespace="other")]) == ()


@pytest.mark.parametrize(
    ("obj", "pods"),
    [
        (workload(replicas=4), 5),  # a quarter more, unless it says otherwise
        (workload(replicas=5), 7),
        (workload(replicas=0), 0),
        (workload(), 2),
        (workload(replicas=4, strategy={"type": "Recreate"}), 4),
        (workload(replicas=4, strategy={"rollingUpdate": {"maxSurge": "100%"}}), 8),
        (workload(replicas=4, strategy={"rollingUpdate": {"maxSurge": 3}}), 7),
        (workload("StatefulSet", replicas=4), 4),
        (workload("Job", parallelism=3), 3),
        (workload("DaemonSet"), 1),
    ],
)
def test_pods_at_their_most(obj: dict[str, Any], pods: int) -> None:
    """Each kind has its own most; of a DaemonSet one at least."""
    assert quota_faults(manifests(obj), [quota(pods=str(pods))]) == ()
    if pods:
        assert quota_faults(manifests(obj), [quota(pods=str(pods - 1))])


def test_init_containers_run_before_and_sidecars_beside() -> None:
    """Kubernetes takes the larger of both, resource by resource."""

    def container(cpu: str, **more: Any) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "initContainers": [
            container("1"),
            container("100m", restartPolicy="Always"),
            container("300m"),
        ],
        "containers": [container("200m"), container("300m")],
    }
    assert pod_needs(spec) == {"requests.cpu": Fraction(1)}
    spec["initContainers"][0] = container("10m")
    assert pod_needs(spec) == {"requests.cpu": Fraction(6, 10)}


def test_most_pods_ignores_what_is_no_number() -> None:
    """A broken autoscaler is named elsewhere."""
    target = {"kind": "Deployment", "name": "a"}
    scalers = [{"spec": {"scaleTargetRef": target, "maxReplicas": most}} for most in ("x", 4)]
    assert most_pods(scalers[:1]) == {}
    assert most_pods(scalers) == {("Deployment", "a"): 4}


@settings(max_examples=50, deadline=None)
@given(
    replicas=st.integers(0, 50),
    surge=st.integers(0, 100),
    cpu=st.integers(1, 4000),
    room=st.integers(0, 200_000),
)
def test_a_fault_exactly_where_it_does_not_fit(
    replicas: int, surge: int, cpu: int, room: int
) -> None:
    """The fault is there if and only if the sum is more than the quota."""
    obj = workload(replicas=replicas, strategy={"rollingUpdate": {"maxSurge": f"{surge}%"}})
    requests = {"cpu": f"{cpu}m"}
    obj["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"] = requests
    needed = (replicas + -(-replicas * surge // 100)) * cpu
    found = quota_faults(manifests(obj), [quota(**{"requests.cpu": f"{room}m"})])
    assert bool(found) is (needed > room)
