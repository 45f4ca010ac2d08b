"""What rendered objects take of a namespace at their most; pure.

The most is what may be there at one time without anybody doing wrong: an autoscaler at its maximum,
and a rolling update that starts new pods before it ends old ones.
Source of the sum over containers: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.engine.capacity.limits import effective
from infometis_sdk.engine.objects import podspec, quantity
from infometis_sdk.engine.objects.loose import mapping, maps
from infometis_sdk.model.stack import Manifest

if TYPE_CHECKING:
    from infometis_sdk.model.stack import ManifestSet

__all__ = ("Need", "counted", "matches", "most_pods", "needs_of", "pod_needs")

_SCALER = "HorizontalPodAutoscaler"
_CLASS = ".storageclass.storage.k8s.io/"
_SHORT = {  # names that quotas knew before count/ was there
    "configmaps": "ConfigMap",
    "replicationcontrollers": "ReplicationController",
    "resourcequotas": "ResourceQuota",
    "secrets": "Secret",
    "services": "Service",
}


@frozen(kw_only=True)
class Need:
    """What one object takes at its most.

    Attributes:
        manifest: the object.
        pods: how many pods it may have at one time.
        surge: so many of them only during a rolling update.
        each: what one pod takes, by ``requests.cpu``, ``limits.memory`` and so on.
        claims: storage of each claim of one pod, with its storage class.

    """

    manifest: Manifest
    pods: int = 1
    surge: int = 0
    each: Mapping[str, Fraction] = field(factory=dict)
    claims: Sequence[tuple[str, Fraction]] = ()

    def __str__(self) -> str:
        pods = f"{self.pods} pods" if self.pods != 1 else "1 pod"
        surge = f", {self.surge} of them in a rolling update" if self.surge else ""
        return f"{self.manifest.ref} ({pods}{surge})" if self.each else str(self.manifest.ref)


def needs_of(
    manifests: ManifestSet, namespace: str, limits: Sequence[Mapping[str, Any]] = ()
) -> list[Need]:
    """Return what each object of a namespace takes.

    Args:
        manifests: the stack.
        namespace: where.
        limits: of its containers; see :func:`infometis_sdk.engine.capacity.limits.effective`.

    """
    here = [m for m in manifests.manifests if m.ref.namespace == namespace]
    most = most_pods(m.object for m in here if m.ref.kind == _SCALER)
    found = []
    for manifest in here:
        obj = manifest.object
        spec = podspec.pod_spec(obj)
        claims = _claims(obj)
        if spec is None:
            found.append(Need(manifest=manifest, claims=claims))
            continue
        count = most.get((manifest.ref.kind, manifest.ref.name), _replicas(obj))
        surge = _surge(obj, count)
        each = pod_needs(spec, limits)
        found.append(
            Need(manifest=manifest, pods=count + surge, surge=surge, each=each, claims=claims)
        )
    return found


def most_pods(scalers: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], int]:
    """Return the maximum of each autoscaler by kind and name of its workload."""
    found = {}
    for scaler in scalers:
        spec = mapping(scaler.get("spec"))
        target, most = mapping(spec.get("scaleTargetRef")), spec.get("maxReplicas")
        if isinstance(most, int):
            found[str(target.get("kind")), str(target.get("name"))] = most
    return found


def _replicas(obj: Mapping[str, Any]) -> int:
    spec = mapping(obj.get("spec"))
    if obj.get("kind") == "CronJob":
        spec = mapping(mapping(spec.get("jobTemplate")).get("spec"))
    count = spec.get("replicas", spec.get("parallelism", 1))
    return count if isinstance(count, int) else 1


def _surge(obj: Mapping[str, Any], count: int) -> int:
    """Return how many pods a Deployment may have beyond its number; 25 % unless it says so."""
    strategy = mapping(mapping(obj.get("spec")).get("strategy"))
    if obj.get("kind") != "Deployment" or strategy.get("type", "RollingUpdate") == "Recreate":
        return 0
    surge = mapping(strategy.get("rollingUpdate")).get("maxSurge", "25%")
    if isinstance(surge, str) and surge.removesuffix("%").isdecimal():
        return math.ceil(count * int(surge.removesuffix("%")) / 100)
    return surge if isinstance(surge, int) and count else 0


def pod_needs(
    spec: Mapping[str, Any], limits: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Fraction]:
    """Return what one pod requests and may use.

    Containers and sidecars run together; an init container runs beside the sidecars before it,
    and counts where it takes more than all of those.

    Example:
        >>> spec = {"containers": [{"resources": {"requests": {"cpu": "500m"}}}] * 2}
        >>> pod_needs(spec)
        {'requests.cpu': Fraction(1, 1)}

    """
    together: dict[str, Fraction] = {}
    alone: dict[str, Fraction] = {}
    for container in maps(spec.get("initContainers")):
        mine = _amounts(container, limits)
        beside = {key: together.get(key, Fraction(0)) + value for key, value in mine.items()}
        if container.get("restartPolicy") == "Always":
            together |= beside
        for key, value in beside.items():
            alone[key] = max(alone.get(key, Fraction(0)), value)
    for container in maps(spec.get("containers")):
        for key, value in _amounts(container, limits).items():
            together[key] = together.get(key, Fraction(0)) + value
    total = {
        key: max(together.get(key, Fraction(0)), alone.get(key, Fraction(0)))
        for key in {**together, **alone}
    }
    for name, amount in mapping(spec.get("overhead")).items():
        for section in ("requests", "limits"):
            if section == "requests" or f"limits.{name}" in total:
                total[f"{section}.{name}"] = total.get(f"{section}.{name}", Fraction(0)) + _value(
                    amount
                )
    return total


def _amounts(
    container: Mapping[str, Any], limits: Sequence[Mapping[str, Any]]
) -> dict[str, Fraction]:
    return {
        f"{section}.{name}": _value(amount)
        for section, amounts in zip(
            ("requests", "limits"), effective(container, limits), strict=True
        )
        for name, amount in amounts.items()
    }


def _value(amount: Any) -> Fraction:  # noqa: ANN401 - JSON
    try:
        return quantity.parse(amount).value
    except (TypeError, ValueError):
        return Fraction(0)  # the offline validation names it


def _claims(obj: Mapping[str, Any]) -> list[tuple[str, Fraction]]:
    spec = mapping(obj.get("spec"))
    claims = [mapping(each.get("spec")) for each in maps(spec.get("volumeClaimTemplates"))]
    if obj.get("kind") == "PersistentVolumeClaim":
        claims = [spec]
    return [
        (
            str(claim.get("storageClassName") or ""),
            _value(mapping(mapping(claim.get("resources")).get("requests")).get("storage", "0")),
        )
        for claim in claims
    ]


def counted(need: Need, key: str, quota: Mapping[str, Any]) -> Fraction:
    """Return how much of one resource of a quota an object takes; 0 where it is not counted.

    What only the cluster knows (objects that controllers make, nodes of a DaemonSet, attributes of
    volumes) is left out: then the quota decides.
    """
    spec = podspec.pod_spec(need.manifest.object)
    if spec is not None and matches(need, quota):
        name = f"requests.{key}" if key in ("cpu", "memory", "ephemeral-storage") else key
        if key in ("pods", "count/pods"):
            return Fraction(need.pods)
        if name in need.each:
            return need.pods * need.each[name]
    if mapping(quota.get("spec")).get("scopes") or mapping(quota.get("spec")).get("scopeSelector"):
        return Fraction(0)
    # The claims of a StatefulSet are made one by one, without those of a rolling update.
    made = need.pods - need.surge
    cls, _, word = key.rpartition(_CLASS)
    sizes = [size for name, size in need.claims if cls in ("", name)]
    if word == "requests.storage":
        return made * sum(sizes, Fraction(0))
    if word in ("persistentvolumeclaims", "count/persistentvolumeclaims"):
        return Fraction(made * len(sizes))
    return Fraction(_is_a(need.manifest, key))


def matches(need: Need, quota: Mapping[str, Any]) -> bool:
    """Whether a quota's scopes take in the pods of an object."""
    spec = podspec.pod_spec(need.manifest.object)
    rules = mapping(quota.get("spec"))
    wanted = [{"scopeName": scope, "operator": "Exists"} for scope in rules.get("scopes") or ()]
    wanted += maps(mapping(rules.get("scopeSelector")).get("matchExpressions"))
    return spec is not None and all(_in_scope(need, spec, rule) for rule in wanted)


def _in_scope(need: Need, spec: Mapping[str, Any], rule: Mapping[str, Any]) -> bool:
    ends = spec.get("activeDeadlineSeconds") is not None
    best = not any(need.each.values())
    name = spec.get("priorityClassName")
    match rule.get("scopeName"):
        case "Terminating":
            return ends
        case "NotTerminating":
            return not ends
        case "BestEffort":
            return best
        case "NotBestEffort":
            return not best
        case "PriorityClass":
            values = rule.get("values") or ()
            found = {"In": name in values, "NotIn": name not in values,
                     "DoesNotExist": not name}  # fmt: skip
            return found.get(str(rule.get("operator")), bool(name))
        case _:
            return False  # pods that only a closer look at affinity or volumes would find


def _is_a(manifest: Manifest, key: str) -> bool:
    """Whether an object itself is what a quota counts."""
    kind, group = manifest.ref.kind, manifest.ref.group
    service = mapping(manifest.object.get("spec"))
    if key == "services.loadbalancers":
        return kind == "Service" and service.get("type") == "LoadBalancer"
    if key == "services.nodeports":
        return kind == "Service" and service.get("type") in ("NodePort", "LoadBalancer")
    if key.startswith("count/"):
        plural = kind.lower()
        plural = f"{plural[:-1]}ies" if plural.endswith("y") else (
            f"{plural}es" if plural.endswith("s") else f"{plural}s")  # fmt: skip
        return key == (f"count/{plural}.{group}" if group else f"count/{plural}")
    return not group and _SHORT.get(key) == kind
