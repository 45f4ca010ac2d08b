"""All routes of a scene, and everything that they name, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_border_traefik.layout import STATUS
from infometis_border_traefik.names import route_objects
from infometis_border_traefik.routing.auth import CHECK, checks, demanded_by_host
from infometis_border_traefik.routing.http import http_route, redirects
from infometis_border_traefik.routing.tcp import tcp_route
from infometis_border_traefik.routing.tls import tls_options
from infometis_border_traefik.routing.values import (
    INTERNAL,
    Backend,
    HttpRoute,
    HttpRule,
    Routing,
)

if TYPE_CHECKING:
    from infometis_border_traefik.layout import Layout
    from infometis_border_traefik.routing.values import Middleware, TcpRoute, Transport
    from infometis_sdk.ports.border import Scene

__all__ = ("READY_PATH", "routing_of")

READY_PATH = "/ready"


def routing_of(scene: Scene, layout: Layout) -> Routing:
    """Return what Traefik is told about the routes of a scene; pure."""
    names = route_objects(route.name for route in scene.routes)
    demanded = demanded_by_host(scene.routes, scene.border.auth)
    http: list[HttpRoute] = []
    tcp: list[TcpRoute] = []
    middlewares: dict[str, Middleware] = {}
    transports: list[Transport] = []
    looked_at: list[str] = []

    def keep(*each: Middleware) -> None:
        middlewares.update((one.name, one) for one in each)

    for route in scene.routes:
        name = names[route.name]
        if route.http:
            made = http_route(route, name, scene, layout, demanded)
            http.append(made.route)
            keep(*made.middlewares)
            transports += made.transports
            looked_at += made.inspected
        else:
            connection, limits = tcp_route(route, name, scene, layout, demanded)
            tcp.append(connection)
            keep(*limits)
    for redirect, middleware in redirects(scene, layout):
        http.append(redirect)
        keep(middleware)
    asked, refusal = checks(scene.border.auth, looked_at)
    http += asked
    if layout.installed:
        http += [_ready(), _api()]
    return Routing(
        http=http,
        tcp=tcp,
        middlewares=[*(middlewares[name] for name in sorted(middlewares)), *refusal],
        transports=transports,
        options=tls_options(scene, demanded) if _encrypted(scene) else (),
    )


def _encrypted(scene: Scene) -> bool:
    return scene.border.tls.source != "none"


def _ready() -> HttpRoute:
    """Return the route that answers once Traefik has loaded all routes, which come together.

    Traefik's own ``/ping`` answers before it has any; a new pod would then get requests, and
    answer that there is no such page.
    """
    rule = HttpRule(match="Path(`/ready`)", priority=1, backend=Backend(service=f"ping{INTERNAL}"))
    return HttpRoute(name="border-ready", entry_point=STATUS, rules=[rule], apart=True)


def _api() -> HttpRoute:
    """Return the route to what Traefik says of itself, read only, for proofs.

    On the loopback interface of its pod: who may forward a port there may read it, nobody else.
    """
    rule = HttpRule(
        match="PathPrefix(`/api/`)", priority=3, backend=Backend(service=f"api{INTERNAL}")
    )
    return HttpRoute(name="border-api", entry_point=CHECK, rules=[rule], apart=True)
