"""Explanations: from pods, events and nodes to one reason with its cure."""

from __future__ import annotations

from typing import Any

import pytest

from infometis_sdk.engine.readiness.diagnose import Culprit, diagnose
from infometis_sdk.engine.readiness.evidence import Evidence, pods_of
from infometis_sdk.engine.readiness.hints import hint, shortage
from infometis_sdk.engine.readiness.rules import readiness

Object = dict[str, Any]


def made(kind: str, name: str, owner: Object | None = None, **rest: Any) -> Object:
    """Make an object, owned by another one if given."""
    meta: Object = {"name": name, "namespace": "n", "uid": f"{kind}-{name}", "generation": 1}
    meta |= rest.pop("meta", {})
    if owner is not None:
        reference = {"kind": owner["kind"], "uid": owner["metadata"]["uid"], "controller": True}
        meta["ownerReferences"] = [reference]
    version = "apps/v1" if kind in {"Deployment", "ReplicaSet", "StatefulSet"} else "v1"
    version = "batch/v1" if kind == "Job" else version
    return {"apiVersion": version, "kind": kind, "metadata": meta, **rest}


def event(about: Object, reason: str, message: str, *, at: int, count: int = 1) -> Object:
    """Make an event of that second."""
    return {
        "type": "Normal" if reason.startswith("Successful") else "Warning",
        "reason": reason,
        "message": message,
        "count": count,
        "lastTimestamp": f"2026-01-01T00:00:{at:02}Z",
        "involvedObject": {
            "kind": about["kind"],
            "name": about["metadata"]["name"],
            "uid": about["metadata"]["uid"],
        },
    }


def crashing(name: str, owner: Object, **meta: Any) -> Object:
    """Make a pod whose container crashes."""
    container = {
        "name": "main",
        "restartCount": 4,
        "ready": False,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
    }
    status = {"phase": "Running", "containerStatuses": [container]}
    return made("Pod", name, owner, meta=meta, status=status)


DEPLOYMENT = made(
    "Deployment",
    "web",
    spec={"replicas": 1},
    status={"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1},
)


def replica_set(name: str, revision: int) -> Object:
    """Make a ReplicaSet of the Deployment."""
    notes = {"deployment.kubernetes.io/revision": str(revision)}
    return made("ReplicaSet", name, DEPLOYMENT, meta={"annotations": notes})


def test_crash_loop_of_a_deployment() -> None:
    """The crashing pod, its exit code and its container's last log explain a Deployment."""
    new = replica_set("web-2", 2)
    evidence = Evidence(pods=(crashing("web-2-a", new),), replica_sets=(new,))

    found = diagnose(DEPLOYMENT, readiness(DEPLOYMENT), evidence)

    assert found.verdict.symptom == "CrashLoopBackOff"
    assert found.verdict.patience == 60
    assert found.verdict.reason == (
        "0 of 1 pods ready; Pod/web-2-a: container main crashes: 4 restarts, "
        "last exit code 137 (OOMKilled)"
    )
    assert "memory" in found.hint
    assert found.culprit == Culprit(namespace="n", pod="web-2-a", container="main", previous=True)


def test_what_the_last_probe_said() -> None:
    """A container that runs and is not ready is explained by its last probe that failed."""
    new = replica_set("web-1", 1)
    container = {"name": "main", "ready": False, "state": {"running": {}}}
    pod = made("Pod", "web-1-a", new, status={"phase": "Running", "containerStatuses": [container]})
    other = made("Pod", "web-1-b", new, status={"phase": "Succeeded"})
    events = (
        event(pod, "Unhealthy", "Startup probe failed: connection refused", at=1),
        event(pod, "Unhealthy", "Startup probe failed: statuscode: 404", at=2),
        event(other, "Unhealthy", "Liveness probe failed: 500", at=3),
    )

    found = diagnose(
        DEPLOYMENT,
        readiness(DEPLOYMENT),
        Evidence(pods=(pod, other), replica_sets=(new,), events=events),
    )

    assert found.verdict.reason == (
        "0 of 1 pods ready; Pod/web-1-a: container main is not ready: "
        "Startup probe failed: statuscode: 404"
    )


def test_pods_of_the_old_version_do_not_count() -> None:
    """A pod of the version that is being replaced may crash: it is on its way out."""
    old, new = replica_set("web-1", 9), replica_set("web-2", 10)
    pods = (crashing("web-1-a", old), made("Pod", "web-2-a", new, status={"phase": "Pending"}))
    evidence = Evidence(pods=pods, replica_sets=(new, old))

    found = diagnose(DEPLOYMENT, readiness(DEPLOYMENT), evidence)

    assert found.verdict.symptom == ""
    assert found.verdict.reason == "0 of 1 pods ready; Pod/web-2-a: pending"


def test_pods_of_others_do_not_count() -> None:
    """Pods with the same labels but another owner are not looked at."""
    other = made("ReplicaSet", "else", made("Deployment", "else"))
    assert pods_of(DEPLOYMENT, Evidence(pods=(crashing("p", other),), replica_sets=(other,))) == ()


def test_stateful_set_pods_of_the_new_revision_come_first() -> None:
    """Of a StatefulSet the pods of the new revision count, and those that it waits for."""
    owner = made("StatefulSet", "db", status={"updateRevision": "db-2"})
    earlier = {"labels": {"controller-revision-hash": "db-1"}}
    up = {"conditions": [{"type": "Ready", "status": "True"}]}
    old = made("Pod", "db-0", owner, meta=earlier, status=up)
    down = made("Pod", "db-2", owner, meta=earlier)
    new = made("Pod", "db-1", owner, meta={"labels": {"controller-revision-hash": "db-2"}})
    assert pods_of(owner, Evidence(pods=(old,))) == (old,)
    assert pods_of(owner, Evidence(pods=(old, new))) == (new,)
    assert pods_of(owner, Evidence(pods=(old, new, down))) == (new, down)
    at_once = {**owner, "spec": {"podManagementPolicy": "Parallel"}}
    assert pods_of(at_once, Evidence(pods=(old, new, down))) == (new,)


def test_refused_pods() -> None:
    """Without pods the last word of their controller explains, until it has created one."""
    new = replica_set("web-2", 2)
    refused = event(new, "FailedCreate", "exceeded quota: tight", at=1, count=7)
    evidence = Evidence(replica_sets=(new,), events=(refused,))

    found = diagnose(DEPLOYMENT, readiness(DEPLOYMENT), evidence)

    assert found.verdict.symptom == "FailedCreate"
    assert "exceeded quota: tight" in found.verdict.reason
    assert found.events == ("Warning FailedCreate (x7) ReplicaSet/web-2: exceeded quota: tight",)

    better = event(new, "SuccessfulCreate", "created", at=2)
    cured = Evidence(replica_sets=(new,), events=(better, refused))
    assert diagnose(DEPLOYMENT, readiness(DEPLOYMENT), cured).verdict.symptom == ""


def test_last_three_events_oldest_first() -> None:
    """Three events are told, by the cluster's own clock, without control characters."""
    events = tuple(event(DEPLOYMENT, f"R{n}", f"m\x1b[31m{n}\n", at=n) for n in (4, 1, 3, 2))
    found = diagnose(DEPLOYMENT, readiness(DEPLOYMENT), Evidence(events=events))
    assert [text.split()[1] for text in found.events] == ["R2", "R3", "R4"]
    assert "\x1b" not in "".join(found.events)


def test_failed_job_says_how_its_pod_ended() -> None:
    """A failed Job stays failed, and its pod tells the exit code and has the log."""
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
    job = made("Job", "j", status={"conditions": [failed]})
    ended = {"terminated": {"exitCode": 3, "reason": "Error"}}
    container = {"name": "main", "restartCount": 0, "ready": False, "state": ended}
    pod = made("Pod", "j-1", job, status={"phase": "Failed", "containerStatuses": [container]})

    found = diagnose(job, readiness(job), Evidence(pods=(pod,)))

    assert found.verdict.state == "failed"
    assert found.verdict.reason == (
        "BackoffLimitExceeded; Pod/j-1: container main ended with exit code 3"
    )
    assert found.culprit == Culprit(namespace="n", pod="j-1", container="main")
    assert found.hint == "the log of the last pod says why it ends"


def test_crashing_pods_of_a_job_are_for_its_backoff_limit() -> None:
    """A Job whose pod crashes has not failed before it says so itself."""
    job = made("Job", "j", status={"active": 1})
    found = diagnose(job, readiness(job), Evidence(pods=(crashing("j-1", job),)))
    assert found.verdict.after(1e9).state == "progressing"


def test_deadline_keeps_its_end_and_gets_the_pods_reason() -> None:
    """ProgressDeadlineExceeded fails at once; why is what the pod says."""
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    obj = {**DEPLOYMENT, "status": {**DEPLOYMENT["status"], "conditions": [late]}}
    new = replica_set("web-2", 2)
    evidence = Evidence(pods=(crashing("web-2-a", new),), replica_sets=(new,))

    found = diagnose(obj, readiness(obj), evidence)

    assert found.verdict.after(0).state == "failed"
    assert "container main crashes" in found.verdict.reason
    assert "memory" in found.hint


NODES = tuple(
    {"metadata": {"name": name}, "status": {"allocatable": {"cpu": cpu, "memory": memory}}}
    for name, cpu, memory in (("small", "2", "4Gi"), ("large", "8", "16Gi"))
)


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        ({"memory": "20Gi"}, "memory: 20Gi asked for, the largest node large has 16Gi"),
        ({"cpu": "8500m"}, "cpu: 8500m asked for, the largest node large has 8"),
        ({"cpu": "8", "memory": "16Gi"}, ""),
        ({"example.com/gpu": "1"}, "example.com/gpu: 1 asked for, the largest node"),
    ],
)
def test_shortage(requests: dict[str, str], said: str) -> None:
    """What no node can hold is named with the largest node; full nodes are not blamed on size."""
    pod = {"spec": {"containers": [{"resources": {"requests": requests}}]}}
    assert shortage(pod, NODES).startswith(said)
    assert bool(shortage(pod, NODES)) is bool(said)
    assert shortage(pod, None) == ""


def test_claim_without_any_class() -> None:
    """A claim without a class, where none is the default, says which ones there are."""
    claim = made("PersistentVolumeClaim", "c", spec={}, status={"phase": "Pending"})
    classes = ({"metadata": {"name": "fast"}},)
    found = diagnose(claim, readiness(claim), Evidence(classes=classes))
    assert found.verdict.reason == (
        "no storage class is set and none is the default; the cluster has fast"
    )
    assert found.verdict.after(15).state == "failed"
    assert "storage_class" in found.hint


def test_claim_where_classes_may_not_be_listed() -> None:
    """A guest who may not list classes is not told a story about them."""
    claim = made("PersistentVolumeClaim", "c", spec={}, status={"phase": "Pending"})
    found = diagnose(claim, readiness(claim), Evidence(classes=None))
    assert found.verdict.symptom == ""


@pytest.mark.parametrize(
    ("symptom", "text", "cure"),
    [
        ("ImagePullBackOff", 'pull access denied, "401 Unauthorized"', "pull_secrets"),
        ("ImagePullBackOff", "manifest unknown", "tag"),
        ("ImagePullBackOff", "dial tcp: lookup docker.io: no such host", "registry.prefix"),
        ("ImagePullBackOff", "", "pull_secrets"),
        ("CreateContainerConfigError", 'secret "kafka-admin" not found', "credential"),
        ("CrashLoopBackOff", "last exit code 1", "log"),
        ("Unschedulable", "node(s) had untolerated taint {a: b}", "tolerations"),
        ("Unschedulable", "didn't match Pod's node affinity/selector", "node_selector"),
        ("Unschedulable", "didn't match pod anti-affinity rules", "replicas"),
        (
            "FailedCreate",
            'error looking up service account n/x: serviceaccount "x" not found',
            "Acc",
        ),
        ("FailedCreate", 'violates PodSecurity "restricted:latest"', "securityContext"),
        ("FailedCreate", 'failed calling webhook "x": connection refused', "webhook"),
        ("FailedCreate", 'admission webhook "x" denied the request: no', "rule"),
        ("FailedCreate", "failed quota: q: must specify limits.cpu", "limits"),
    ],
)
def test_hints(symptom: str, text: str, cure: str) -> None:
    """Every known cause has a cure that names the parameter or the thing to do."""
    assert cure in hint(symptom, text)


def test_no_hint_for_the_unknown() -> None:
    """Nothing is made up where the cause is not known."""
    assert hint("", "something else") == ""
