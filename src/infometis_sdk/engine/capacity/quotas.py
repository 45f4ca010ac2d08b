"""ResourceQuotas of an environment, and whether what is rendered fits into quotas; pure.

Source: the quota evaluators of Kubernetes (``pkg/quota/v1/evaluator/core``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.capacity.limits import container_limits, effective
from infometis_sdk.engine.capacity.needs import Need, counted, matches, needs_of
from infometis_sdk.engine.objects import podspec, quantity
from infometis_sdk.engine.objects.loose import mapping
from infometis_sdk.model.fault import Fault, Origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from fractions import Fraction

    from infometis_sdk.model.environment import Policies
    from infometis_sdk.model.stack import ManifestSet

__all__ = ("quota_faults", "quotas_of")

_COMPUTE = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
"""What every container must name once a quota counts it (``podResources`` of the evaluator)."""
_SHOWN = 3


def quotas_of(policies: Policies) -> dict[str, dict[str, Any]]:
    """Return the ResourceQuotas of an environment, by the path below ``policies`` that says so.

    Example:
        >>> from infometis_sdk.model import Policies
        >>> quotas_of(Policies(resource_quota={"pods": "5"}))["resource_quota"]["spec"]
        {'hard': {'pods': '5'}}

    """
    found = {}
    if policies.resource_quota:
        found["resource_quota"] = _quota("infometis", {"hard": dict(policies.resource_quota)})
    for name, quota in policies.scoped_quotas.items():
        spec: dict[str, Any] = {"hard": dict(quota.hard)}
        if quota.scopes:
            spec["scopes"] = list(quota.scopes)
        if quota.priority_classes:
            classes = list(quota.priority_classes)
            rule = {"scopeName": "PriorityClass", "operator": "In", "values": classes}
            spec["scopeSelector"] = {"matchExpressions": [rule]}
        found[f"scoped_quotas.{name}"] = _quota(f"infometis-{name}", spec)
    return found


def _quota(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": name},
        "spec": spec,
    }


def quota_faults(
    manifests: ManifestSet, others: Iterable[Mapping[str, Any]] = ()
) -> tuple[Fault, ...]:
    """Say which quotas cannot hold what is rendered, even where nothing else is there.

    Counted are the pods at the maximum of their autoscaler, those that a rolling update adds,
    and what LimitRanges add to containers.

    Args:
        manifests: what is to be applied, its own quotas and LimitRanges among it.
        others: live ResourceQuotas and LimitRanges of its namespaces.

    Returns:
        A fault for each resource of each quota that is too small, with the numbers, and one for
        each container whose pods a quota refuses since it names no request or limit.

    """
    known = [
        *((m.object, m.origin) for m in manifests.manifests),
        *((obj, Origin(layer="cluster")) for obj in others),
    ]
    by_kind: dict[tuple[str, str], dict[str, tuple[Mapping[str, Any], Origin]]] = {}
    for obj, origin in known:
        meta = obj["metadata"]
        if obj.get("kind") in ("ResourceQuota", "LimitRange"):
            space = by_kind.setdefault((obj["kind"], meta.get("namespace", "")), {})
            space.setdefault(meta["name"], (obj, origin))  # ours is what will be
    faults: list[Fault] = []
    for (kind, namespace), quotas in by_kind.items():
        if kind != "ResourceQuota":
            continue
        ranges = by_kind.get(("LimitRange", namespace), {}).values()
        limits = container_limits(obj for obj, _ in ranges)
        needs = needs_of(manifests, namespace, limits)
        for name, (quota, origin) in quotas.items():
            place = _Place(manifests, name, quota, origin)
            faults += _short(place, needs)
            faults += _unnamed(place, needs, limits)
    return tuple(faults)


class _Place:
    """One quota, and where its words stand."""

    def __init__(
        self, manifests: ManifestSet, name: str, quota: Mapping[str, Any], origin: Origin
    ) -> None:
        self.manifests, self.quota, self._origin = manifests, quota, origin
        self.namespace = str(quota["metadata"].get("namespace", ""))
        self.hard = mapping(mapping(quota.get("spec")).get("hard"))
        self.name = f"ResourceQuota/{name}"
        ours = origin.layer == "environment"
        scoped = name.removeprefix("infometis-")
        self._path = "policies.resource_quota"
        if name != "infometis":
            self._path = f"policies.scoped_quotas.{scoped}.hard"
        self._ours = ours

    def fault(self, key: str, message: str, **more: str) -> Fault:
        path = f"{self._path}.{key}" if self._ours else f"{self.name} spec.hard.{key}"
        origin = self.manifests.environment.sources.get(path, self._origin)
        where = "" if self._ours else f" in namespace {self.namespace}"
        return Fault(message=f"{self.name}{where} {message}", origin=origin, path=path, **more)


def _short(place: _Place, needs: Sequence[Need]) -> Iterator[Fault]:
    for key, hard in place.hard.items():
        parts = [(need, amount) for need in needs if (amount := counted(need, key, place.quota))]
        total: Fraction = sum(amount for _, amount in parts)  # type: ignore[assignment]
        try:
            room = quantity.parse(hard).value
        except ValueError:
            continue  # the offline validation names it
        if total > room:
            parts.sort(key=lambda part: -part[1])
            told = [f"{need} {_amount(key, amount)}" for need, amount in parts[:_SHOWN]]
            more = f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
            wanted = _amount(key, total)
            yield place.fault(
                key,
                f"allows {key} {hard}, and {wanted} are wanted: {', '.join(told)}{more}",
                found=str(hard),
                legal=f"{wanted} or more, or less of it",
            )


def _unnamed(
    place: _Place, needs: Sequence[Need], limits: Sequence[Mapping[str, Any]]
) -> Iterator[Fault]:
    """Name containers without a request or limit that the quota demands of every pod it counts."""
    demanded = [key for key in _COMPUTE if key in place.hard]
    for need in needs:
        if not demanded or not matches(need, place.quota):
            continue
        for field, container in podspec.containers(podspec.pod_spec(need.manifest.object) or {}):
            requests, most = effective(container, limits)
            for key in demanded:
                section, _, resource = key.rpartition(".")
                if resource in (most if section == "limits" else requests):
                    continue
                where = f"{need.manifest.ref} {field}[name={container.get('name')}]"
                yield place.fault(
                    key,
                    f"counts {key}, and {where} names none, so its pods are refused",
                    legal="a request or limit in the container, or a default in policies.limits",
                )


def _amount(key: str, value: Fraction) -> str:
    """Write an amount as people do: of memory in powers of 1024, else with thousandths."""
    if key.rpartition(".")[2] in ("memory", "storage", "ephemeral-storage"):
        return quantity.canonical(f"{-(-value.numerator // value.denominator // 1024)}Ki")
    return quantity.canonical(f"{-(-value.numerator * 1000 // value.denominator)}m")
