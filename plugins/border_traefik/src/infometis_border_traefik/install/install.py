"""Everything that makes a Traefik: none of it where the cluster has one already."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from infometis_border_traefik.install.crds import crds
from infometis_border_traefik.install.publish import network_policy, services
from infometis_border_traefik.install.rbac import rbac
from infometis_border_traefik.install.workload import workload
from infometis_border_traefik.names import INGRESS_CLASS_CONTROLLER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infometis_border_traefik.layout import Layout
    from infometis_sdk.ports.border import Scene

__all__ = ("installation",)


def installation(scene: Scene, layout: Layout, mounted: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the objects.

    Definitions and classes belong to the cluster, so guests of a cluster bring none.
    """
    if scene.mode == "independent" and not layout.reads_files:
        yield from copy.deepcopy(crds())
        yield _ingress_class(layout.ingress_class)
    if layout.apart:
        yield _namespace(layout)
        yield network_policy(scene, layout)
    yield from rbac(layout)
    yield from workload(scene, layout, mounted)
    yield from services(scene, layout)


def _ingress_class(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name},
        "spec": {"controller": INGRESS_CLASS_CONTROLLER},
    }


def _namespace(layout: Layout) -> dict[str, Any]:
    # Ports of nodes are beyond what any level but the first one permits.
    level = "privileged" if layout.published_by == "host-ports" else "restricted"
    labels = {f"pod-security.kubernetes.io/{what}": level for what in ("enforce", "audit", "warn")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": layout.namespace, "labels": labels},
    }
