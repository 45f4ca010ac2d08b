"""Routes of HTTP: routers with their middlewares, backends and redirects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen

from infometis_border_traefik.routing import rules
from infometis_border_traefik.routing.auth import guards, inspected
from infometis_border_traefik.routing.middlewares import (
    answer,
    limits,
    once_inside,
    redirect,
    rewrites,
)
from infometis_border_traefik.routing.tls import tls_use
from infometis_border_traefik.routing.values import (
    Backend,
    HttpRoute,
    HttpRule,
    Middleware,
    Transport,
)
from infometis_sdk.model.border import OPEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_border_traefik.layout import Layout
    from infometis_border_traefik.settings import Traefik
    from infometis_sdk.model.border import Route
    from infometis_sdk.ports.border import Scene

__all__ = ("Made", "http_route", "redirects")

_REDIRECT_PRIORITY = 10


@frozen(kw_only=True)
class Made:
    """A route and what it names."""

    route: HttpRoute
    middlewares: tuple[Middleware, ...] = field(converter=tuple[Middleware, ...])
    transports: tuple[Transport, ...] = field(converter=tuple[Transport, ...])
    inspected: tuple[str, ...] = field(default=(), converter=tuple[str, ...])


def http_route(
    route: Route,
    name: str,
    scene: Scene,
    layout: Layout,
    demanded: Mapping[tuple[str, int], tuple[str, bool]],
) -> Made:
    """Return the routers of one route: the route itself, and above it its sensitive operations."""
    before = [
        *answer(name, route, scene.border.tls),
        *limits(name, route, _forwarders(scene.settings)),
    ]
    after = [*once_inside(name, route), *rewrites(name, route)]
    asked = demanded.get((route.host, route.public_port)) if route.tls == "terminate" else None
    everywhere = asked is not None and asked[1]
    transport = _transport(name, route)
    backend = Backend(
        service=route.backend,
        port=route.port,
        scheme=route.endpoint.protocol,
        transport=transport.name if transport else "",
        cookie=f"{name}-pod" if route.endpoint.sticky else "",
        secure_cookie=route.tls == "terminate",
    )
    made: dict[str, Middleware] = {each.name: each for each in (*before, *after)}
    looked_at: list[str] = []

    def through(word: str) -> list[str]:
        between: list[Middleware] = []
        if word != OPEN:
            auth = scene.border.auth[word]
            inspect = inspected(auth, demanded=everywhere)
            between = list(guards(word, auth, inspect=inspect))
            looked_at.extend([word] if inspect else [])
        made.update((each.name, each) for each in between)
        chain = [each.name for each in (*before, *between, *after)]
        return [*chain, *route.settings.middlewares]

    place = rules.all_of(rules.host(route.host), rules.under(route.path))
    routers = [
        HttpRule(
            match=rules.all_of(place, rules.operation(guarded.paths, guarded.methods)),
            priority=rules.priority(route.path, guarded=True),
            middlewares=through(guarded.auth),
            backend=backend,
        )
        for guarded in route.guarded
    ]
    routers.append(
        HttpRule(
            match=place,
            priority=rules.priority(route.path),
            middlewares=through(route.auth),
            backend=backend,
        )
    )
    tls = tls_use(scene, asked) if route.tls == "terminate" else None
    entry_point = layout.entry_point(tls=tls is not None, public=route.public_port, http=True)
    return Made(
        route=HttpRoute(name=name, entry_point=entry_point, rules=routers, tls=tls),
        middlewares=list(made.values()),
        transports=[transport] if transport else [],
        inspected=looked_at,
    )


def _forwarders(settings: Traefik) -> tuple[str, ...]:
    """Return the proxies that name the client in a header.

    One that speaks the PROXY protocol gives its connection the address of the client.
    """
    return () if settings.proxy_protocol else settings.trusted_proxies


def _transport(name: str, route: Route) -> Transport | None:
    """Return how the backend is spoken to, where Traefik's own way is not enough."""
    if route.endpoint.protocol != "https" and not route.settings.timeout:
        return None
    encrypted = route.endpoint.protocol == "https"
    return Transport(
        name=name,
        server_name=route.backend if encrypted else "",
        authority=route.authority if encrypted else "",
        timeout=route.settings.timeout,
    )


def redirects(scene: Scene, layout: Layout) -> Iterator[tuple[HttpRoute, Middleware]]:
    """Yield what sends clients of HTTP to HTTPS: for the hosts that have it, not for all others."""
    tls = scene.border.tls
    # A router must name a backend, though none is ever reached: one of the host's own.
    named = {r.host: r for r in scene.routes if r.http and r.tls == "terminate"}
    if not tls.redirect or tls.source == "none" or not named:
        return
    # Browsers keep a permanent redirect for ever, which is no good on a developer's machine.
    middleware = redirect(scene.border.https_port, permanent=tls.source != "development")
    routers = [
        HttpRule(
            match=rules.host(host),
            priority=_REDIRECT_PRIORITY,
            middlewares=[middleware.name],
            backend=Backend(service=route.backend, port=route.port, scheme=route.endpoint.protocol),
        )
        for host, route in sorted(named.items())
    ]
    yield HttpRoute(name="border-redirect", entry_point=layout.http, rules=routers), middleware
