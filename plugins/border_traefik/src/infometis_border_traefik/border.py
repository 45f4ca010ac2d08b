"""The adapter: a scene becomes everything that publishes it through Traefik."""

from __future__ import annotations

from infometis_sdk.ports.border import BorderAdapter, BorderManifests, Scene

__all__ = ("TraefikBorder",)


class TraefikBorder(BorderAdapter):
    """Publishes routes through Traefik."""

    @property
    def features(self) -> frozenset[str]:
        """What Traefik can do."""
        return frozenset({"paths", "strip", "redirect", "tls"})

    def render(self, scene: Scene) -> BorderManifests:
        """Return everything that publishes the routes of a scene."""
        del scene
        return BorderManifests(objects=())
