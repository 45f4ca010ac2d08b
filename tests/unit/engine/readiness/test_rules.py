"""The readiness table: each kind ready, not ready and failed, from real-looking objects."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from infometis_sdk.engine.readiness.rules import existence_is_enough, readiness
from infometis_sdk.engine.readiness.verdict import Context, Verdict, failing
from infometis_sdk.model.reference import ObjectRef

VERSIONS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "APIService": "apiregistration.k8s.io/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Ingress": "networking.k8s.io/v1",
    "Kafka": "kafka.strimzi.io/v1",
    "Elasticsearch": "elasticsearch.k8s.elastic.co/v1",
    "ValidatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "Widget": "example.com/v1",
}


def live(
    kind: str, spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **meta: Any
) -> dict[str, Any]:
    """Make an object as the API server returns it."""
    return {
        "apiVersion": VERSIONS.get(kind, "v1"),
        "kind": kind,
        "metadata": {"name": "x", "namespace": "n", "generation": 2, **meta},
        "spec": spec or {},
        "status": status or {},
    }


def conditions(**states: str | tuple[str, str]) -> list[dict[str, str]]:
    """Make conditions from type to status, or to status and reason."""
    made = []
    for kind, state in states.items():
        status, reason = (state, "") if isinstance(state, str) else state
        made.append({"type": kind, "status": status, "reason": reason, "message": f"{kind} said"})
    return made


def deployment(**status: Any) -> dict[str, Any]:
    """Make a Deployment of three pods that is complete but for what is given."""
    whole = {
        "observedGeneration": 2,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "conditions": conditions(Available="True", Progressing=("True", "NewReplicaSetAvailable")),
    }
    return live("Deployment", {"replicas": 3, "progressDeadlineSeconds": 600}, {**whole, **status})


def stateful_set(spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    """Make a StatefulSet of three pods that is complete but for what is given."""
    whole = {
        "observedGeneration": 2,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "currentRevision": "x-1",
        "updateRevision": "x-1",
    }
    return live("StatefulSet", {"replicas": 3, **(spec or {})}, {**whole, **status})


def daemon_set(spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    """Make a DaemonSet on three nodes that is complete but for what is given."""
    whole = {
        "observedGeneration": 2,
        "desiredNumberScheduled": 3,
        "updatedNumberScheduled": 3,
        "numberAvailable": 3,
    }
    return live("DaemonSet", spec, {**whole, **status})


def pod(phase: str = "Pending", **status: Any) -> dict[str, Any]:
    """Make a pod."""
    return live("Pod", {"containers": [{"name": "main"}]}, {"phase": phase, **status})


def waiting(reason: str, *, restarts: int = 0, message: str = "") -> dict[str, Any]:
    """Make a pod whose container waits."""
    state = {"waiting": {"reason": reason, "message": message}}
    container = {"name": "main", "image": "i:1", "restartCount": restarts, "ready": False}
    return pod(containerStatuses=[{**container, "state": state}])


def unschedulable(message: str) -> dict[str, Any]:
    """Make a pod that no node takes."""
    found = conditions(PodScheduled=("False", "Unschedulable"))
    found[0]["message"] = message
    return pod(conditions=found)


def crd(**states: str | tuple[str, str]) -> dict[str, Any]:
    """Make a CustomResourceDefinition."""
    return live("CustomResourceDefinition", {}, {"conditions": conditions(**states)})


def hpa(**states: str | tuple[str, str]) -> dict[str, Any]:
    """Make a HorizontalPodAutoscaler."""
    status = {"observedGeneration": 2, "conditions": conditions(**states)}
    return live("HorizontalPodAutoscaler", {}, status)


def elasticsearch(nodes: int = 3, **status: Any) -> dict[str, Any]:
    """Make an Elasticsearch of ECK."""
    whole = {"observedGeneration": 2, "phase": "Ready", "health": "green", "availableNodes": nodes}
    return live("Elasticsearch", {"nodeSets": [{"count": nodes}]}, {**whole, **status})


def strimzi(**states: str | tuple[str, str]) -> dict[str, Any]:
    """Make a Kafka of Strimzi."""
    return live("Kafka", {}, {"observedGeneration": 2, "conditions": conditions(**states)})


READY = {
    "deployment": deployment(),
    "deployment that surges no more and has more ready pods": deployment(readyReplicas=3),
    "deployment of nothing": live(
        "Deployment",
        {"replicas": 0, "progressDeadlineSeconds": 600},
        {
            "observedGeneration": 2,
            "conditions": conditions(
                Available="True", Progressing=("True", "NewReplicaSetAvailable")
            ),
        },
    ),
    "deployment without a deadline": {
        **deployment(conditions=conditions(Available="True")),
        "spec": {"replicas": 3, "progressDeadlineSeconds": 2**31 - 1},
    },
    "stateful set": stateful_set(),
    "stateful set with a partition": stateful_set(
        {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}},
        updatedReplicas=1,
        updateRevision="x-2",
    ),
    "stateful set OnDelete": stateful_set(
        {"updateStrategy": {"type": "OnDelete"}}, updatedReplicas=1, updateRevision="x-2"
    ),
    "stateful set of nothing": live(
        "StatefulSet",
        {"replicas": 0},
        {"observedGeneration": 2, "currentRevision": "a", "updateRevision": "a"},
    ),
    "daemon set": daemon_set(),
    "daemon set OnDelete": daemon_set(
        {"updateStrategy": {"type": "OnDelete"}}, updatedNumberScheduled=0
    ),
    "daemon set without nodes": daemon_set(
        desiredNumberScheduled=0, updatedNumberScheduled=0, numberAvailable=0
    ),
    "replica set": live(
        "ReplicaSet",
        {"replicas": 1},
        {"observedGeneration": 2, "replicas": 1, "readyReplicas": 1},
    ),
    "job": live("Job", {}, {"succeeded": 1, "conditions": conditions(Complete="True")}),
    "cron job": live("CronJob", {"suspend": True}),
    "config map": live("ConfigMap"),
    "role": live("Role"),
    "pod": pod("Running", conditions=conditions(Ready="True")),
    "pod that is done": pod("Succeeded"),
    "claim": live("PersistentVolumeClaim", {}, {"phase": "Bound"}),
    "service": live("Service", {"clusterIP": "10.0.0.1", "selector": {"a": "b"}}),
    "headless service": live("Service", {"clusterIP": "None"}),
    "external name": live("Service", {"type": "ExternalName"}),
    "load balancer without proof": live(
        "Service", {"type": "LoadBalancer", "clusterIP": "1.2.3.4"}
    ),
    "namespace": live("Namespace", {}, {"phase": "Active"}),
    "ingress without an address": live("Ingress", {}, {"loadBalancer": {}}),
    "definition": crd(Established="True", NamesAccepted="True"),
    "api service": live("APIService", {}, {"conditions": conditions(Available="True")}),
    "webhook": live("ValidatingWebhookConfiguration"),
    "autoscaler": hpa(AbleToScale="True", ScalingActive="True"),
    "autoscaler before its first metrics": hpa(AbleToScale="True"),
    "strimzi": strimzi(Ready="True"),
    "eck": elasticsearch(),
    "eck with one data node, yellow": elasticsearch(1, health="yellow"),
    "custom": live("Widget", {}, {"conditions": conditions(Ready="True")}),
}


@pytest.mark.parametrize("obj", READY.values(), ids=READY.keys())
def test_ready(obj: dict[str, Any]) -> None:
    """What is complete is ready."""
    assert readiness(obj).state == "ready"


NOT_READY = {
    "deployment unseen": deployment(observedGeneration=None),
    "deployment of an old generation": deployment(observedGeneration=1),
    "deployment with old pods": deployment(replicas=4),
    "deployment half updated": deployment(updatedReplicas=1),
    "deployment with a pod not ready": deployment(readyReplicas=2),
    "deployment with a pod not available": deployment(availableReplicas=2),
    "deployment not available": deployment(
        conditions=conditions(Available="False", Progressing=("True", "NewReplicaSetAvailable"))
    ),
    "deployment still reported as rolling": deployment(
        conditions=conditions(Available="True", Progressing=("True", "ReplicaSetUpdated"))
    ),
    "stateful set unseen": stateful_set(observedGeneration=None),
    "stateful set half updated": stateful_set(updatedReplicas=2, updateRevision="x-2"),
    "stateful set with a pod not ready": stateful_set(readyReplicas=2),
    "stateful set with too many pods": stateful_set(replicas=4),
    "stateful set whose revision is not current": stateful_set(updateRevision="x-2"),
    "stateful set within minReadySeconds": stateful_set(
        {"minReadySeconds": 10}, availableReplicas=2
    ),
    # kstatus calls this one ready
    "stateful set OnDelete with a pod not ready": stateful_set(
        {"updateStrategy": {"type": "OnDelete"}}, readyReplicas=2
    ),
    "daemon set unseen": daemon_set(observedGeneration=None),
    "daemon set half updated": daemon_set(updatedNumberScheduled=1),
    "daemon set not available": daemon_set(numberAvailable=2),
    "replica set": live(
        "ReplicaSet",
        {"replicas": 2},
        {"observedGeneration": 2, "replicas": 2, "readyReplicas": 1},
    ),
    # kstatus calls this one ready
    "job that runs": live("Job", {}, {"active": 1}),
    "job that has not started": live("Job"),
    "job that is about to fail": live("Job", {}, {"conditions": conditions(FailureTarget="True")}),
    "pod": pod(),
    "pod not ready": pod(
        "Running",
        conditions=conditions(Ready="False"),
        containerStatuses=[{"name": "main", "ready": False, "state": {"running": {}}}],
    ),
    "claim": live("PersistentVolumeClaim", {}, {"phase": "Pending"}),
    "service without an address": live("Service", {"type": "ClusterIP"}),
    "namespace": live("Namespace", {}, {"phase": ""}),
    "definition": crd(),
    "definition in the making": crd(NamesAccepted="True", Established=("False", "Installing")),
    "definition established under other names": crd(Established="True"),
    "api service": live("APIService", {}, {"conditions": conditions(Available="False")}),
    "autoscaler": hpa(),
    "strimzi unseen": live("Kafka", {}, {"conditions": conditions(Ready="True")}),
    "strimzi in the making": strimzi(NotReady=("True", "Creating")),
    "eck with a node missing": elasticsearch(availableNodes=2),
    "eck changing": elasticsearch(phase="ApplyingChanges"),
    "eck yellow with three nodes": elasticsearch(health="yellow"),
    "custom": live("Widget", {}, {"conditions": conditions(Ready="False")}),
    "reconciling": live("Widget", {}, {"conditions": conditions(Ready="True", Reconciling="True")}),
}


@pytest.mark.parametrize("obj", NOT_READY.values(), ids=NOT_READY.keys())
def test_not_ready(obj: dict[str, Any]) -> None:
    """What is on its way is progressing, and says what it lacks, for as long as it takes."""
    verdict = readiness(obj)
    assert verdict.state == "progressing"
    assert verdict.reason
    assert verdict.after(1e9).state == "progressing"


FAILED = {
    "deployment past its deadline": (
        deployment(
            readyReplicas=1,
            conditions=conditions(Progressing=("False", "ProgressDeadlineExceeded")),
        ),
        0,
    ),
    "deployment whose pods are refused": (
        deployment(conditions=conditions(ReplicaFailure=("True", "FailedCreate"))),
        60,
    ),
    "replica set whose pods are refused": (
        live("ReplicaSet", {}, {"conditions": conditions(ReplicaFailure="True")}),
        60,
    ),
    "job": (
        live("Job", {}, {"conditions": conditions(Failed=("True", "BackoffLimitExceeded"))}),
        0,
    ),
    "pod": (pod("Failed", reason="Evicted", message="no memory"), 0),
    "pod with a bad image name": (waiting("InvalidImageName"), 0),
    "pod with an image that nobody pulls": (waiting("ErrImageNeverPull"), 0),
    "pod with a missing Secret": (waiting("CreateContainerConfigError"), 0),
    "pod whose image cannot be pulled": (waiting("ImagePullBackOff"), 60),
    "pod that crashes": (waiting("CrashLoopBackOff", restarts=3), 60),
    "pod that no node takes": (unschedulable("0/3 nodes: 3 Insufficient cpu"), 15),
    "pod whose volume is not made": (
        unschedulable("pod has unbound immediate PersistentVolumeClaims"),
        60,
    ),
    "claim": (live("PersistentVolumeClaim", {"volumeName": "v"}, {"phase": "Lost"}), 0),
    "volume": (live("PersistentVolume", {}, {"phase": "Failed"}), 0),
    "definition": (crd(NamesAccepted=("False", "MultipleNamesNotAllowed")), 0),
    "definition that is not established": (
        crd(NamesAccepted="True", Established=("False", "Broken")),
        0,
    ),
    "autoscaler": (
        hpa(AbleToScale="True", ScalingActive=("False", "FailedGetResourceMetric")),
        120,
    ),
    "autoscaler without a target": (hpa(AbleToScale=("False", "FailedGetScale")), 120),
    "strimzi": (strimzi(NotReady=("True", "InvalidResourceException")), 0),
    "eck invalid": (elasticsearch(phase="Invalid"), 0),
    "eck red": (elasticsearch(health="red"), 120),
    "stalled": (live("Widget", {}, {"conditions": conditions(Ready="False", Stalled="True")}), 0),
}


@pytest.mark.parametrize(("obj", "seconds"), FAILED.values(), ids=FAILED.keys())
def test_failed(obj: dict[str, Any], seconds: float) -> None:
    """What cannot become ready has failed, after exactly the time that the rule grants."""
    verdict = readiness(obj)
    assert verdict.reason
    assert verdict.after(seconds).state == "failed"
    if seconds:
        assert verdict.after(seconds - 0.1).state == "progressing"


def test_few_restarts_are_no_crash_loop() -> None:
    """A container that crashed twice may recover: its peer may just not have been there."""
    assert readiness(waiting("CrashLoopBackOff", restarts=2)).after(1e9).state == "progressing"


def test_between_two_crashes() -> None:
    """A container that crashes again and again is in the same state while it happens to run."""
    container = {"name": "main", "restartCount": 4, "ready": False, "state": {"running": {}}}
    running = pod("Running", containerStatuses=[container])
    assert readiness(running).symptom == readiness(waiting("CrashLoopBackOff")).symptom


def test_pulling_and_backing_off_are_one_symptom() -> None:
    """ErrImagePull and ImagePullBackOff take turns; the time must not start anew with each."""
    assert (
        readiness(waiting("ErrImagePull")).symptom == readiness(waiting("ImagePullBackOff")).symptom
    )


def test_autoscaled_platform_gets_time_for_a_node() -> None:
    """Where nodes are added, a pod without a place gets a minute."""
    verdict = readiness(unschedulable("Insufficient cpu"), context=Context(autoscaled=True))
    assert verdict.patience == 60


@pytest.mark.parametrize(
    ("obj", "state"),
    [
        ({**deployment(), "spec": {"paused": True}}, "suspended"),
        (live("Job", {"suspend": True}), "suspended"),
        (hpa(AbleToScale="True", ScalingActive=("False", "ScalingDisabled")), "suspended"),
    ],
)
def test_suspended(obj: dict[str, Any], state: str) -> None:
    """What somebody put on hold is suspended."""
    assert readiness(obj).state == state


def test_finished_job_that_is_suspended_is_ready() -> None:
    """A Job that completed before somebody suspended it is complete."""
    done = live("Job", {"suspend": True}, {"conditions": conditions(Complete="True")})
    assert readiness(done).state == "ready"


def test_missing() -> None:
    """What is not there is missing."""
    assert readiness(None).state == "missing"
    assert readiness(None).after(60).state == "missing"


@pytest.mark.parametrize(("seen", "state"), [(True, "ready"), (False, "missing")])
def test_job_removed_by_its_ttl(seen: bool, state: str) -> None:  # noqa: FBT001
    """A Job that its TTL removed is ready only if it was seen running."""
    desired = live("Job", {"ttlSecondsAfterFinished": 0})
    assert readiness(None, context=Context(desired=desired, seen_running=seen)).state == state


def test_terminating_names_finalizers() -> None:
    """What is being deleted says who holds it, and is never ready."""
    obj = live("ConfigMap", deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["a.b/c"])
    verdict = readiness(obj)
    assert verdict.state == "terminating"
    assert "a.b/c" in verdict.reason


def test_terminating_namespace_says_what_is_left() -> None:
    """A stuck namespace repeats what the API server says of its content."""
    obj = live(
        "Namespace",
        {"finalizers": ["kubernetes"]},
        {
            "phase": "Terminating",
            "conditions": conditions(NamespaceContentRemaining="True", Ready="False"),
        },
        deletionTimestamp="2026-01-01T00:00:00Z",
    )
    assert "NamespaceContentRemaining said" in readiness(obj).reason


@given(st.integers(1, 50), st.integers(1, 50))
def test_status_of_an_older_object_is_no_answer(observed: int, known: int) -> None:
    """Nothing is ready before its controller has seen the generation that was applied."""
    obj = deployment(observedGeneration=observed)
    obj["metadata"]["generation"] = known
    assert (readiness(obj).state == "ready") == (observed >= known)


@given(
    wanted=st.integers(0, 5),
    total=st.integers(0, 6),
    updated=st.integers(0, 6),
    up=st.integers(0, 6),
    available=st.integers(0, 6),
)
def test_deployment_is_never_ready_with_a_pod_short(
    wanted: int, total: int, updated: int, up: int, available: int
) -> None:
    """A ready Deployment has exactly the wanted pods, all new, ready and available."""
    obj = deployment(
        replicas=total, updatedReplicas=updated, readyReplicas=up, availableReplicas=available
    )
    obj["spec"]["replicas"] = wanted
    if readiness(obj).state == "ready":
        assert total == updated == wanted
        assert min(up, available) >= wanted


@pytest.mark.parametrize(
    ("context", "state"),
    [
        (Context(load_balancer=True), "progressing"),
        (Context(require_endpoints=True, endpoints=0), "progressing"),
        (Context(require_endpoints=True, endpoints=1), "ready"),
    ],
)
def test_service(context: Context, state: str) -> None:
    """An address is waited for only where load balancers are proved; endpoints only if asked."""
    obj = live("Service", {"type": "LoadBalancer", "clusterIP": "1.2.3.4", "selector": {"a": "b"}})
    assert readiness(obj, context=context).state == state


def test_load_balancer_with_address() -> None:
    """A load balancer is ready with its address."""
    obj = live(
        "Service",
        {"type": "LoadBalancer", "clusterIP": "1.2.3.4"},
        {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}},
    )
    assert readiness(obj, context=Context(load_balancer=True)).state == "ready"


@pytest.mark.parametrize(("consumer", "state"), [(False, "ready"), (True, "progressing")])
def test_late_binding_claim(consumer: bool, state: str) -> None:  # noqa: FBT001
    """A claim that waits for its first pod is fine until that pod is there."""
    obj = live("PersistentVolumeClaim", {}, {"phase": "Pending"})
    context = Context(late_binding=True, has_consumer=consumer)
    assert readiness(obj, context=context).state == state


def test_webhook_without_endpoints() -> None:
    """A webhook that nobody answers for refuses every write, so it is not ready."""
    obj = live("ValidatingWebhookConfiguration")
    assert readiness(obj, context=Context(endpoints=0)).state == "progressing"
    assert readiness(obj, context=Context(endpoints=2)).state == "ready"


def test_owned_set_waits_for_its_owner() -> None:
    """An OnDelete set is ready only with the custom resource that owns it."""
    obj = stateful_set({"updateStrategy": {"type": "OnDelete"}})
    assert readiness(obj, context=Context(owner_ready=False)).state == "progressing"
    assert readiness(obj, context=Context(owner_ready=True)).state == "ready"


def test_unknown_kind_is_never_silently_ready() -> None:
    """A custom resource without a telling status is unknown after 15 s, not ready."""
    verdict = readiness(live("Widget"))
    assert verdict.state == "progressing"
    assert verdict.after(15).state == "unknown"


def test_kind_without_a_status_is_ready() -> None:
    """Where the kind can have no status at all, there is nothing to wait for."""
    assert readiness(live("Widget"), context=Context(has_status=False)).state == "ready"


def test_unproved_good_news_is_confirmed() -> None:
    """Kinds without observedGeneration need a second good read; those with it do not."""
    good = live("Widget", {}, {"conditions": conditions(Ready="True")})
    assert readiness(good).confirm
    known = live("Widget", {}, {"observedGeneration": 2, "conditions": conditions(Ready="True")})
    assert not readiness(known).confirm


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_pods_without_a_probe_have_to_last(kind: str) -> None:
    """A container without a readiness probe is ready until it crashes: once is not enough."""
    obj = {"Deployment": deployment, "StatefulSet": stateful_set, "DaemonSet": daemon_set}[kind]()
    obj["spec"]["template"] = {"spec": {"containers": [{"name": "main"}]}}
    assert readiness(obj).confirm == 3
    obj["spec"]["minReadySeconds"] = 10
    assert readiness(obj).confirm == 0
    del obj["spec"]["minReadySeconds"]
    obj["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": 1}}
    assert readiness(obj).confirm == 0


@pytest.mark.parametrize(
    ("kind", "enough"), [("Secret", True), ("Role", True), ("Deployment", False), ("Widget", False)]
)
def test_existence_is_enough(kind: str, enough: bool) -> None:  # noqa: FBT001
    """Only built-in kinds without a rule are ready once they exist."""
    ref = ObjectRef(api_version=VERSIONS.get(kind, "v1"), kind=kind, name="x")
    assert existence_is_enough(ref) is enough


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_patience_is_monotonic(seconds: float, patience: float) -> None:
    """A symptom that has become a failure stays one, however long it lasts."""
    verdict = failing("r", "S", patience)
    if verdict.after(seconds).state == "failed":
        assert verdict.after(seconds + 1).state == "failed"
    assert evolve(verdict, symptom="").after(1e9) == Verdict(
        state="progressing", reason="r", patience=patience
    )
