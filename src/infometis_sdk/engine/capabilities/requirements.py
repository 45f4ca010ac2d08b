"""What a stack needs of its cluster, read from its rendered objects; pure.

What can never become healthy is refused before the first write, with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects import podspec
from infometis_sdk.engine.objects.loose import mapping, maps
from infometis_sdk.model.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from infometis_sdk.engine.capabilities.facts import Facts
    from infometis_sdk.model.environment import Environment
    from infometis_sdk.model.stack import Manifest

__all__ = ("asks_of_the_cluster", "unencrypted", "unmet")

_HOSTNAME = "kubernetes.io/hostname"
_ARCHITECTURES = ("kubernetes.io/arch", "beta.kubernetes.io/arch")
_RESOURCES = ("Resource", "ContainerResource")
_SCALER = "HorizontalPodAutoscaler"
_ASKING = frozenset(
    {
        "CronJob",
        "DaemonSet",
        "Deployment",
        _SCALER,
        "Job",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "Pod",
        "ReplicaSet",
        "ReplicationController",
        "Service",
        "StatefulSet",
    }
)


def asks_of_the_cluster(manifests: Iterable[Manifest]) -> bool:
    """Tell whether any object may need what a cluster can lack, so that it is worth a look."""
    return any(manifest.ref.kind in _ASKING for manifest in manifests)


def unmet(
    manifests: Iterable[Manifest],
    facts: Facts,
    states: Mapping[str, str],
    *,
    brought: Collection[str] = (),
    simulated: bool = False,
) -> tuple[Fault, ...]:
    """Return what objects need and the cluster lacks.

    Args:
        manifests: what is to be written.
        facts: what was read from the cluster; what is not known is taken to be there.
        states: state of each capability by name.
        brought: names of the StorageClasses that the stack brings itself.
        simulated: containers do not run there, and nobody waits for what only they could do.

    Returns:
        Errors for what can never become healthy, warnings for what will not do what it says.

    """
    faults: list[Fault] = []
    for manifest in manifests:
        faults += _storage(manifest, facts, brought)
        faults += _nodes(manifest, facts, states)
        faults += _metrics(manifest, states)
        if not simulated:
            faults += _network(manifest, states)
    return tuple(faults)


def unencrypted(environment: Environment, states: Mapping[str, str]) -> Fault | None:
    """Say why a cluster does not encrypt what the environment wants encrypted.

    What a platform declares of itself is not enough: it must have been seen on this very cluster.
    A mesh encrypts by itself, whatever the network below it does.

    Args:
        environment: its policies.
        states: state of each capability by name.

    Example:
        >>> from infometis_sdk.model import Environment, Policies
        >>> strict = Environment("prod", policies=Policies(encryption="required"))
        >>> unencrypted(strict, {"encrypted_transport": "proved"}) is None
        True
        >>> unencrypted(strict, {"encrypted_transport": "declared"}).found
        'declared'

    """
    policies = environment.policies
    state = states.get("encrypted_transport", "unknown")
    if policies.encryption != "required" or policies.mesh or state == "proved":
        return None
    path = "policies.encryption"
    return Fault(
        message="traffic between nodes must be encrypted, and it is not proved that this cluster"
        " does so",
        origin=environment.sources.get(path, environment.origin),
        path=path,
        found=state,
        legal="a cluster whose nodes all have keys of an encrypting network, or policies.mesh",
    )


def _storage(manifest: Manifest, facts: Facts, brought: Collection[str]) -> Iterator[Fault]:
    if facts.classes is None:
        return
    for path, spec in _claims(manifest.object):
        name = spec.get("storageClassName")
        if name is None and not spec.get("volumeName") and not facts.default_class:
            yield _fault(
                manifest,
                path,
                "no StorageClass of the cluster is the default, so this volume is never made",
                f"storageClassName, one of {', '.join(sorted(facts.classes))}"
                if facts.classes
                else "a cluster with a storage provisioner",
            )
        elif name and name not in facts.classes and name not in brought:
            known = ", ".join(sorted(facts.classes)) or "none"
            yield _fault(
                manifest, path, f"the cluster has no StorageClass {name!r}", f"one of: {known}"
            )


def _claims(obj: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    spec = mapping(obj.get("spec"))
    if obj["kind"] == "PersistentVolumeClaim":
        yield "spec", spec
    for number, claim in enumerate(maps(spec.get("volumeClaimTemplates"))):
        yield f"spec.volumeClaimTemplates[{number}].spec", mapping(claim.get("spec"))
    for volume in maps(mapping(podspec.pod_spec(obj)).get("volumes")):
        template = mapping(mapping(volume.get("ephemeral")).get("volumeClaimTemplate"))
        if template:
            yield f"volumes[name={volume.get('name')}]", mapping(template.get("spec"))


def _nodes(manifest: Manifest, facts: Facts, states: Mapping[str, str]) -> Iterator[Fault]:
    spec = podspec.pod_spec(manifest.object)
    # Where nobody says which nodes there are, more may come when pods ask for them.
    if spec is None or facts.nodes is None or states.get("multi_node", "unknown") == "unknown":
        return
    replicas = mapping(manifest.object.get("spec")).get("replicas", 1)
    if isinstance(replicas, int) and replicas > facts.nodes and _apart(manifest.object, spec):
        yield _fault(
            manifest,
            "spec.replicas",
            f"{replicas} pods that must not share a node, and only {_count(facts.nodes)} for pods",
            f"at most {facts.nodes}, or more nodes",
        )
    selector = mapping(spec.get("nodeSelector"))
    for key in _ARCHITECTURES:
        wanted = selector.get(key)
        if wanted and facts.architectures and wanted not in facts.architectures:
            legal = ", ".join(facts.architectures)
            yield _fault(manifest, f"nodeSelector[{key}]", f"no node is {wanted}", legal)


def _apart(obj: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    """Tell whether the pods of a workload refuse to share a node with each other."""
    labels = mapping((podspec.pod_metadata(dict(obj)) or {}).get("labels"))
    rules = mapping(mapping(spec.get("affinity")).get("podAntiAffinity"))
    for term in maps(rules.get("requiredDuringSchedulingIgnoredDuringExecution")):
        wanted = mapping(mapping(term.get("labelSelector")).get("matchLabels"))
        same = all(labels.get(key) == value for key, value in wanted.items())
        if wanted and same and term.get("topologyKey") == _HOSTNAME:
            return True
    return False


def _metrics(manifest: Manifest, states: Mapping[str, str]) -> Iterator[Fault]:
    """Refuse an autoscaler of cpu or memory where nothing measures them, simulated or not."""
    metrics = maps(mapping(manifest.object.get("spec")).get("metrics"))
    by_resource = not metrics or any(each.get("type") in _RESOURCES for each in metrics)
    if manifest.ref.kind == _SCALER and by_resource and states.get("metrics") == "absent":
        yield _fault(
            manifest,
            "spec.metrics",
            "nothing in this cluster measures cpu and memory, so the autoscaler never scales",
            "a fixed number of pods, or a cluster with the API metrics.k8s.io (metrics-server)",
        )


def _network(manifest: Manifest, states: Mapping[str, str]) -> Iterator[Fault]:
    obj = manifest.object
    wants = mapping(obj.get("spec")).get("type") == "LoadBalancer"
    if obj["kind"] == "Service" and wants and states.get("load_balancer") == "absent":
        yield _fault(
            manifest,
            "spec.type",
            "nothing in this cluster gives a Service of type LoadBalancer an address",
            "ClusterIP or NodePort, or a cluster with a load balancer",
        )
    if obj["kind"] == "NetworkPolicy" and states.get("network_policy_enforced") == "absent":
        yield _fault(
            manifest,
            "spec",
            "the network of this cluster does not enforce policies: nothing is blocked",
            "a cluster whose network enforces them",
            level="warning",
        )


def _count(nodes: int) -> str:
    return "1 node" if nodes == 1 else f"{nodes or 'no'} nodes"


def _fault(manifest: Manifest, path: str, message: str, legal: str, level: str = "error") -> Fault:
    return Fault(
        message=message,
        origin=manifest.origin,
        path=f"{manifest.ref} {path}",
        legal=legal,
        level=level,
    )
