"""Routes: the public endpoints of all services and an environment's border become decided routes.

A pure function of descriptors and the ``border`` section;
whether the routes can be is looked at in :mod:`.check_routes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from infometis_sdk.engine.objects import quantity
from infometis_sdk.engine.templates.context import secret_name
from infometis_sdk.model.border import OPEN, Guarded, Member, Route, RouteSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_sdk.model.border import Border
    from infometis_sdk.model.environment import Environment
    from infometis_sdk.model.fault import Origin
    from infometis_sdk.model.service import Endpoint, Service

__all__ = ("announced", "origin_of", "routes_of", "with_members")


def routes_of(services: Mapping[str, Service], environment: Environment) -> tuple[Route, ...]:
    """Return the route of every public endpoint that the environment publishes, by name.

    Example:
        >>> from infometis_sdk.model import Border, Environment, Service
        >>> hello = Service.web("hello", image="example/hello:1", port=80, public=True)
        >>> dev = Environment("dev", border=Border(type="traefik"))
        >>> [route.url for route in routes_of({"hello": hello}, dev)]
        ['https://hello.localhost/']

    """
    border = environment.border
    if border.type == "none":
        return ()
    routes = []
    for service in services.values():
        public = {name: each for name, each in service.endpoints.items() if each.public}
        for name in public:
            key = f"{service.name}.{name}"
            if border.routes.get(key, RouteSettings()).publish:
                label = service.name if len(public) == 1 else f"{name}-{service.name}"
                made = _route(key, service, border, label)
                origin = origin_of(environment, f"routes.{key}")
                routes.append(attrs.evolve(made, origin=origin))
    return tuple(sorted(routes, key=lambda route: route.name))


def origin_of(environment: Environment, path: str) -> Origin:
    """Return file and line of a place in the border's section, or of the nearest above it."""
    here = f"border.{path}" if path else "border"
    while here:
        if here in environment.sources:
            return environment.sources[here]
        here = here.rpartition(".")[0]
    return environment.origin


def _route(name: str, service: Service, border: Border, label: str) -> Route:
    settings = border.routes.get(name, RouteSettings())
    endpoint = service.endpoints[name.partition(".")[2]]
    tls = settings.tls or ("none" if _plain(endpoint, border) else "terminate")
    path = settings.path.rstrip("/") or "/"
    http = endpoint.protocol in ("http", "https") and tls != "passthrough"
    strip = settings.strip if settings.strip is not None else _strips(endpoint)
    auth = settings.auth or _default_auth(border, http=http) or (OPEN if border.anonymous else "")
    route = Route(
        name=name,
        service=service.name,
        backend=endpoint.service or service.name,
        port=endpoint.port,
        endpoint=endpoint,
        # Only plain TCP has no name to tell it by.
        host=settings.host
        or ("" if settings.port and tls == "none" else f"{label}.{border.domain}"),
        path=path if http else "/",
        strip=strip and http and path != "/",
        tls=tls,
        public_port=settings.port or (border.http_port if tls == "none" else border.https_port),
        auth=auth,
        authority=_authority(service, endpoint),
        body_bytes=_bytes(settings.body_limit),
        settings=settings,
    )
    return attrs.evolve(route, guarded=tuple(_guarded(route, border)))


def _authority(service: Service, endpoint: Endpoint) -> str:
    """Return the Secret that holds who signs the certificate of an endpoint."""
    if endpoint.protocol != "https":
        return ""
    own = (name for name, each in service.credentials.items() if each.type == "tls")
    return next((secret_name(service.name, name) for name in own), "")


def _bytes(limit: str) -> int:
    """Read a limit; what is wrong with it is said in :mod:`.check_routes`."""
    try:
        return quantity.bytes_of(limit) if limit else 0
    except ValueError:
        return 0


def _default_auth(border: Border, *, http: bool) -> str:
    """Return the border's own word, which holds for other protocols only if they can carry it."""
    auth = border.auth.get(border.default_auth)
    return border.default_auth if http or (auth is not None and auth.type == "mtls") else ""


def _plain(endpoint: Endpoint, border: Border) -> bool:
    return border.tls.source == "none" or endpoint.protocol == "tcp"


def _strips(endpoint: Endpoint) -> bool:
    """Tell whether a path is taken off where the environment says nothing.

    A service that wants a host of its own can live below a path only if it learns that path.
    """
    return endpoint.path_style == "strip" or "prefix" in endpoint.announce


def _guarded(route: Route, border: Border) -> Iterator[Guarded]:
    """Yield the sensitive operations that want another authentication than the rest."""
    auth = route.settings.sensitive_auth or border.default_sensitive_auth or route.auth
    if not route.http or auth == route.auth:
        return
    for operation in route.endpoint.sensitive:
        yield Guarded(
            paths=tuple(_outside(route, path) for path in operation.paths),
            methods=operation.methods,
            auth=auth,
        )


def _outside(route: Route, path: str) -> str:
    """Return a path of the service as the outside sees it.

    Where the service itself answers below the route's path, its own paths begin with that.
    """
    native = not route.strip and route.endpoint.path.rstrip("/") == route.path
    if route.path == "/" or native:
        return path
    return route.path if path == "/" else f"{route.path}{path}"


def with_members(
    routes: tuple[Route, ...], values: Mapping[str, Mapping[str, object]]
) -> tuple[Route, ...]:
    """Add the pods that must be reached one by one, once their number is known."""
    return tuple(
        attrs.evolve(
            route,
            members=tuple(
                Member(
                    host=f"{route.service}-{number}.{_domain(route)}",
                    service=f"{route.service}-member-{number}",
                )
                for number in range(_count(values, route))
            ),
        )
        if route.endpoint.members
        else route
        for route in routes
    )


def _count(values: Mapping[str, Mapping[str, object]], route: Route) -> int:
    number = values.get(route.service, {}).get(route.endpoint.members)
    return number if isinstance(number, int) else 0


def _domain(route: Route) -> str:
    """Return what follows the first label: one wildcard certificate then covers all members."""
    return route.host.partition(".")[2] or route.host


def announced(routes: tuple[Route, ...]) -> dict[str, dict[str, str | int]]:
    """Return what services learn of their routes: ``{service: {parameter: value}}``."""
    values: dict[str, dict[str, str | int]] = {}
    for route in routes:
        usual = 80 if route.tls == "none" else 443
        port = "" if route.public_port == usual else f":{route.public_port}"
        known: dict[str, str | int] = {
            "url": route.url,
            "host": f"{route.host}{port}",
            "prefix": route.path if route.strip else "",
            "domain": _domain(route),
            "port": route.public_port,
        }
        for what, parameter in route.endpoint.announce.items():
            if known.get(what):
                values.setdefault(route.service, {})[parameter] = known[what]
    return values
