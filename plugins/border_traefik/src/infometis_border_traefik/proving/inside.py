"""Where Traefik's pods and their API are, as they were rendered; pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ("Inside", "arguments_of", "inside")

_WORKLOADS = ("Deployment", "DaemonSet")
_ADDRESS = re.compile(r"--entrypoints\.([a-z0-9-]+)\.address=.*:(\d+)(?:/tcp)?$", re.IGNORECASE)
_API = "api@internal"


@frozen(kw_only=True)
class Inside:
    """How to ask Traefik inside the cluster.

    Attributes:
        namespace: of its pods.
        labels: a selector of its pods.
        port: where its API listens in a pod.

    """

    namespace: str
    labels: str
    port: int


def inside(objects: Iterable[Mapping[str, Any]], namespace: str) -> Inside | None:
    """Return where Traefik and its API are; ``None`` where it was not rendered, or has no API.

    Args:
        objects: what was rendered.
        namespace: of those objects that name none.

    """
    known = tuple(objects)
    for workload in known:
        arguments = arguments_of(workload)
        ports = {
            found[1].lower(): int(found[2]) for found in map(_ADDRESS.match, arguments) if found
        }
        entry_points = list(_serving_api(known))
        if "--api.insecure=true" in (each.lower() for each in arguments):
            entry_points.append("traefik")
        for name in entry_points:
            if name in ports:
                labels: Mapping[str, str] = workload["spec"]["selector"]["matchLabels"]
                return Inside(
                    namespace=workload["metadata"].get("namespace") or namespace,
                    labels=",".join(f"{key}={value}" for key, value in sorted(labels.items())),
                    port=ports[name],
                )
    return None


def arguments_of(obj: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the arguments of the Traefik in a workload; none where there is no Traefik."""
    if obj["kind"] not in _WORKLOADS:
        return ()
    for container in obj["spec"]["template"]["spec"]["containers"]:
        arguments = tuple(str(each) for each in container.get("args") or ())
        if any(each.lower().startswith("--entrypoints.") for each in arguments):
            return arguments
    return ()


def _serving_api(objects: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the entry points on which a route leads to the API."""
    for obj in objects:
        if obj["kind"] != "IngressRoute":
            continue
        for rule in obj["spec"]["routes"]:
            if any(service.get("name") == _API for service in rule.get("services") or ()):
                yield from obj["spec"].get("entryPoints") or ()
