"""What a user sees of workloads on the embedded platform."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.platform_embedded.helpers import eventually

from infometis_platform_embedded.daemon.refusal import REASON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infometis_sdk.ports.platform import Access

pytestmark = pytest.mark.integration

POD = {"containers": [{"name": "main", "image": "example.invalid/main:1"}]}


class Cluster:
    """The typed clients of the test cluster, in one namespace."""

    def __init__(self, access: Access, namespace: str) -> None:
        from kubernetes import client, config

        self.connection: Any = config.new_client_from_config(
            str(access.kubeconfig), context=access.context
        )
        self.namespace = namespace
        self.core: Any = client.CoreV1Api(self.connection)
        self.apps: Any = client.AppsV1Api(self.connection)
        self.batch: Any = client.BatchV1Api(self.connection)
        self.storage: Any = client.StorageV1Api(self.connection)

    def claim(self, name: str, **spec: Any) -> None:
        """Make a claim of 1Gi."""
        body = {
            "metadata": {"name": name},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                **spec,
            },
        }
        self.core.create_namespaced_persistent_volume_claim(self.namespace, body)

    def read_claim(self, name: str) -> Any:
        """Read a claim."""
        return self.core.read_namespaced_persistent_volume_claim(name, self.namespace)

    def pod(self, name: str, spec: Any = None, **annotations: str) -> None:
        """Make a pod; its annotations are the words of the simulation."""
        meta = {
            "name": name,
            "annotations": {
                f"embedded.infometis.io/{key}": value for key, value in annotations.items()
            },
        }
        body = {"metadata": meta, "spec": spec or POD}
        self.core.create_namespaced_pod(self.namespace, body)

    def read_pod(self, name: str) -> Any:
        """Read a pod."""
        return self.core.read_namespaced_pod(name, self.namespace)


@pytest.fixture
def cluster(embedded_access: Access, namespace_name: str) -> Iterator[Cluster]:
    """Give the cluster with a namespace of the test's own."""
    made = Cluster(embedded_access, namespace_name)
    made.core.create_namespace({"metadata": {"name": namespace_name}})
    eventually(lambda: made.core.list_namespaced_service_account(namespace_name).items)
    yield made
    made.core.delete_namespace(namespace_name)
    made.connection.close()


def _workload(replicas: int, **more: Any) -> dict[str, Any]:
    labels = {"app": "web"}
    spread = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": labels},
    }
    template = {
        "metadata": {"labels": labels},
        "spec": POD | {"topologySpreadConstraints": [spread]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **more}
    return {"metadata": {"name": "web"}, "spec": spec}


def _is(read: Callable[[], int], wanted: int) -> bool:
    return read() == wanted


def test_a_deployment_is_ready_and_scales(cluster: Cluster) -> None:
    """Pods become ready within seconds, spread over the zones, and follow the scale."""
    cluster.apps.create_namespaced_deployment(cluster.namespace, _workload(6))

    def ready() -> int:
        found = cluster.apps.read_namespaced_deployment("web", cluster.namespace)
        return found.status.ready_replicas or 0

    eventually(lambda: ready() == 6)
    pods = cluster.core.list_namespaced_pod(cluster.namespace).items
    on = [pod.spec.node_name for pod in pods]
    assert sorted(on.count(node) for node in set(on)) == [2, 2, 2]
    for replicas in (12, 3):
        body = {"spec": {"replicas": replicas}}
        cluster.apps.patch_namespaced_deployment_scale("web", cluster.namespace, body)
        eventually(partial(_is, ready, replicas))


def test_a_job_completes(cluster: Cluster) -> None:
    """A Job whose pods are simulated completes."""
    template = {"spec": POD | {"restartPolicy": "Never"}}
    body = {"metadata": {"name": "once"}, "spec": {"completions": 2, "template": template}}
    cluster.batch.create_namespaced_job(cluster.namespace, body)
    eventually(
        lambda: cluster.batch.read_namespaced_job("once", cluster.namespace).status.completion_time
    )


def test_a_job_fails_when_told(cluster: Cluster) -> None:
    """A Job whose pods are told to fail uses up its tries and fails."""
    told = {"annotations": {"embedded.infometis.io/outcome": "fail"}}
    template = {"metadata": told, "spec": POD | {"restartPolicy": "Never"}}
    body = {"metadata": {"name": "never"}, "spec": {"backoffLimit": 0, "template": template}}
    cluster.batch.create_namespaced_job(cluster.namespace, body)

    def failed() -> bool:
        found = cluster.batch.read_namespaced_job("never", cluster.namespace)
        return any(each.type == "Failed" for each in found.status.conditions or ())

    eventually(failed)


def test_a_stateful_set_gets_its_volumes(cluster: Cluster) -> None:
    """Each pod of a StatefulSet gets a volume of the default class, and they roll in order."""
    template = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    body = _workload(3, serviceName="web", volumeClaimTemplates=[template])
    cluster.apps.create_namespaced_stateful_set(cluster.namespace, body)

    def status() -> Any:
        return cluster.apps.read_namespaced_stateful_set("web", cluster.namespace).status

    eventually(lambda: status().ready_replicas == 3)
    claims = cluster.core.list_namespaced_persistent_volume_claim(cluster.namespace).items
    assert [claim.status.phase for claim in claims] == ["Bound"] * 3
    assert {claim.spec.storage_class_name for claim in claims} == {"standard"}
    change = {"spec": {"template": {"metadata": {"annotations": {"changed": "yes"}}}}}
    cluster.apps.patch_namespaced_stateful_set("web", cluster.namespace, change)
    eventually(lambda: status().current_revision == status().update_revision)
    assert status().ready_replicas == 3


def test_a_claim_waits_for_its_consumer_and_goes_with_its_volume(cluster: Cluster) -> None:
    """A claim is bound when a pod uses it, grows on demand, and takes its volume along."""
    cluster.claim("data")
    with pytest.raises(AssertionError):
        eventually(lambda: cluster.read_claim("data").status.phase != "Pending", seconds=1.5)
    mount = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    cluster.pod("user", POD | {"volumes": [mount]})
    eventually(lambda: cluster.read_claim("data").status.phase == "Bound")
    eventually(lambda: cluster.read_pod("user").status.phase == "Running")
    volume = cluster.read_claim("data").spec.volume_name

    wanted = {"spec": {"resources": {"requests": {"storage": "5Gi"}}}}
    cluster.core.patch_namespaced_persistent_volume_claim("data", cluster.namespace, wanted)
    eventually(lambda: cluster.read_claim("data").status.capacity["storage"] == "5Gi")
    assert cluster.core.read_persistent_volume(volume).spec.capacity["storage"] == "5Gi"

    cluster.core.delete_namespaced_pod("user", cluster.namespace)
    cluster.core.delete_namespaced_persistent_volume_claim("data", cluster.namespace)

    def volumes() -> set[str]:
        return {each.metadata.name for each in cluster.core.list_persistent_volume().items}

    eventually(lambda: volume not in volumes())


def test_a_class_of_the_users_own_works(cluster: Cluster) -> None:
    """A StorageClass that binds at once and retains its volumes does both."""
    name = cluster.namespace
    body = {
        "metadata": {"name": name},
        "provisioner": "embedded.infometis.io/simulated",
        "reclaimPolicy": "Retain",
        "volumeBindingMode": "Immediate",
    }
    cluster.storage.create_storage_class(body)
    try:
        cluster.claim("data", storageClassName=name)
        eventually(lambda: cluster.read_claim("data").status.phase == "Bound")
        volume = cluster.read_claim("data").spec.volume_name
        cluster.core.delete_namespaced_persistent_volume_claim("data", cluster.namespace)
        eventually(lambda: cluster.core.read_persistent_volume(volume).status.phase == "Released")
        cluster.core.delete_persistent_volume(volume)
    finally:
        cluster.storage.delete_storage_class(name)


@pytest.mark.parametrize(
    ("outcome", "phase", "reason"),
    [
        ("crash-loop", "Running", "CrashLoopBackOff"),
        ("image-pull", "Pending", "ImagePullBackOff"),
        ("not-ready", "Running", None),
    ],
)
def test_a_pod_fails_as_told(
    cluster: Cluster, outcome: str, phase: str, reason: str | None
) -> None:
    """The annotation makes a pod fail in each of the ways in which pods fail."""
    cluster.pod("told", outcome=outcome)
    eventually(lambda: cluster.read_pod("told").status.container_statuses)
    status = cluster.read_pod("told").status
    assert status.phase == phase
    waiting = status.container_statuses[0].state.waiting
    assert (waiting and waiting.reason) == reason
    assert not status.container_statuses[0].ready
    eventually(
        lambda: any(
            event.reason == "Failed" and event.involved_object.name == "told"
            for event in cluster.core.list_namespaced_event(cluster.namespace).items
        )
    )
    cluster.core.delete_namespaced_pod("told", cluster.namespace)
    eventually(lambda: not cluster.core.list_namespaced_pod(cluster.namespace).items)


def test_what_is_simulated_says_so(cluster: Cluster) -> None:
    """Who asks for the logs of a pod is told at once why there are none."""
    from kubernetes.client.exceptions import ApiException

    cluster.pod("silent")
    eventually(lambda: cluster.read_pod("silent").status.phase == "Running")
    with pytest.raises(ApiException) as caught:
        cluster.core.read_namespaced_pod_log("silent", cluster.namespace, _request_timeout=5)
    assert REASON in str(caught.value.body)
