"""What a stack needs of its cluster, and what probes show; pure."""

from __future__ import annotations

from typing import Any

import pytest

from infometis_sdk.engine.capabilities.facts import Facts
from infometis_sdk.engine.capabilities.probes import (
    PROBED,
    Seen,
    client_objects,
    judge,
    probe_objects,
)
from infometis_sdk.engine.capabilities.requirements import (
    asks_of_the_cluster,
    unencrypted,
    unmet,
)
from infometis_sdk.model import Environment, Policies
from infometis_sdk.model.stack import Manifest

FACTS = Facts(nodes=2, architectures=("amd64",), classes={"standard": True, "slow": False})
DECLARED = {"multi_node": "proved", "load_balancer": "declared"}


def _workload(replicas: int = 1, claim: dict[str, Any] | None = None, **spec: Any) -> Manifest:
    body: dict[str, Any] = {
        "replicas": replicas,
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [], **spec}},
    }
    if claim is not None:
        body["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": claim}]
    meta = {"name": "x"}
    return Manifest(
        object={"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta, "spec": body}
    )


def _messages(manifest: Manifest, facts: Facts = FACTS, **options: Any) -> list[str]:
    states = options.pop("states", DECLARED)
    return [f"{f.level}: {f.message}" for f in unmet([manifest], facts, states, **options)]


def test_volumes_need_a_class_that_is_there() -> None:
    """A missing class and a missing default are refused; what the stack brings counts."""
    assert _messages(_workload(claim={})) == []
    assert _messages(_workload(claim={"storageClassName": ""})) == []
    fast = _workload(claim={"storageClassName": "fast"})
    assert _messages(fast) == ["error: the cluster has no StorageClass 'fast'"]
    assert _messages(fast, brought=["fast"]) == []
    (message,) = _messages(_workload(claim={}), Facts(classes={"slow": False}))
    assert "no StorageClass of the cluster is the default" in message
    assert _messages(fast, Facts()) == []  # who may not look does not judge


def test_pods_that_stay_apart_need_nodes() -> None:
    """More pods than nodes are refused only where they refuse to share, and nodes are known."""
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {"app": "x"}},
    }
    rule = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    apart = {"affinity": {"podAntiAffinity": rule}}
    assert _messages(_workload(2, **apart)) == []
    (message,) = _messages(_workload(3, **apart))
    assert "3 pods that must not share a node, and only 2 nodes for pods" in message
    assert _messages(_workload(3)) == []
    assert _messages(_workload(3, **apart), states={}) == []
    (message,) = _messages(_workload(nodeSelector={"kubernetes.io/arch": "arm64"}))
    assert "no node is arm64" in message


def test_what_only_a_network_can_give() -> None:
    """An address that nobody hands out is refused, a policy that nobody enforces is a warning."""
    service = Manifest(
        object={
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "x"},
            "spec": {"type": "LoadBalancer"},
        }
    )
    policy = Manifest(
        object={
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "x"},
        }
    )
    absent = {"load_balancer": "absent", "network_policy_enforced": "absent"}
    assert [each.split(":")[0] for each in _messages(service, states=absent)] == ["error"]
    assert [each.split(":")[0] for each in _messages(policy, states=absent)] == ["warning"]
    assert _messages(service, states=absent, simulated=True) == []
    assert _messages(service) == []
    assert asks_of_the_cluster([service])
    assert not asks_of_the_cluster([])


@pytest.mark.parametrize("kind", ["CronJob", "Job", "Pod", "ReplicaSet", "ReplicationController"])
def test_whatever_makes_pods_is_worth_a_look(kind: str) -> None:
    """Its pods may not fit a quota, or ask for a node that is not there."""
    obj = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}}
    assert asks_of_the_cluster([Manifest(object=obj, zone="core")])


def _pod(phase: str = "Running", *, ready: bool = True) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"status": {"phase": phase, "podIP": "10.0.0.1", "conditions": conditions}}


def _states(seen: Seen, *, last: bool = False) -> dict[str, str]:
    return {each.name: each.state for each in judge(PROBED, seen, 1.0, last=last)}


def test_probes_prove_by_what_becomes_of_them() -> None:
    """Each proof has its own evidence; what is not seen in time is absent."""
    assert _states(Seen()) == {}
    assert set(_states(Seen(), last=True).values()) == {"absent"}
    balanced = {"status": {"loadBalancer": {"ingress": [{"ip": "10.9.9.9"}]}}}
    seen = Seen(
        pods={"open": _pod(), "closed": _pod(), "client": _pod("Succeeded", ready=False)},
        claims={"volume": {"status": {"phase": "Bound"}, "spec": {"storageClassName": "s"}}},
        services={"balancer": balanced},
        answers=True,
    )
    assert _states(seen) == dict.fromkeys(PROBED, "proved")


def test_a_policy_that_lets_through_is_disproved_at_once() -> None:
    """The client reached what was forbidden: nothing need be waited for."""
    seen = Seen(pods={"open": _pod(), "closed": _pod(), "client": _pod("Failed", ready=False)})
    assert _states(seen)["network_policy_enforced"] == "absent"


def test_the_client_comes_when_both_servers_are_there() -> None:
    """Otherwise a server that is not up would look like a policy."""
    assert client_objects(Seen(pods={"open": _pod(), "closed": _pod(ready=False)}), "i") == []
    (client,) = client_objects(Seen(pods={"open": _pod(), "closed": _pod()}), "i")
    assert client["metadata"]["name"] == "client"


@pytest.mark.parametrize("name", PROBED)
def test_probes_ask_for_no_privilege_and_end_by_themselves(name: str) -> None:
    """Every pod is restricted, bounded in time, and of the image that was named."""
    objects = probe_objects([name], image="mine:1", node_port=80)
    assert objects
    for pod in (each["spec"] for each in objects if each["kind"] == "Pod"):
        assert pod["activeDeadlineSeconds"] > 0
        assert pod["securityContext"]["runAsNonRoot"]
        (container,) = pod["containers"]
        assert container["image"] == "mine:1"
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize(
    ("state", "mesh", "refused"),
    [
        ("proved", "", False),
        ("declared", "", True),
        ("unknown", "", True),
        ("absent", "", True),
        ("absent", "linkerd", False),
    ],
)
def test_required_encryption_wants_a_proof_or_a_mesh(
    state: str,
    mesh: str,
    refused: bool,  # noqa: FBT001
) -> None:
    """What a platform says of itself is no proof; where nothing is required, nothing is refused."""
    states = {"encrypted_transport": state}
    strict = Environment("prod", policies=Policies(encryption="required", mesh=mesh))
    found = unencrypted(strict, states)
    assert refused == (found is not None)
    assert unencrypted(Environment("dev"), states) is None
    if found is not None:
        assert ("policies.encryption", state) == (found.path, found.found)


def _scaler(*metrics: dict[str, Any]) -> Manifest:
    spec: dict[str, Any] = {"metrics": list(metrics)} if metrics else {}
    kind = "HorizontalPodAutoscaler"
    obj = {"apiVersion": "autoscaling/v2", "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    return Manifest(object=obj, zone="border")


@pytest.mark.parametrize("simulated", [True, False])
def test_autoscalers_need_measurements(*, simulated: bool) -> None:
    """Where nothing measures pods they are refused, simulated or not; other metrics are not ours.

    Where it is not known, nobody judges.
    """
    absent = {"metrics": "absent"}
    by_cpu = _scaler({"type": "Resource", "resource": {"name": "cpu"}})
    assert asks_of_the_cluster([by_cpu])
    (message,) = _messages(by_cpu, states=absent, simulated=simulated)
    assert message.startswith("error: nothing in this cluster measures cpu and memory")
    # Without a word Kubernetes goes by cpu.
    assert len(_messages(_scaler(), states=absent)) == 1
    assert _messages(_scaler({"type": "External"}), states=absent) == []
    for state in ("unknown", "declared", "proved"):
        assert _messages(by_cpu, states={"metrics": state}) == []
