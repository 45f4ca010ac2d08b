"""How the outside gets to Traefik's pods: Services and NetworkPolicies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infometis_border_traefik.layout import METRICS_PORT
from infometis_border_traefik.names import BORDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_border_traefik.layout import Layout
    from infometis_sdk.ports.border import Scene

__all__ = ("network_policy", "services")

_TYPES = {
    "cluster": "ClusterIP",
    "host-ports": "ClusterIP",
    "load-balancer": "LoadBalancer",
    "node-ports": "NodePort",
}
_HTTPS_PORTS = (443, 6443, 8443, 16443)
"""Where ACME servers and Kubernetes APIs listen: the usual one, kubeadm, k0s and kind, MicroK8s."""


def services(scene: Scene, layout: Layout) -> Iterator[dict[str, Any]]:
    """Yield the Service that publishes, and the one where metrics are read."""
    kind = _TYPES[layout.published_by]
    ports = []
    for listener in layout.listeners:
        port: dict[str, Any] = {
            "name": listener.name,
            "port": listener.public,
            "targetPort": listener.name,
        }
        if layout.published_by == "node-ports" and listener.node:
            port["nodePort"] = listener.node
        ports.append(port)
    spec: dict[str, Any] = {"type": kind, "selector": dict(layout.selector), "ports": ports}
    judged = any(route.settings.allow or route.settings.rate for route in scene.routes)
    if layout.published_by == "load-balancer" or (layout.published_by == "node-ports" and judged):
        # The address of the client counts for allow-lists and limits; through another node it
        # would be lost.
        spec["externalTrafficPolicy"] = "Local"
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": BORDER, "namespace": layout.namespace},
        "spec": spec,
    }
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"{BORDER}-metrics", "namespace": layout.namespace},
        "spec": {
            "selector": dict(layout.selector),
            "ports": [{"name": "metrics", "port": METRICS_PORT, "targetPort": "metrics"}],
        },
    }


def network_policy(scene: Scene, layout: Layout) -> dict[str, Any]:
    """Return what Traefik may do in its own namespace.

    In: what is published, from everywhere; metrics, from inside the cluster.
    Out: the services, names, the Kubernetes API and servers of ACME, services that decide who may
    pass.
    """
    everywhere = [
        {"port": port, "protocol": "TCP"} for port in sorted({*_HTTPS_PORTS, *_asked_ports(scene)})
    ]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": BORDER, "namespace": layout.namespace},
        "spec": {
            "podSelector": {"matchLabels": dict(layout.selector)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "ports": [
                        {"port": listener.port, "protocol": "TCP"} for listener in layout.listeners
                    ]
                },
                {
                    "from": [{"namespaceSelector": {}}],
                    "ports": [{"port": METRICS_PORT, "protocol": "TCP"}],
                },
            ],
            "egress": [
                {
                    "to": [
                        {
                            "namespaceSelector": {
                                "matchLabels": {"kubernetes.io/metadata.name": layout.home}
                            }
                        }
                    ]
                },
                {
                    "to": [{"namespaceSelector": {}}],
                    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
                },
                {"ports": everywhere},
            ],
        },
    }


def _asked_ports(scene: Scene) -> Iterator[int]:
    for auth in scene.border.auth.values():
        if auth.type == "forward":
            address = urlsplit(auth.address)
            yield address.port or (443 if address.scheme == "https" else 80)
    if scene.border.tls.acme is not None:
        yield urlsplit(scene.border.tls.acme.server).port or 443
