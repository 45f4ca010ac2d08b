"""Checks of limits, quotas and autoscalers, which the API server takes one by one.

It refuses the pods later, where nobody looks, or leaves an autoscaler without a number to go by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.capacity.limits import container_limits, effective
from infometis_sdk.engine.capacity.quotas import quota_faults
from infometis_sdk.engine.objects import podspec, quantity
from infometis_sdk.engine.objects.loose import mapping, maps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from infometis_sdk.engine.validation.findings import Findings
    from infometis_sdk.model.stack import Manifest, ManifestSet

__all__ = ("check_capacity",)

_SCALER = "HorizontalPodAutoscaler"
_Target = tuple[str, str, str]


def check_capacity(manifests: ManifestSet, out: Findings) -> None:
    """Check that pods get past the limits and quotas, and that autoscalers can measure them.

    Args:
        manifests: what render returned.
        out: where findings go.

    """
    spaces = {m.ref.namespace for m in manifests.manifests}
    limits = {
        space: container_limits(
            m.object
            for m in manifests.manifests
            if m.ref.kind == "LimitRange" and m.ref.namespace == space
        )
        for space in spaces
    }
    for manifest in manifests.manifests:
        if limits[manifest.ref.namespace]:
            _limits(manifest, limits[manifest.ref.namespace], out)
    _scalers(manifests, limits, out)
    out.faults += quota_faults(manifests)


def _limits(manifest: Manifest, limits: Sequence[Mapping[str, Any]], out: Findings) -> None:
    """Refuse containers that LimitRanger would refuse in every pod of theirs."""
    for field, container in podspec.containers(podspec.pod_spec(manifest.object) or {}):
        requests, most = effective(container, limits)
        where = f"{field}[name={container.get('name')}].resources"
        for item in limits:
            for name, high in item["max"].items():
                if name in most and _more(most[name], high):
                    _beyond(manifest, f"{where}.limits.{name}", most[name], f"at most {high}", out)
            for name, low in item["min"].items():
                if name in requests and _more(low, requests[name]):
                    path = f"{where}.requests.{name}"
                    _beyond(manifest, path, requests[name], f"at least {low}", out)
        named = mapping(mapping(container.get("resources")).get("limits"))
        for name in requests:
            if name in most and name not in named and _more(requests[name], most[name]):
                path = f"{where}.requests.{name}"
                _beyond(manifest, path, requests[name], f"at most the limit, {most[name]}", out)


def _beyond(manifest: Manifest, path: str, found: str, legal: str, out: Findings) -> None:
    message = "the limits of the namespace (policies.limits) refuse every pod of it"
    out.error(manifest, path, message, found=found, legal=legal)


def _more(left: str, right: str) -> bool:
    try:
        return quantity.compare(left, right) > 0
    except (TypeError, ValueError):
        return False  # named as a bad quantity


def _scalers(
    manifests: ManifestSet, limits: Mapping[str, Sequence[Mapping[str, Any]]], out: Findings
) -> None:
    workloads = {(m.ref.kind, m.ref.namespace, m.ref.name): m for m in manifests.manifests}
    driven: dict[_Target, Manifest] = {}
    for manifest in manifests.manifests:
        if manifest.ref.kind != _SCALER:
            continue
        spec = mapping(manifest.object.get("spec"))
        named = mapping(spec.get("scaleTargetRef"))
        target = (str(named.get("kind")), manifest.ref.namespace, str(named.get("name")))
        first = driven.setdefault(target, manifest)
        if first is not manifest:
            out.error(
                manifest,
                "spec.scaleTargetRef",
                f"a second autoscaler of {target[0]}/{target[2]}; both would stop",
                found=f"also {first.ref}, {first.origin}",
                legal="one autoscaler for each workload",
            )
        workload = workloads.get(target)
        pod = podspec.pod_spec(workload.object) if workload else None
        for resource in _measured(spec):
            for field, container in podspec.containers(pod or {}):
                lasting = field == "containers" or container.get("restartPolicy") == "Always"
                if lasting and resource not in effective(container, limits[target[1]])[0]:
                    where = f"{named.get('kind')}/{named.get('name')}"
                    out.error(
                        manifest,
                        "spec.metrics",
                        f"measures {resource} in per cent of the request, and {where}"
                        f" {field}[name={container.get('name')}] requests none",
                        legal="a request in the container, or policies.limits.default_request",
                    )


def _measured(spec: Mapping[str, Any]) -> Iterator[str]:
    """Yield the resources of which an autoscaler measures a share; without a word that is cpu."""
    metrics = maps(spec.get("metrics"))
    if not metrics:
        yield "cpu"
    for metric in metrics:
        resource = mapping(metric.get("resource"))
        if "averageUtilization" in mapping(resource.get("target")):
            yield str(resource.get("name"))
