"""Bring a rendered object into the form in which the API server will show it.

Only what is certain: nothing here fills in a default that the API server could choose otherwise.
Sources: the API conventions of Kubernetes, and what server-side apply does with such objects.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from infometis_sdk.engine.objects import podspec, quantity
from infometis_sdk.engine.objects.loose import mapping, maps

__all__ = ("KeyNotTextError", "normalise", "quantities")

_SERVER_METADATA = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
# Fields that mean the same whether empty or absent; the API server leaves them out when empty,
# so an empty one would never be found in the live object.
_EMPTY_IN_POD = (
    "affinity",
    "containers",
    "hostAliases",
    "imagePullSecrets",
    "initContainers",
    "nodeSelector",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
)
_EMPTY_IN_CONTAINER = (
    "args",
    "command",
    "env",
    "envFrom",
    "lifecycle",
    "ports",
    "securityContext",
    "volumeMounts",
)
# Single quantities, which the API server does not round to thousandths as it does resource lists.
_EXACT = ("averageValue", "divisor", "sizeLimit", "value")
_EMPTY_IN_METADATA = ("annotations", "finalizers", "labels")


class KeyNotTextError(TypeError):
    """A map has a key that is not text, which JSON cannot carry."""


def normalise(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of an object without nulls, with canonical quantities and list keys filled in.

    Args:
        obj: a Kubernetes object as plain data.

    Returns:
        A new object that shares nothing that is changed with ``obj``.

    Raises:
        KeyNotTextError: it was built in code, and a key of it is a number, say.

    Example:
        >>> normalise({"kind": "Secret", "stringData": {"a": "b"}, "status": None})
        {'kind': 'Secret', 'data': {'a': 'Yg=='}}

    """
    made: dict[str, Any] = _clean(obj) or {}
    made.pop("status", None)
    metadata = made.get("metadata")
    if isinstance(metadata, dict):
        for key in _SERVER_METADATA:
            metadata.pop(key, None)
        _drop_empty(metadata, _EMPTY_IN_METADATA)
    if made.get("kind") == "Secret":
        _encode_secret(made)
    if made.get("kind") == "Service":
        _ports(mapping(made.get("spec")).get("ports"))
    _pods(made)
    for holder, key in _quantities(made):
        try:
            holder[key] = quantity.canonical(holder[key], milli=key not in _EXACT)
        except (TypeError, ValueError):
            continue  # the offline validation names it
    return made


def _clean(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Copy without nulls, and without the maps and lists that only nulls kept alive."""
    if isinstance(value, (str, int)):
        return value
    if isinstance(value, (dict, Mapping)):
        kept = {}
        for key, item in value.items():
            if not isinstance(key, str):
                msg = f"the key {key!r} is not text"
                raise KeyNotTextError(msg)
            if item is None:
                continue
            made = _clean(item)
            if made is not None:
                kept[key] = made
        return kept if kept or not value else None
    if isinstance(value, list):
        items = [made for item in value if item is not None and (made := _clean(item)) is not None]
        return items if items or not value else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _drop_empty(holder: dict[str, Any], keys: tuple[str, ...]) -> None:
    for key in keys:
        if key in holder and holder[key] in ({}, []):
            del holder[key]


def _encode_secret(secret: dict[str, Any]) -> None:
    plain = secret.pop("stringData", None)
    if isinstance(plain, dict):
        encoded = {k: base64.b64encode(str(v).encode()).decode() for k, v in plain.items()}
        secret["data"] = {**mapping(secret.get("data")), **encoded}


def _ports(ports: Any) -> None:  # noqa: ANN401 - JSON
    """Fill in the protocol, which is part of the key by which server-side apply finds a port."""
    for port in maps(ports):
        port.setdefault("protocol", "TCP")


def _pods(obj: dict[str, Any]) -> None:
    spec = podspec.pod_spec(obj)
    if spec is None:
        return
    _drop_empty(spec, _EMPTY_IN_POD)
    for _, container in podspec.containers(spec):
        _drop_empty(container, _EMPTY_IN_CONTAINER)
        _ports(container.get("ports"))
    metadata = podspec.pod_metadata(obj)
    if metadata is not None:
        metadata.pop("creationTimestamp", None)
        _drop_empty(metadata, _EMPTY_IN_METADATA)


def quantities(obj: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each place of a built-in object that holds a quantity, as its map and key."""
    yield from _quantities(obj)


def _quantities(obj: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        return
    finder: Callable[[dict[str, Any]], Iterator[tuple[dict[str, Any], str]]] | None = {
        "HorizontalPodAutoscaler": _of_autoscaler,
        "LimitRange": _of_limit_range,
        "PersistentVolume": lambda s: _of_map(s.get("capacity")),
        "PersistentVolumeClaim": _of_claim,
        "ResourceQuota": lambda s: _of_map(s.get("hard")),
    }.get(str(obj.get("kind")))
    if finder is not None:
        yield from finder(spec)
    if obj.get("kind") == "StatefulSet":
        for claim in maps(spec.get("volumeClaimTemplates")):
            yield from _of_claim(claim.get("spec"))
    pod = podspec.pod_spec(obj)
    if pod is not None:
        yield from _of_pod(pod)


def _of_map(value: Any) -> Iterator[tuple[dict[str, Any], str]]:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        yield from ((value, key) for key in list(value))


def _of_resources(holder: Any) -> Iterator[tuple[dict[str, Any], str]]:  # noqa: ANN401 - JSON
    resources = mapping(mapping(holder).get("resources"))
    yield from _of_map(resources.get("requests"))
    yield from _of_map(resources.get("limits"))


_of_claim = _of_resources


def _of_pod(spec: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    yield from _of_map(spec.get("overhead"))
    yield from _of_resources(spec)
    for _, container in podspec.containers(spec):
        yield from _of_resources(container)
        for variable in maps(container.get("env")):
            field = mapping(mapping(variable.get("valueFrom")).get("resourceFieldRef"))
            if "divisor" in field:
                yield field, "divisor"
    for volume in maps(spec.get("volumes")):
        empty = mapping(volume.get("emptyDir"))
        if "sizeLimit" in empty:
            yield empty, "sizeLimit"
        claim = mapping(mapping(volume.get("ephemeral")).get("volumeClaimTemplate"))
        yield from _of_claim(claim.get("spec"))


def _of_limit_range(spec: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    for limit in maps(spec.get("limits")):
        for key in ("default", "defaultRequest", "max", "maxLimitRequestRatio", "min"):
            yield from _of_map(limit.get(key))


def _of_autoscaler(spec: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    for metric in maps(spec.get("metrics")):
        for source in metric.values():
            target = mapping(mapping(source).get("target"))
            yield from ((target, key) for key in ("averageValue", "value") if key in target)
