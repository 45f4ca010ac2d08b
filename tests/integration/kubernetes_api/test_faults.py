"""What goes wrong on the way: storms, drops, outages, refusals."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from tests.identities import service_account
from tests.integration.kubernetes_api.objects import apply, config_map, write

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk._adapters.transport import Patience
from infometis_sdk.errors import (
    CancelledError,
    ClusterError,
    ConflictError,
    DeadlineError,
    ForbiddenError,
    NotFoundError,
    ThrottledError,
    UnreachableError,
)
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import CancelToken, Run
from infometis_sdk.ports.cluster import Write
from infometis_sdk.testing.fault_proxy import Fault

if TYPE_CHECKING:
    from infometis_sdk._adapters.kubernetes_api import KubernetesCluster
    from infometis_sdk.ports.platform import Access
    from infometis_sdk.testing.fault_proxy import FaultProxy

pytestmark = pytest.mark.integration

SHORT = Patience(first_contact=0.4, established=0.4)
PASSING = [
    Fault(status=429, times=3),
    Fault(status=429, times=1, retry_after="1"),
    Fault(status=500, times=3),
    Fault(status=502, times=3),
    Fault(status=503, times=3),
    Fault(status=504, times=3),
    Fault(drop="before", times=3),
    Fault(drop="after", times=3),
]


def _ids(fault: Fault) -> str:
    return f"{fault.drop or fault.status}{'-retry-after' if fault.retry_after else ''}"


@pytest.mark.parametrize("fault", PASSING, ids=_ids)
@pytest.mark.parametrize("verb", ["apply", "get"])
def test_repeatable_requests_get_through(
    proxy: FaultProxy, namespace: str, run: Run, fault: Fault, verb: str
) -> None:
    """What may be repeated survives every passing fault, and is sent once more for each."""
    body = config_map(namespace, a="1")
    door = open_cluster(proxy.access)
    door.write(apply(body), run)
    proxy.reset()
    proxy.inject(fault)
    began = time.monotonic()
    if verb == "get":
        answer = door.get(ObjectRef.of(body), run)
        assert answer is not None
        assert answer["data"] == {"a": "1"}
    else:
        assert door.write(write(verb, body), run).object["data"] == {"a": "1"}
    assert len(proxy.requests) == fault.times + 1
    if fault.retry_after:
        assert time.monotonic() - began >= int(fault.retry_after)


@pytest.mark.parametrize("fault", [f for f in PASSING if f.status in (429, 503)], ids=_ids)
def test_create_is_repeated_where_nothing_was_done(
    proxy: FaultProxy, namespace: str, run: Run, fault: Fault
) -> None:
    """429 and 503 mean that nothing was done, so a create is sent again."""
    proxy.inject(fault)
    assert open_cluster(proxy.access).write(write("create", config_map(namespace)), run).created


@pytest.mark.parametrize("fault", [f for f in PASSING if f.status not in (429, 503)], ids=_ids)
def test_create_is_not_repeated_in_doubt(
    proxy: FaultProxy, namespace: str, run: Run, fault: Fault
) -> None:
    """A create that may have been done is not sent again; the error says that it is in doubt."""
    proxy.inject(fault)
    with pytest.raises(ClusterError) as caught:
        open_cluster(proxy.access).write(write("create", config_map(namespace)), run)
    assert len(proxy.requests) == 1
    if fault.drop:
        assert "may have been done or not" in caught.value.message


def test_writes_that_were_done_before_the_drop(
    cluster: KubernetesCluster, proxy: FaultProxy, namespace: str, run: Run
) -> None:
    """Where the first one arrived, a guarded write conflicts and a deletion finds nothing."""
    body = config_map(namespace, a="1")
    version = cluster.write(apply(body), run).object["metadata"]["resourceVersion"]
    door = open_cluster(proxy.access)
    changed = config_map(namespace, a="2")
    proxy.inject(Fault(verb="PUT", drop="after"), Fault(verb="DELETE", drop="after"))
    with pytest.raises(ConflictError):
        door.write(write("replace", changed, resource_version=version), run)
    live = cluster.get(ObjectRef.of(body), run)
    assert live is not None
    assert live["data"] == {"a": "2"}
    with pytest.raises(NotFoundError):
        door.write(write("delete", body), run)


def test_json_patch_is_repeated_with_a_precondition_only(
    cluster: KubernetesCluster, proxy: FaultProxy, namespace: str, run: Run
) -> None:
    """A JSON patch could be done twice, so a dropped one is repeated only where it is guarded."""
    body = config_map(namespace, a="1")
    version = cluster.write(apply(body), run).object["metadata"]["resourceVersion"]
    door = open_cluster(proxy.access)
    steps = [{"op": "add", "path": "/data/b", "value": "2"}]
    patch = Write(verb="json-patch", ref=ObjectRef.of(body), body=steps, manager="t")
    proxy.inject(Fault(drop="before"))
    with pytest.raises(UnreachableError):
        door.write(patch, run)
    proxy.inject(Fault(drop="before"))
    done = door.write(evolve(patch, resource_version=version), run)
    assert done.object["data"] == {"a": "1", "b": "2"}


def test_endless_throttling(proxy: FaultProxy, namespace: str, run: Run) -> None:
    """When the patience is used up, endless 429 end in ThrottledError."""
    proxy.inject(Fault(status=429, times=-1))
    with pytest.raises(ThrottledError) as caught:
        open_cluster(proxy.access, SHORT).write(apply(config_map(namespace)), run)
    assert caught.value.status == 429
    assert len(proxy.requests) > 1


@pytest.mark.parametrize("status", [500, 503])
def test_endless_errors_of_the_server(
    proxy: FaultProxy, namespace: str, run: Run, status: int
) -> None:
    """When the patience is used up, the last answer of the server is the error."""
    proxy.inject(Fault(status=status, times=-1, message="etcd is gone"))
    with pytest.raises(ClusterError, match="etcd is gone") as caught:
        open_cluster(proxy.access, SHORT).write(apply(config_map(namespace)), run)
    assert caught.value.status == status
    assert 1 < len(proxy.requests) <= 10


def test_faults_of_the_object_are_not_repeated(proxy: FaultProxy, namespace: str, run: Run) -> None:
    """Server-side apply blames an object with status 500; that is no reason to try again."""
    body = {**config_map(namespace), "dat": {}}
    with pytest.raises(ClusterError, match=r"\.dat"):
        open_cluster(proxy.access).write(apply(body), run)
    assert len(proxy.requests) == 1


def test_outage_in_the_middle(proxy: FaultProxy, namespace: str, run: Run) -> None:
    """An API server that goes away and comes back in the middle of many writes loses none."""
    door = open_cluster(proxy.access)
    started, down = threading.Event(), threading.Event()

    def one(number: int) -> bool:
        if number == 40:
            started.set()
            down.wait(10)
        return door.write(apply(config_map(namespace, f"c{number}")), run).created

    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(one, number) for number in range(200)]
        assert started.wait(30)
        with proxy.outage():
            down.set()
            time.sleep(1)  # the outage itself
        assert len([job.result() for job in jobs]) == 200
    assert len(door.list("v1", "ConfigMap", run, namespace=namespace)) >= 200


def test_established_contact_that_ends(proxy: FaultProxy, namespace: str, run: Run) -> None:
    """A server that stays away is given up on, and from then on quickly."""
    door = open_cluster(proxy.access, Patience(first_contact=0.2, established=1.0))
    door.list("v1", "ConfigMap", run, namespace=namespace)
    with proxy.outage():
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="connection refused"):
            door.list("v1", "ConfigMap", run, namespace=namespace)
        first = time.monotonic() - began
        began = time.monotonic()
        with pytest.raises(UnreachableError):
            door.list("v1", "ConfigMap", run, namespace=namespace)
        assert time.monotonic() - began < first
    assert door.list("v1", "ConfigMap", run, namespace=namespace)


def test_deadline_and_cancel(proxy: FaultProxy, namespace: str) -> None:
    """Retries end with the run: DeadlineError and CancelledError say what was going on."""
    proxy.inject(Fault(status=503, times=-1))
    door = open_cluster(proxy.access)
    with pytest.raises(DeadlineError, match=f"applying ConfigMap/a in namespace {namespace}"):
        door.write(apply(config_map(namespace)), Run.within(0.5))
    token = CancelToken()
    timer = threading.Timer(0.3, token.cancel)
    timer.start()
    with pytest.raises(CancelledError, match="applying ConfigMap/a"):
        door.write(apply(config_map(namespace)), Run.within(30, cancel=token))
    timer.join()


def test_slow_answer_within_the_deadline(proxy: FaultProxy, namespace: str) -> None:
    """A request that hangs beyond the deadline ends with it, not with the read timeout."""
    proxy.inject(Fault(delay=3, times=-1))
    with pytest.raises(DeadlineError, match="does not answer"):
        open_cluster(proxy.access).list("v1", "Pod", Run.within(0.5), namespace=namespace)


def test_forbidden_kind(
    embedded_access: Access, proxy: FaultProxy, namespace: str, run: Run
) -> None:
    """A 403 names who, verb, resource and namespace, and what to ask for."""
    token = service_account(embedded_access, namespace, role="view")
    door = open_cluster(proxy.access_as({"token": token}))
    assert door.list("v1", "ConfigMap", run, namespace=namespace)
    user = f"system:serviceaccount:{namespace}:tester"
    for verb, ask in (
        ("list", lambda: door.list("v1", "Secret", run, namespace=namespace)),
        ("patch", lambda: door.write(apply(_secret(namespace)), run)),
    ):
        with pytest.raises(ForbiddenError) as caught:
            ask()
        assert caught.value.status == 403
        for word in (user, verb, "secrets", namespace):
            assert word in caught.value.message
        assert f"ask the cluster's administrator for the verb {verb!r}" in caught.value.hint
    assert token not in str(caught.value)


def _secret(namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": namespace},
    }


def test_quota_and_pod_security(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """Refusals of admission are ForbiddenError with the cure for each."""
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "q", "namespace": namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    cluster.write(apply(quota), run)
    ref = ObjectRef.of(quota)
    while not ((cluster.get(ref, run) or {}).get("status") or {}).get("hard"):
        run.sleep(0.05, "waiting for the quota")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": namespace},
        "spec": {"containers": [{"name": "c", "image": "example.invalid/c:1"}]},
    }
    error = _refused(cluster, pod, run)
    assert "exceeded quota" in error.message
    assert "ResourceQuota" in error.hint
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    space = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": labels},
    }
    cluster.write(apply(space), run)
    # Admission sees the label a moment later.
    while "violates PodSecurity" not in (error := _refused(cluster, pod, run)).message:
        run.sleep(0.05, "waiting for admission to see the label")
    assert "securityContext" in error.hint


def _refused(cluster: KubernetesCluster, body: dict[str, Any], run: Run) -> ForbiddenError:
    with pytest.raises(ForbiddenError) as caught:
        cluster.write(write("create", body), run)
    return caught.value


def test_terminating_namespace(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """A namespace that is on its way out takes nothing new, and the hint says to wait."""
    body = config_map(namespace)
    body["metadata"]["finalizers"] = ["example.com/stay"]
    cluster.write(apply(body), run)
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    cluster.write(write("delete", space), run)
    with pytest.raises(ForbiddenError, match="being terminated") as caught:
        cluster.write(write("create", config_map(namespace, "b")), run)
    assert "wait" in caught.value.hint
    free = {"metadata": {"finalizers": None}}
    cluster.write(Write(verb="merge-patch", ref=ObjectRef.of(body), body=free, manager="t"), run)
