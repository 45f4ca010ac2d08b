"""The neutral limits and rewrites of a route as Traefik's middlewares.

Source: https://doc.traefik.io/traefik/reference/routing-configuration/http/middlewares/overview/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_border_traefik.routing.values import Middleware

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.model.border import BorderTls, Route

__all__ = ("answer", "connection_limits", "limits", "once_inside", "redirect", "rewrites")

_HTTPS = 443
_OVERRIDES = ("X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override")


def answer(name: str, route: Route, tls: BorderTls) -> Iterator[Middleware]:
    """Yield what is done to every answer, refusals too."""
    spec: dict[str, Any] = {}
    if route.settings.response_headers:
        spec["customResponseHeaders"] = dict(route.settings.response_headers)
    if tls.hsts and route.tls == "terminate":
        spec["stsSeconds"] = tls.hsts
    if spec:
        yield Middleware(name=f"{name}-answer", kind="headers", spec=spec)


def limits(name: str, route: Route, trusted: tuple[str, ...]) -> Iterator[Middleware]:
    """Yield what is looked at before anybody is asked who he is."""
    settings = route.settings
    # Without proxies in front it is the address of the connection that counts: a header of the
    # client's own could name any other.
    client: dict[str, Any] = {"excludedIPs": list(trusted)} if trusted else {"depth": 0}
    if settings.allow:
        spec: dict[str, Any] = {"sourceRange": list(settings.allow), "ipStrategy": client}
        yield Middleware(name=f"{name}-allow", kind="ipAllowList", spec=spec)
    if settings.rate:
        spec = {
            "average": settings.rate.average,
            "burst": settings.rate.burst or settings.rate.average,
            "period": "1s",
            "sourceCriterion": {"ipStrategy": client},
        }
        yield Middleware(name=f"{name}-rate", kind="rateLimit", spec=spec)
    if settings.in_flight:
        # Traefik's own default counts by host, so one client could shut out all others.
        spec = {"amount": settings.in_flight, "sourceCriterion": {"ipStrategy": client}}
        yield Middleware(name=f"{name}-in-flight", kind="inFlightReq", spec=spec)


def once_inside(name: str, route: Route) -> Iterator[Middleware]:
    """Yield what costs memory or repeats work: only for those who may pass."""
    if route.body_bytes:
        spec: dict[str, Any] = {"maxRequestBodyBytes": route.body_bytes}
        yield Middleware(name=f"{name}-body", kind="buffering", spec=spec)
    if route.settings.retries:
        # Traefik counts the first try. Where nothing was sent yet it tries again by itself; 502 is
        # what it says of a service that hung up, and then only idempotent methods are repeated.
        spec = {
            "attempts": route.settings.retries + 1,
            "initialInterval": "100ms",
            "status": ["502"],
        }
        yield Middleware(name=f"{name}-retry", kind="retry", spec=spec)


def rewrites(name: str, route: Route) -> Iterator[Middleware]:
    """Yield what the service is told otherwise than the client said it."""
    if route.strip:
        spec: dict[str, Any] = {"prefixes": [route.path]}
        yield Middleware(name=f"{name}-strip", kind="stripPrefix", spec=spec)
    headers = dict(route.settings.request_headers)
    if route.guarded:
        # Some servers take the method from a header, past the rule of a sensitive operation.
        headers = {**dict.fromkeys(_OVERRIDES, ""), **headers}
    if route.endpoint.protocol == "https":
        # A server that speaks TLS answers to the names on its certificate only; the public name
        # is in X-Forwarded-Host.
        headers = {"Host": route.backend, **headers}
    if headers:
        spec = {"customRequestHeaders": headers}
        yield Middleware(name=f"{name}-request", kind="headers", spec=spec)


def redirect(port: int, *, permanent: bool) -> Middleware:
    """Return what sends clients from HTTP to HTTPS, on an unusual port too."""
    spec: dict[str, Any] = {"scheme": "https", "permanent": permanent}
    if port != _HTTPS:
        spec["port"] = str(port)
    return Middleware(name="border-redirect", kind="redirectScheme", spec=spec)


def connection_limits(name: str, route: Route) -> Iterator[Middleware]:
    """Yield the limits of a route of connections."""
    if route.settings.allow:
        spec: dict[str, Any] = {"sourceRange": list(route.settings.allow)}
        yield Middleware(name=f"{name}-allow", kind="ipAllowList", spec=spec, tcp=True)
    if route.settings.in_flight:
        spec = {"amount": route.settings.in_flight}
        yield Middleware(name=f"{name}-in-flight", kind="inFlightConn", spec=spec, tcp=True)
