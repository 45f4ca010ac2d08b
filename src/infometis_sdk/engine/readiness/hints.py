"""The cure for what keeps a workload from being ready."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects.quantity import parse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

__all__ = (
    "Object",
    "hint",
    "node_of",
    "shortage",
)

Object = Mapping[str, Any]

# The first pattern that is found in the symptom and the reason decides. Texts of the scheduler,
# the kubelet, admission and the controllers as Kubernetes 1.36 writes them.
_CURES: tuple[tuple[str, str], ...] = (
    (
        r"ImagePullBackOff.*(unauthorized|denied|forbidden|authentication|40[13])",
        "the registry wants credentials: name a pull secret under policies.registry.pull_secrets",
    ),
    (
        r"ImagePullBackOff.*(not found|manifest unknown|does not exist)",
        "check the name, tag and digest of the image, and that the mirror holds it",
    ),
    (
        r"ImagePullBackOff.*(no such host|timeout|refused|unreachable|dial tcp|x509|EOF)",
        "the node cannot reach the registry: load the image, or set policies.registry.prefix",
    ),
    (
        r"ImagePullBackOff",
        "check the image's name, policies.registry.pull_secrets, and that nodes reach the registry",
    ),
    (r"ErrImageNeverPull", "load the image into the cluster, or let imagePullPolicy pull it"),
    (r"InvalidImageName", "write the image as registry/repository:tag"),
    (
        r"CreateContainerConfigError.*secret \"?[^\" ]+\"? not found",
        "the Secret that the container reads is not there: create it, or declare a credential",
    ),
    (
        r"CreateContainerConfigError.*runAsNonRoot",
        "the image runs as root: set runAsUser to a number, or take another image",
    ),
    (
        r"CreateContainerConfigError",
        "the container refers to a ConfigMap, Secret or key that is not there",
    ),
    (
        r"CrashLoopBackOff.*(OOMKilled|exit code 137)",
        "the container was killed, most often for lack of memory: raise its memory",
    ),
    (r"CrashLoopBackOff", "the log of the container says why it ends"),
    (
        r"Unschedulable.*PersistentVolumeClaim",
        "its volume is not made: check the storage class and that the cluster has a provisioner",
    ),
    (
        r"Unschedulable.*untolerated taint",
        "tolerate the taint (parameter tolerations), or free a node of it",
    ),
    (
        r"Unschedulable.*(node affinity|node selector|nodeSelector)",
        "label a node, or change the parameter node_selector",
    ),
    (
        r"Unschedulable.*(anti-affinity|topology spread)",
        "the pods must lie on different nodes: add nodes, or lower the replicas",
    ),
    (r"Unschedulable.*Insufficient", "lower cpu or memory of the service, or add nodes"),
    (r"Unschedulable.*no nodes available", "the cluster has no node: start one"),
    (r"Unschedulable", "no node takes the pod: see the scheduler's words"),
    (
        r"exceeded quota",
        "raise the namespace's quota (policies.resource_quota), or lower cpu, memory or replicas",
    ),
    (
        r"failed quota.*must specify",
        "the quota wants requests and limits on every container: set them",
    ),
    (
        r"service ?account .*not found",
        "the pods name a ServiceAccount that is not there: add it to the service's templates",
    ),
    (
        r"violates PodSecurity",
        "tighten the pod's securityContext, or change policies.pod_security",
    ),
    (
        r"failed calling webhook",
        "the webhook does not answer: mend or remove what serves it",
    ),
    (
        r"admission webhook .* denied|ValidatingAdmissionPolicy",
        "a rule of the cluster refuses the pod: meet it, or ask who runs the cluster",
    ),
    (r"FailedMount|FailedAttachVolume", "a volume cannot be mounted: see the last events"),
    (r"storageclass.* not found", "set the parameter storage_class to one that the cluster has"),
    (
        r"no persistent volumes available|no storage class is set",
        "set the parameter storage_class, or make one class of the cluster the default",
    ),
    (r"BackoffLimitExceeded|DeadlineExceeded.*[Jj]ob", "the log of the last pod says why it ends"),
    (
        r"held by finalizers",
        "what put the finalizers there must take them away; see who runs that controller",
    ),
    (r"Missing", "somebody deleted it: run the same command again"),
    (
        r"no load balancer address",
        "the cluster gives out no load balancer addresses: take another Service type",
    ),
)
_COMPILED = tuple((re.compile(pattern, re.DOTALL), cure) for pattern, cure in _CURES)


def hint(symptom: str, text: str) -> str:
    """Return what to do about a symptom, from the words of those who reported it.

    Example:
        >>> hint("FailedCreate", 'pods "a" is forbidden: exceeded quota: q').split(",")[0]
        "raise the namespace's quota (policies.resource_quota)"

    """
    whole = f"{symptom}: {text}"
    return next((cure for pattern, cure in _COMPILED if pattern.search(whole)), "")


def shortage(pod: Object, nodes: Sequence[Object] | None) -> str:
    """Say which resource of which node is too small for a pod.

    Args:
        pod: the pod that finds no place.
        nodes: all nodes; ``None`` where we may not list them.

    Returns:
        One line, such as ``memory: 64Gi asked for, node a has 16Gi``; empty when the size of
        the nodes is not the reason, or is not known.

    """
    if not nodes:
        return ""
    parts = []
    for name, asked in sorted(_requests(pod).items()):
        sizes = [(_allocatable(node, name), str(node["metadata"]["name"])) for node in nodes]
        largest, node = max(sizes)
        if asked[0] > largest:
            has = (node_of(nodes, node).get("status") or {}).get("allocatable") or {}
            parts.append(
                f"{name}: {asked[1]} asked for, the largest node {node} has {has.get(name, 0)}"
            )
    if parts:
        return "; ".join(parts)
    return ""


def node_of(nodes: Sequence[Object], name: str) -> Object:
    """Return the node of that name."""
    return next(node for node in nodes if node["metadata"]["name"] == name)


def _allocatable(node: Object, resource: str) -> Fraction:
    return parse(((node.get("status") or {}).get("allocatable") or {}).get(resource) or 0).value


def _requests(pod: Object) -> dict[str, tuple[Fraction, str]]:
    """Return what the scheduler counts: the sum over containers, with the text of the largest."""
    total: dict[str, Fraction] = {}
    for container in (pod.get("spec") or {}).get("containers") or ():
        for name, value in ((container.get("resources") or {}).get("requests") or {}).items():
            total[name] = total.get(name, parse(0).value) + parse(value).value
    return {name: (value, _text(value, name)) for name, value in total.items()}


def _text(value: Fraction, resource: str) -> str:
    if resource == "cpu":
        return str(value) if value.denominator == 1 else f"{int(value * 1000)}m"
    for power, suffix in ((40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")):
        if value >= 2**power and (value / 2**power).denominator == 1:
            return f"{value / 2**power}{suffix}"
    return str(value)
