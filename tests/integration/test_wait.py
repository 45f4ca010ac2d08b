"""Waiting on the genuine API server, with simulated nodes."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk._adapters.transport import Patience
from infometis_sdk.engine.objects.marks import STACK
from infometis_sdk.engine.readiness.tracking import Timing
from infometis_sdk.engine.status import status
from infometis_sdk.engine.wait import wait
from infometis_sdk.errors import CancelledError, ClusterError, NotReadyError
from infometis_sdk.model.environment import Environment
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import CancelToken, Event, Run
from infometis_sdk.model.stack import Manifest, ManifestSet
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from infometis_sdk.model.report import HealthItem, HealthReport
    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.ports.platform import Access

pytestmark = pytest.mark.integration

# What would be 15 to 60 s for a user; nothing here depends on the exact length.
FAST = Timing(patience=0.1, settle=0.5, explain=0.5, interval=0.3, heartbeat=1)


@pytest.fixture(scope="module")
def cluster(embedded_access: Access) -> Cluster:
    """Give the cluster of this run."""
    return open_cluster(embedded_access)


class Stack:
    """Objects in a namespace of their own, applied as the engine would."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.manifests: list[Manifest] = []
        self._apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})

    def add(self, obj: dict[str, Any], service: str = "app") -> ObjectRef:
        """Apply an object and want it."""
        meta = {
            "namespace": self.namespace,
            **obj["metadata"],
            "labels": {STACK: self.namespace},
        }
        whole = {**obj, "metadata": meta}
        self.manifests.append(Manifest(object=whole, service=service))
        self._apply(whole)
        return ObjectRef.of(whole)

    def _apply(self, obj: Mapping[str, Any]) -> Mapping[str, Any]:
        write = Write(verb="apply", ref=ObjectRef.of(obj), body=obj, manager="t", force=True)
        return self.cluster.write(write, Run.within(30)).object

    def set(self, needs: Mapping[str, tuple[str, ...]] | None = None) -> ManifestSet:
        """Return what is wanted."""
        order = tuple(dict.fromkeys(m.service for m in self.manifests))
        return ManifestSet(
            stack_id=self.namespace,
            environment=Environment("test"),
            namespace=self.namespace,
            manifests=tuple(self.manifests),
            order=order,
            needs=needs or {},
        )

    def wait(
        self,
        run: Run | None = None,
        *,
        needs: Mapping[str, tuple[str, ...]] | None = None,
        timing: Timing = FAST,
        **options: Any,
    ) -> HealthReport:
        """Wait as the engine would."""
        return wait(
            self.cluster,
            self.set(needs),
            run or Run.within(60),
            simulated=True,
            timing=timing,
            **options,
        )

    def fails(self, **options: Any) -> NotReadyError:
        """Wait in vain."""
        with pytest.raises(NotReadyError) as caught:
            self.wait(**options)
        return caught.value


@pytest.fixture
def stack(cluster: Cluster, namespace_name: str) -> Iterator[Stack]:
    """Give an empty stack in a namespace of its own."""
    made = Stack(cluster, namespace_name)
    yield made
    ref = ObjectRef(api_version="v1", kind="Namespace", name=namespace_name)
    cluster.write(Write(verb="delete", ref=ref), Run.within(30))


def pod_spec(**extra: Any) -> dict[str, Any]:
    """Make a pod's spec."""
    requests = extra.pop("requests", {"cpu": "10m", "memory": "16Mi"})
    container = {
        "name": "main",
        "image": "example/app:1.0",
        "resources": {"requests": requests, "limits": requests},
        "readinessProbe": {"tcpSocket": {"port": 80}},
    }
    return {"containers": [container], **extra}


def workload(kind: str, name: str, *, replicas: int = 1, **extra: Any) -> dict[str, Any]:
    """Make a Deployment or the like."""
    labels = {"app": name}
    spec: dict[str, Any] = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod_spec(**extra)},
    }
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def job(name: str, **spec: Any) -> dict[str, Any]:
    """Make a Job."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "template": {"spec": pod_spec(restartPolicy="Never")},
            **spec,
        },
    }


def claim(name: str, **spec: Any) -> dict[str, Any]:
    """Make a PersistentVolumeClaim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            **spec,
        },
    }


def item(report: HealthReport, ref: ObjectRef) -> HealthItem:
    """Return what a report says of an object."""
    return next(i for i in report.items if i.ref == ref)


def test_workloads_become_ready(stack: Stack) -> None:
    """Deployment, StatefulSet, DaemonSet, Job, PVC, Service and ConfigMap become ready."""
    stack.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}})
    stack.add(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "d"},
            "spec": {"selector": {"app": "d"}, "ports": [{"port": 80, "name": "http"}]},
        }
    )
    deployment = stack.add(workload("Deployment", "d", replicas=3))
    stack.add(workload("StatefulSet", "s", replicas=3))
    daemon = workload("DaemonSet", "n")
    del daemon["spec"]["replicas"]
    stack.add(daemon)
    stack.add(job("j"))
    stack.add(claim("v"))

    report = stack.wait()

    assert report.ready
    assert {i.state for i in report.items} == {"ready (simulated)"}
    assert item(report, deployment).reason == "3 of 3 pods ready"


def test_unschedulable(stack: Stack) -> None:
    """A pod that no node can hold fails early; the reason names the short resource and a node."""
    ref = stack.add(workload("Deployment", "big", requests={"cpu": "10m", "memory": "64Ti"}), "big")
    other = stack.add(workload("Deployment", "small"), "small")

    error = stack.fails()

    bad = item(error.report, ref)
    assert bad.state == "failed"
    assert "Insufficient memory" in bad.reason
    assert "memory: 64Ti asked for, the largest node" in bad.reason
    assert bad.hint == "lower cpu or memory of the service, or add nodes"
    assert any("FailedScheduling" in event for event in bad.events)
    assert error.message.startswith("service big: Deployment/big failed: 0 of 1 pods ready")
    assert item(error.report, other).state == "ready (simulated)"


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_quota_exceeded(stack: Stack, kind: str) -> None:
    """Pods that a quota refuses make the workload fail, with the quota's words and the cure."""
    quota = stack.add(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "tight"},
            "spec": {"hard": {"limits.memory": "32Mi"}},
        },
        "",
    )
    run = Run.within(30)
    while not ((stack.cluster.get(quota, run) or {}).get("status") or {}).get("hard"):
        run.sleep(0.05, "waiting for the quota to count")
    ref = stack.add(workload(kind, "w", requests={"cpu": "10m", "memory": "64Mi"}))

    bad = item(stack.fails().report, ref)

    assert bad.state == "failed"
    assert "exceeded quota: tight" in bad.reason
    assert "policies.resource_quota" in bad.hint
    assert any("FailedCreate" in event for event in bad.events)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "Job"])
def test_missing_service_account(stack: Stack, kind: str) -> None:
    """A ServiceAccount that is not there is named."""
    if kind == "Job":
        obj = job("w")
        obj["spec"]["template"]["spec"]["serviceAccountName"] = "ghost"
    else:
        obj = workload(kind, "w", serviceAccountName="ghost")
    ref = stack.add(obj)

    bad = item(stack.fails().report, ref)

    assert bad.state == "failed"
    assert 'serviceaccount "ghost" not found' in bad.reason
    assert "ServiceAccount" in bad.hint


def test_unknown_storage_class(stack: Stack) -> None:
    """A claim whose StorageClass is not there fails early and lists the classes that are."""
    ref = stack.add(claim("v", storageClassName="ghost"))

    bad = item(stack.fails().report, ref)

    assert bad.state == "failed"
    assert 'storageclass "ghost" not found; the cluster has ' in bad.reason
    assert "storage_class" in bad.hint


def test_pod_waits_for_unknown_storage_class(stack: Stack) -> None:
    """A StatefulSet whose claim template names an unknown StorageClass says so."""
    obj = workload("StatefulSet", "w")
    template = claim("data", storageClassName="ghost")
    obj["spec"]["volumeClaimTemplates"] = [
        {"metadata": template["metadata"], "spec": template["spec"]}
    ]
    ref = stack.add(obj)

    bad = item(stack.fails().report, ref)

    assert "PersistentVolumeClaim/data-w-0: storageclass" in bad.reason
    assert "storage_class" in bad.hint


def test_failing_job(stack: Stack) -> None:
    """A Job past its deadline has failed, whatever its pods do."""
    ref = stack.add(
        {
            **job("j"),
            "spec": {
                **job("j", activeDeadlineSeconds=1)["spec"],
                # No node takes the pod, so it never completes.
                "template": {"spec": pod_spec(restartPolicy="Never", nodeSelector={"no": "node"})},
            },
        }
    )

    bad = item(stack.fails(timing=Timing(interval=0.3)).report, ref)

    assert bad.state == "failed"
    assert "DeadlineExceeded" in bad.reason


def test_running_job_is_not_ready(stack: Stack) -> None:
    """A Job that runs is waited for, until the time is used up; the error says which it was."""
    spec = pod_spec(restartPolicy="Never", schedulingGates=[{"name": "example.com/hold"}])
    ref = stack.add(job("j", template={"spec": spec}))

    error = stack.fails(run=Run.within(2))

    assert re.search(r"timed out after \d+ s, the time for the whole verb", error.message)
    assert item(error.report, ref).state == "progressing"


def test_missing_object(stack: Stack) -> None:
    """An object that somebody deleted is called missing, after a GET by name."""
    ref = stack.add(workload("Deployment", "d"))
    stack.add(workload("Deployment", "e"))
    stack.cluster.write(Write(verb="delete", ref=ref), Run.within(30))

    bad = item(stack.fails().report, ref)

    assert (bad.state, bad.reason) == ("missing", "not in the cluster")


def test_label_taken_away(stack: Stack) -> None:
    """An object without our label is found by name and not called missing."""
    for name in ("a", "b"):
        ref = stack.add(workload("Deployment", name))
    patch = {"metadata": {"labels": {STACK: None}}}
    stack.cluster.write(Write(verb="merge-patch", ref=ref, body=patch), Run.within(30))

    assert stack.wait().ready


def test_terminating_object(stack: Stack) -> None:
    """What is held in deletion by a finalizer names it."""
    ref = stack.add(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "c", "finalizers": ["example.com/hold"]},
        }
    )
    stack.cluster.write(Write(verb="delete", ref=ref), Run.within(30))

    bad = item(stack.fails().report, ref)
    patch: dict[str, Any] = {"metadata": {"finalizers": None}}
    stack.cluster.write(Write(verb="merge-patch", ref=ref, body=patch), Run.within(30))

    assert bad.state == "terminating"
    assert "held by finalizers example.com/hold" in bad.reason
    assert bad.hint


def test_needs_are_waited_for_and_dependants_skipped(stack: Stack) -> None:
    """Dependants of a failed service are skipped, without symptoms of their own; others go on."""
    stack.add(workload("Deployment", "kafka", nodeSelector={"no": "node"}), "kafka")
    late = stack.add(workload("Deployment", "nifi", nodeSelector={"no": "node"}), "nifi")
    last = stack.add(workload("Deployment", "ui", nodeSelector={"no": "node"}), "ui")
    free = stack.add(workload("Deployment", "grafana"), "grafana")
    events: list[Event] = []

    error = stack.fails(
        run=Run.within(60, emit=events.append), needs={"nifi": ("kafka",), "ui": ("nifi",)}
    )

    assert error.message.startswith("service kafka: Deployment/kafka failed")
    assert item(error.report, late).state == "skipped"
    assert item(error.report, late).reason == "it needs kafka, which failed"
    assert item(error.report, last).reason == "it needs nifi, which was skipped"
    assert item(error.report, free).state == "ready (simulated)"
    told = {(e.subject, e.state) for e in events if e.name == "wait service"}
    assert {("kafka", "failed"), ("nifi", "skipped"), ("grafana", "finished")} <= told


def test_scope(stack: Stack) -> None:
    """A wait for some services waits for no other, not even for what they need."""
    stack.add(workload("Deployment", "kafka", nodeSelector={"no": "node"}), "kafka")
    ref = stack.add(workload("Deployment", "nifi"), "nifi")

    report = stack.wait(services=("nifi",), needs={"nifi": ("kafka",)})

    assert [i.ref for i in report.items] == [ref]
    assert report.ready


def test_heartbeat_names_blockers(stack: Stack) -> None:
    """While nothing moves the user hears what is waited for, three names at most."""
    for number in range(5):
        stack.add(workload("Deployment", f"d{number}", nodeSelector={"no": "node"}))
    beats: list[Event] = []
    enough = CancelToken()

    def hear(event: Event) -> None:
        if event.name == "wait" and "0 of 1 pods ready" in event.detail:
            beats.append(event)
            enough.cancel()

    with pytest.raises(CancelledError):
        stack.wait(Run.within(60, emit=hear, cancel=enough), timing=Timing(heartbeat=0.5))

    assert beats[0].detail.startswith("waiting for Deployment/d0: ")
    assert beats[0].detail.endswith("; and 2 more")
    assert beats[0].detail.count("Deployment/") == 3


def test_cancel(stack: Stack) -> None:
    """A cancel ends the wait."""
    stack.add(workload("Deployment", "d", nodeSelector={"no": "node"}))
    token = CancelToken()

    def stop(event: Event) -> None:
        if event.name == "wait service":
            token.cancel()

    with pytest.raises(CancelledError):
        stack.wait(Run.within(30, emit=stop, cancel=token))


def test_old_status_is_no_answer(stack: Stack) -> None:
    """A change is waited for: the good status of the older generation does not count."""
    ref = stack.add(workload("Deployment", "d"))
    stack.wait()
    stack.manifests.clear()
    stack.add(workload("Deployment", "d", nodeSelector={"no": "node"}))

    assert item(stack.fails().report, ref).state == "failed"


def test_a_rollback_waits_for_a_pod_that_nobody_replaces(stack: Stack) -> None:
    """A set that goes pod by pod waits for a broken one of an earlier version: that is said."""
    good = workload("StatefulSet", "db")
    broken = workload("StatefulSet", "db", nodeSelector={"no": "node"})
    ref = stack.add(good)
    stack.wait()
    for obj in (broken, good):
        stack.manifests.clear()
        stack.add(obj)
        found = item(stack.fails().report, ref)
        assert "Pod/db-0: cannot be scheduled" in found.reason
    assert found.hint.startswith("Pod/db-0 is of an earlier version")
    pod = ObjectRef(api_version="v1", kind="Pod", namespace=stack.namespace, name="db-0")
    stack.cluster.write(Write(verb="delete", ref=pod), Run.within(30))
    assert stack.wait().ready


def test_suspended(stack: Stack) -> None:
    """A paused rollout ends the wait as suspended: nobody but its owner will move it."""
    obj = workload("Deployment", "d")
    obj["spec"]["paused"] = True
    ref = stack.add(obj)

    report = stack.wait()

    assert item(report, ref).state == "suspended"
    assert not report.ready


def test_clock_skew(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local clock that is a day off changes nothing."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 86_400)
    stack.add(workload("Deployment", "d"))
    assert stack.wait().ready

    ref = stack.add(workload("Deployment", "e", nodeSelector={"no": "node"}))
    assert item(stack.fails().report, ref).state == "failed"


def test_status(stack: Stack) -> None:
    """Status says in one look what is ready, what is missing and what is on its way, with cures."""
    good = stack.add(workload("Deployment", "good"))
    stack.wait()
    bad = stack.add(workload("Deployment", "bad", nodeSelector={"no": "node"}), "bad")
    gone = stack.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "gone"}})
    stack.cluster.write(Write(verb="delete", ref=gone), Run.within(30))
    stack.fails(services=("bad",))  # until the scheduler has spoken

    report = status(stack.cluster, stack.set(), Run.within(30), simulated=True)

    assert item(report, good).state == "ready (simulated)"
    assert item(report, gone).state == "missing"
    assert item(report, bad).state == "progressing"
    assert "cannot be scheduled" in item(report, bad).reason
    assert item(report, bad).hint


def test_api_server_restarts(tmp_path: Path, embedded_access: Access) -> None:
    """An API server that hangs and is killed while we wait, and comes back, ends no wait."""
    del embedded_access  # the binaries are there then
    from tests.conftest import cache_dir

    from infometis_platform_embedded import Embedded
    from infometis_platform_embedded.layout import Layout
    from infometis_platform_embedded.life import parts
    from infometis_platform_embedded.platform import EmbeddedPlatform
    from infometis_sdk.ports.platform import PlatformContext

    context = PlatformContext(
        cluster="restart", state_dir=tmp_path / "state", cache_dir=cache_dir()
    )
    platform = EmbeddedPlatform(Embedded(nodes=1, lifetime="ephemeral"), context)
    try:
        access = platform.ensure(Run.within(120))
        cluster = open_cluster(access)
        stack = Stack(cluster, "restart")
        obj = workload("Deployment", "d")
        obj["spec"]["template"]["spec"]["schedulingGates"] = [{"name": "example.com/hold"}]
        ref = stack.add(obj)
        server = parts(Layout(context.state_dir))["kube-apiserver"]
        hung, killed = threading.Event(), threading.Event()

        def disturb(event: Event) -> None:
            """Let the API server hang, and once the user was told so, kill it."""
            if event.name != "wait":
                return
            if not hung.is_set():
                hung.set()
                os.kill(server["pid"], signal.SIGSTOP)
            elif "the API server does not answer" in event.detail and not killed.is_set():
                killed.set()
                os.kill(server["pid"], signal.SIGKILL)
                threading.Thread(target=release, daemon=True).start()

        def release() -> None:
            """Open the gate as soon as the API server answers again."""
            body = {"spec": {"template": {"spec": {"schedulingGates": None}}}}
            run = Run.within(150)
            while True:
                try:
                    cluster.write(Write(verb="merge-patch", ref=ref, body=body), run)
                except ClusterError:  # refuses everybody at first
                    run.sleep(0.2, "waiting for the API server")
                else:
                    return

        # Its transport gives up at once, so that it is the wait that goes on.
        impatient = Patience(first_contact=0.1, established=0.1, connect=1, first_read=2, read=2)
        stack.cluster = open_cluster(access, impatient)
        report = stack.wait(Run.within(200, emit=disturb), timing=Timing(heartbeat=1))
    finally:
        platform.destroy(Run.within(60))

    assert killed.is_set()
    assert report.ready
