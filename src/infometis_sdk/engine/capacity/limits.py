"""What a container requests and may use once the namespace's LimitRanges have had their say; pure.

Sources: the defaults of the API (``SetDefaults_LimitRangeItem``, ``SetDefaults_Pod``) and the
admission plug-in LimitRanger of Kubernetes (``plugin/pkg/admission/limitranger``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects.loose import mapping, maps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from infometis_sdk.model.capacity import LimitsPolicy

__all__ = ("Resources", "container_limits", "effective", "limit_range")

Resources = tuple[dict[str, str], dict[str, str]]
"""Requests and limits of one container, by resource."""

_WORDS = (
    ("default_request", "defaultRequest"),
    ("default", "default"),
    ("max", "max"),
    ("min", "min"),
)


def limit_range(policy: LimitsPolicy) -> dict[str, Any] | None:
    """Return the LimitRange of a policy; ``None`` where it says nothing.

    Example:
        >>> from infometis_sdk.model import LimitsPolicy
        >>> limit_range(LimitsPolicy(max={"cpu": "2"}))["spec"]
        {'limits': [{'type': 'Container', 'max': {'cpu': '2'}}]}

    """
    said = {theirs: dict(getattr(policy, ours)) for ours, theirs in _WORDS if getattr(policy, ours)}
    if not said:
        return None
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "infometis"},
        "spec": {"limits": [{"type": "Container", **said}]},
    }


def container_limits(ranges: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what LimitRanges say of containers, with the defaults that the API server fills in.

    A default limit follows the maximum, and a default request the default limit, else the minimum.

    Args:
        ranges: LimitRange objects of one namespace.

    """
    return [
        _filled(item)
        for each in ranges
        for item in maps(mapping(each.get("spec")).get("limits"))
        if item.get("type") == "Container"
    ]


def _filled(item: Mapping[str, Any]) -> dict[str, Any]:
    low, high = mapping(item.get("min")), mapping(item.get("max"))
    default = {**high, **mapping(item.get("default"))}
    request = {**low, **default, **mapping(item.get("defaultRequest"))}
    return {"min": low, "max": high, "default": default, "defaultRequest": request}


def effective(container: Mapping[str, Any], limits: Sequence[Mapping[str, Any]] = ()) -> Resources:
    """Return requests and limits of a container as they will be in its pod.

    Args:
        container: as it was rendered.
        limits: from :func:`container_limits`.

    Example:
        >>> effective({"resources": {"limits": {"memory": "1Gi"}}})
        ({'memory': '1Gi'}, {'memory': '1Gi'})

    """
    resources = mapping(container.get("resources"))
    most = dict(mapping(resources.get("limits")))
    least = {**most, **mapping(resources.get("requests"))}
    for item in limits:
        most = {**item["default"], **most}
        least = {**item["defaultRequest"], **least}
    return least, most
