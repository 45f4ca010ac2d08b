"""The adapter: a scene becomes everything that publishes it through Traefik."""

from __future__ import annotations

from typing import Any

from infometis_border_traefik.install.install import installation
from infometis_border_traefik.layout import layout_of
from infometis_border_traefik.routing.route import routing_of
from infometis_border_traefik.routing.tls import certificate_objects, secrets
from infometis_border_traefik.writers.resources import resources
from infometis_sdk.model.environment import Peer
from infometis_sdk.ports.border import FEATURES, BorderAdapter, BorderManifests, Scene

__all__ = ("TraefikBorder",)


class TraefikBorder(BorderAdapter):
    """Publishes routes through Traefik."""

    @property
    def features(self) -> frozenset[str]:
        """What Traefik can do: all but egress."""
        return frozenset(FEATURES) - {"egress"}

    def render(self, scene: Scene) -> BorderManifests:
        """Return everything that publishes the routes of a scene."""
        layout = layout_of(scene)
        routing = routing_of(scene, layout)
        made = tuple(secrets(scene))
        objects: list[dict[str, Any]] = []
        if layout.installed:
            objects += installation(scene, layout, tuple(secret.name for secret in made))
        objects += certificate_objects(scene)
        objects += resources(routing, layout, scene.settings.ingress_class)
        peer = Peer(namespace=layout.namespace, pods=layout.selector)
        return BorderManifests(objects=objects, secrets=made, peers=[peer])
