"""What Traefik says that it loaded, held against what was rendered; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.model.border_report import Proof

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from infometis_sdk.model.border import Route

__all__ = ("Expected", "Loaded", "expected_routers", "loaded_proofs")

_ROUTES = {"IngressRoute": "http", "IngressRouteTCP": "tcp"}


@frozen(kw_only=True)
class Expected:
    """A router that must be there.

    Attributes:
        route: name of the route that it serves.
        protocol: ``http`` or ``tcp``.
        rule: as it was rendered, and as Traefik repeats it.
        middlewares: how many rules of conduct it has; one that is lost is a door left open.

    """

    route: str
    protocol: str
    rule: str
    middlewares: int = 0


@frozen(kw_only=True)
class Loaded:
    """The answers of Traefik's API.

    Attributes:
        version: of Traefik.
        routers: by protocol, each as the API gives it.
        middlewares: by protocol, the same.

    """

    version: str = ""
    routers: Mapping[str, tuple[Mapping[str, Any], ...]] = field(factory=dict)
    middlewares: Mapping[str, tuple[Mapping[str, Any], ...]] = field(factory=dict)


def expected_routers(
    objects: Iterable[Mapping[str, Any]], routes: Sequence[Route]
) -> tuple[Expected, ...]:
    """Return the routers that rendered objects ask for, each with the route that it serves."""
    return tuple(
        Expected(
            route=_served(rule, protocol, routes),
            protocol=protocol,
            rule=str(rule["match"]),
            middlewares=len(rule.get("middlewares") or ()),
        )
        for obj in objects
        if (protocol := _ROUTES.get(str(obj["kind"])))
        for rule in obj["spec"]["routes"]
    )


def loaded_proofs(
    expected: Sequence[Expected], loaded: Loaded, routes: Sequence[Route]
) -> tuple[Proof, ...]:
    """Return for each route whether Traefik loaded all of it, and without a complaint."""
    return tuple(
        _proof(route.name, [each for each in expected if each.route == route.name], loaded)
        for route in routes
    )


def _proof(route: str, expected: Sequence[Expected], loaded: Loaded) -> Proof:
    troubles = [text for each in expected for text in _troubles(each, loaded)]
    if not expected:
        troubles = ["nothing was rendered for it"]
    if troubles:
        return Proof(route=route, what="loaded", state="failed", detail="; ".join(troubles))
    count = len(expected)
    detail = f"{count} router{'s' if count != 1 else ''}, Traefik {loaded.version}"
    return Proof(route=route, what="loaded", state="passed", detail=detail)


def _troubles(expected: Expected, loaded: Loaded) -> Iterator[str]:
    found = [
        router
        for router in loaded.routers.get(expected.protocol, ())
        if router.get("rule") == expected.rule
    ]
    if not found:
        yield f"Traefik has no router for {expected.rule}: {_WHY}"
    for router in found:
        name = router.get("name", "a router")
        if router.get("status") != "enabled" or router.get("error"):
            errors = ", ".join(router.get("error") or ()) or router.get("status", "not enabled")
            yield f"{name}: {errors}"
        names = router.get("middlewares") or ()
        if len(names) < expected.middlewares:
            yield f"{name}: {len(names)} of {expected.middlewares} middlewares"
        for middleware in loaded.middlewares.get(expected.protocol, ()):
            if middleware.get("name") in names and middleware.get("error"):
                yield f"{middleware['name']}: {', '.join(middleware['error'])}"


_WHY = "a Secret, a Service or a middleware that it names is missing, or its class is another's"


def _served(rule: Mapping[str, Any], protocol: str, routes: Sequence[Route]) -> str:
    """Return the route that a rule serves: the one whose Service and names it holds."""
    match = str(rule["match"])
    services = {str(each["name"]) for each in rule.get("services") or ()}
    for route in routes:
        hosts = [route.host, *(member.host for member in route.members)]
        backends = {route.backend, *(member.service for member in route.members)}
        named = any(f"`{host}`" in match for host in hosts if host)
        if (protocol == "http") == route.http and (named or not route.host) and services & backends:
            return route.name
    return ""
