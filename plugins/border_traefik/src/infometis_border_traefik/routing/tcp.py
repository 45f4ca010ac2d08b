"""Routes of connections: plain TCP by a port of its own, all else by the name in the handshake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_border_traefik.routing import rules
from infometis_border_traefik.routing.middlewares import connection_limits
from infometis_border_traefik.routing.tls import tls_use
from infometis_border_traefik.routing.values import TcpRoute, TcpRule, TlsUse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_border_traefik.layout import Layout
    from infometis_border_traefik.routing.values import Middleware
    from infometis_sdk.model.border import Route
    from infometis_sdk.ports.border import Scene

__all__ = ("tcp_route",)

_PRIORITY = 1000


def tcp_route(
    route: Route,
    name: str,
    scene: Scene,
    layout: Layout,
    demanded: Mapping[tuple[str, int], tuple[str, bool]],
) -> tuple[TcpRoute, list[Middleware]]:
    """Return the routers of one route, and its limits.

    A client of Kafka asks the bootstrap host for the brokers, and then connects to each broker's
    own host; so every member has a router of its own.
    """
    middlewares = list(connection_limits(name, route))
    tls: TlsUse | None = None
    if route.tls == "terminate":
        tls = tls_use(scene, demanded.get((route.host, route.public_port)))
    elif route.tls == "passthrough":
        tls = TlsUse(passthrough=True)
    places = [(route.host if tls else "", route.backend)]
    if tls:
        places += [(member.host, member.service) for member in route.members]
    routers = [
        TcpRule(match=rules.sni(host), priority=_PRIORITY, service=service, port=route.port)
        for host, service in places
    ]
    entry_point = layout.entry_point(tls=tls is not None, public=route.public_port, http=False)
    made = TcpRoute(
        name=name,
        entry_point=entry_point,
        rules=routers,
        middlewares=[*(each.name for each in middlewares), *route.settings.middlewares],
        tls=tls,
    )
    return made, middlewares
