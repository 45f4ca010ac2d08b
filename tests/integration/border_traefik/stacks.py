"""Stacks whose border is Traefik, rendered as the engine renders them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from infometis_border_traefik import Traefik
from infometis_border_traefik.border import TraefikBorder
from infometis_sdk.engine.border.scene import Publisher
from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.render import render
from infometis_sdk.model import Border, Project

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.integration.engine.lab import Lab

    from infometis_sdk.model import ManifestSet, Service

__all__ = ("wanted",)


def wanted(
    lab: Lab,
    services: Iterable[Service],
    *,
    settings: Traefik | None = None,
    capabilities: Mapping[str, str] | None = None,
    host_ports: Mapping[int, int] | None = None,
    **border: Any,
) -> ManifestSet:
    """Return everything that a stack with such a border wants."""
    full = Border(**{"type": "traefik", "anonymous": True, **border})
    environment = attrs.evolve(lab.environment, border=full)
    project = Project(name=lab.name, id=lab.name, services={s.name: s for s in services})
    publisher = Publisher(
        name="traefik",
        adapter=TraefikBorder(),
        settings=settings or Traefik(),
        capabilities=capabilities or {},
        host_ports=host_ports or {},
    )
    return render(compose(project, environment, publisher=publisher))
