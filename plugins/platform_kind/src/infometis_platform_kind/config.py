"""The configuration that kind is given: see https://kind.sigs.k8s.io/docs/user/configuration/."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infometis_platform_kind.settings import Kind

__all__ = ("cluster_name", "kind_config")

_LONGEST = 50  # beyond that, host names of nodes get too long


def cluster_name(cluster: str) -> str:
    """Return the name that a cluster has with kind: the same, or a shorter one as unique.

    Example:
        >>> cluster_name("demo-dev"), len(cluster_name("x" * 63))
        ('demo-dev', 50)

    """
    if len(cluster) <= _LONGEST:
        return cluster
    digest = hashlib.sha256(cluster.encode()).hexdigest()[:8]
    return f"{cluster[: _LONGEST - 9].rstrip('-.')}-{digest}"


def kind_config(name: str, settings: Kind) -> dict[str, Any]:
    """Return the configuration as plain data; JSON is YAML, so it needs no other writer.

    kind publishes ports on all addresses and picks the API server's port itself unless told.
    """
    image = settings.node_image
    first: dict[str, Any] = {
        "role": "control-plane",
        "image": image,
        "labels": {"ingress-ready": "true"},
        "extraPortMappings": [
            {
                "containerPort": mapping.node,
                "hostPort": mapping.host,
                "listenAddress": settings.listen,
                "protocol": mapping.protocol,
            }
            for mapping in settings.mappings
        ],
    }
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": name,
        "networking": {"apiServerAddress": "127.0.0.1", "apiServerPort": settings.api_port},
        "nodes": [first, *({"role": "worker", "image": image} for _ in range(settings.workers))],
    }
