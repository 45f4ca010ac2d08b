"""What every pod of the catalogue does that a good Kubernetes citizen does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.catalogue.stacks import DEV, PROD, Values, objects

from infometis_sdk.engine.objects import podspec

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]

# Kubernetes documentation, "Pod Security Standards", restricted: volume types.
_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
NAMES = ("elasticsearch", "grafana", "kafka", "nifi")


@pytest.fixture(params=[DEV, PROD], ids=["dev", "prod"], scope="module")
def rendered(request: pytest.FixtureRequest) -> list[Object]:
    """Give the objects of both stacks in turn."""
    values: Values = request.param
    return objects(values)


def workloads(rendered: list[Object]) -> list[Object]:
    """Return the workloads, of which each service has one."""
    found = [obj for obj in rendered if podspec.pod_spec(obj) is not None]
    assert sorted(obj["metadata"]["name"] for obj in found) == sorted(NAMES)
    return found


def pods(rendered: list[Object]) -> list[Object]:
    """Return the pod specs."""
    return [obj["spec"]["template"]["spec"] for obj in workloads(rendered)]


def containers(rendered: list[Object]) -> Iterator[Object]:
    """Yield every container."""
    for pod in pods(rendered):
        yield from (container for _, container in podspec.containers(pod))


def test_pods_meet_the_restricted_standard(rendered: list[Object]) -> None:
    """Every pod meets each control of the Pod Security Standard `restricted`."""
    for pod in pods(rendered):
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(pod)
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert "sysctls" not in context
        assert all(set(volume) - {"name"} <= _VOLUMES for volume in pod["volumes"])
    for container in containers(rendered):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "privileged" not in context
        assert all("hostPort" not in port for port in container.get("ports", ()))


def test_root_file_systems_are_read_only(rendered: list[Object]) -> None:
    """No container writes to its image; what must be writable is a volume."""
    for container in containers(rendered):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        if not container["name"].startswith("prepare"):
            assert "/tmp" in [mount["mountPath"] for mount in container["volumeMounts"]]  # noqa: S108


def test_volumes_belong_to_the_user_that_runs(rendered: list[Object]) -> None:
    """Volumes are made writable by fsGroup; nothing runs as root to change owners."""
    for pod in pods(rendered):
        context = pod["securityContext"]
        assert context["fsGroup"] == context["runAsGroup"] == context["runAsUser"]
        assert context["fsGroupChangePolicy"] == "OnRootMismatch"


def test_tokens_are_mounted_only_where_they_are_used(rendered: list[Object]) -> None:
    """Only a clustered NiFi talks to the Kubernetes API, with what it needs and no more."""
    roles = [obj for obj in rendered if obj["kind"] == "Role"]
    with_token = [
        obj["metadata"]["name"]
        for obj in workloads(rendered)
        if obj["spec"]["template"]["spec"]["automountServiceAccountToken"]
    ]
    assert with_token == [role["metadata"]["name"] for role in roles]
    for pod in pods(rendered):
        assert pod["enableServiceLinks"] is False
    for account in (obj for obj in rendered if obj["kind"] == "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    for role in roles:
        resources = {resource for rule in role["rules"] for resource in rule["resources"]}
        assert resources == {"leases", "configmaps"}
        assert all("*" not in rule["verbs"] for rule in role["rules"])


def test_accounts_are_of_the_services_own(rendered: list[Object]) -> None:
    """Each pod runs under an account of its service, which exists."""
    accounts = {obj["metadata"]["name"] for obj in rendered if obj["kind"] == "ServiceAccount"}
    assert {pod["serviceAccountName"] for pod in pods(rendered)} == accounts


def test_containers_have_all_three_probes(rendered: list[Object]) -> None:
    """Each main container has startup, readiness and liveness probes, on ports that it declares."""
    for pod in pods(rendered):
        for container in pod["containers"]:
            declared = {port["name"] for port in container["ports"]}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                how = container[probe]
                action = how.get("httpGet") or how.get("tcpSocket")
                assert (action["port"] in declared) if action else how["exec"]["command"]
                assert how["timeoutSeconds"] <= how["periodSeconds"]


def test_starts_get_time(rendered: list[Object]) -> None:
    """A start may take five minutes at least before the kubelet gives up."""
    for pod in pods(rendered):
        for container in pod["containers"]:
            probe = container["startupProbe"]
            assert probe["periodSeconds"] * probe["failureThreshold"] >= 300


def test_no_probe_asks_what_cannot_answer(rendered: list[Object]) -> None:
    """HTTP probes would fail: Kafka has none, Elasticsearch says 401, NiFi checks host and SNI."""
    for obj in workloads(rendered):
        for container in obj["spec"]["template"]["spec"]["containers"]:
            probes = [container[f"{which}Probe"] for which in ("startup", "readiness", "liveness")]
            assert all("httpGet" in probe for probe in probes) == (
                obj["metadata"]["name"] == "grafana"
            )
            assert any("httpGet" in probe for probe in probes) == (
                obj["metadata"]["name"] == "grafana"
            )


def test_memory_is_guaranteed(rendered: list[Object]) -> None:
    """Every container asks for CPU and memory, and its memory limit is what it asks for."""
    for container in containers(rendered):
        resources = container["resources"]
        assert resources["requests"]["cpu"]
        assert resources["requests"]["memory"] == resources["limits"]["memory"]


def test_a_cpu_limit_reaches_every_container() -> None:
    """Where limits are demanded by a quota, a service with cpu_limit has one in each container."""
    values = {name: {"cpu_limit": "3"} for name in NAMES}
    assert [c["resources"]["limits"]["cpu"] for c in containers(objects(values))] == ["3"] * 6


def test_workloads_have_budgets_that_block_no_drain(rendered: list[Object]) -> None:
    """Each workload has a PodDisruptionBudget for its pods that lets one go at a time."""
    budgets = {
        obj["metadata"]["name"]: obj["spec"]
        for obj in rendered
        if obj["kind"] == "PodDisruptionBudget"
    }
    for obj in workloads(rendered):
        budget = budgets.pop(obj["metadata"]["name"])
        assert budget["selector"] == obj["spec"]["selector"]
        assert budget["maxUnavailable"] == 1
        assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert not budgets


def test_replicas_spread_over_nodes_and_zones(rendered: list[Object]) -> None:
    """What may have several replicas spreads them."""
    for obj in workloads(rendered):
        pod = obj["spec"]["template"]["spec"]
        if obj["metadata"]["name"] == "grafana":
            continue
        spread = {c["topologyKey"]: c for c in pod["topologySpreadConstraints"]}
        assert set(spread) == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
        assert all(c["labelSelector"] == obj["spec"]["selector"] for c in spread.values())


def test_data_lies_on_claims_that_outlive_the_workload(rendered: list[Object]) -> None:
    """Each workload is a StatefulSet whose claims stay when it is scaled or deleted."""
    for obj in workloads(rendered):
        assert obj["kind"] == "StatefulSet"
        assert obj["spec"]["persistentVolumeClaimRetentionPolicy"] == {
            "whenDeleted": "Retain",
            "whenScaled": "Retain",
        }
        assert [c["metadata"]["name"] for c in obj["spec"]["volumeClaimTemplates"]] == ["data"]


def test_services_reach_ports_that_exist(rendered: list[Object]) -> None:
    """Each Kubernetes Service points at named ports of the pods that it selects."""
    ports = {
        obj["metadata"]["name"]: {
            port["name"]
            for container in obj["spec"]["template"]["spec"]["containers"]
            for port in container["ports"]
        }
        for obj in workloads(rendered)
    }
    for obj in (obj for obj in rendered if obj["kind"] == "Service"):
        owner = obj["spec"]["selector"]["app.kubernetes.io/name"]
        assert {port["targetPort"] for port in obj["spec"]["ports"]} <= ports[owner]


def test_members_of_a_quorum_are_found_before_they_are_ready(rendered: list[Object]) -> None:
    """The headless Services of what forms clusters publish addresses that are not ready."""
    headless = {
        obj["metadata"]["name"]: obj["spec"].get("publishNotReadyAddresses", False)
        for obj in rendered
        if obj["kind"] == "Service" and obj["spec"].get("clusterIP") == "None"
    }
    assert headless == {
        "elasticsearch-headless": True,
        "grafana-headless": False,
        "kafka-headless": True,
        "nifi-headless": True,
    }
    assert {obj["spec"]["serviceName"] for obj in workloads(rendered)} == set(headless)


def test_mounts_and_volumes_match(rendered: list[Object]) -> None:
    """Every mount names a volume or a claim, and every volume is mounted."""
    for obj in workloads(rendered):
        pod = obj["spec"]["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]} | {"data"}
        mounted = {
            mount["name"]
            for _, container in podspec.containers(pod)
            for mount in container["volumeMounts"]
        }
        assert mounted == volumes


def test_settings_restart_their_readers(rendered: list[Object]) -> None:
    """The pod templates carry a checksum of the settings that they read."""
    for obj in workloads(rendered):
        assert obj["spec"]["template"]["metadata"]["annotations"]["infometis.io/config-checksum"]


def test_images_are_pinned(rendered: list[Object]) -> None:
    """Every container names a version; the same image prepares and runs."""
    for pod in pods(rendered):
        images = {container["image"] for _, container in podspec.containers(pod)}
        assert len(images) == 1
        tag = images.pop().rpartition(":")[2]
        assert tag[0].isdigit()


def test_mounted_secrets_are_for_the_pods_group_only(rendered: list[Object]) -> None:
    """Files of Secrets can be read by the group of the pod and by nobody else."""
    for pod in pods(rendered):
        for volume in pod["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o440


def test_no_secret_is_rendered(rendered: list[Object]) -> None:
    """No Secret object and no literal password is among the rendered objects."""
    assert not [obj for obj in rendered if obj["kind"] == "Secret"]
    for container in containers(rendered):
        for variable in container.get("env", ()):
            if any(word in variable["name"] for word in ("PASSWORD", "CLUSTER_ID", "USERNAME")):
                assert set(variable) == {"name", "valueFrom"}
