"""Routes that want the same, and routes that would take what belongs to another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_sdk.engine.border.teller import Teller
    from infometis_sdk.model.border import Border, Route
    from infometis_sdk.model.fault import Fault

__all__ = ("clashes", "member_clashes")


def clashes(routes: tuple[Route, ...], border: Border, tell: Teller) -> Iterator[Fault]:
    """Yield where two routes want the same, or one would take what belongs to another."""
    reserved = {border.http_port, border.https_port}
    ports: dict[int, Route] = {}
    named: dict[tuple[str, int], dict[str, Route]] = {}
    for route in routes:
        place = f"routes.{route.name}"
        if not route.http and route.tls == "none":
            if route.public_port in reserved and route.settings.port:
                yield tell(
                    f"{place}.port",
                    "the port belongs to HTTP",
                    found=str(route.public_port),
                    legal="another port",
                )
            first = ports.setdefault(route.public_port, route)
            if first is not route and route.settings.port:
                yield tell(
                    f"{place}.port",
                    f"{first.name} and {route.name} want one port",
                    found=str(route.public_port),
                    legal="two ports",
                )
            continue
        same = named.setdefault((route.host, route.public_port), {})
        clash = same.setdefault(route.path if route.http else "", route)
        if clash is not route:
            yield tell(
                place,
                f"{clash.name} and {route.name} want one route",
                found=route.url,
                legal="another host or path for one of them",
            )
    for same in named.values():
        yield from _overlaps(same, tell)
        yield from _handshakes(same, border, tell)


def member_clashes(routes: tuple[Route, ...], tell: Teller) -> Iterator[Fault]:
    """Yield where a route has the host of a pod that is reached by itself."""
    hosts = {(m.host, r.public_port): r for r in routes for m in r.members}
    for route in routes:
        owner = hosts.get((route.host, route.public_port))
        if owner is not None:
            yield tell(
                f"routes.{route.name}.host",
                f"the host belongs to a pod of {owner.service}",
                found=route.host,
                legal="another host",
            )


def _overlaps(same: Mapping[str, Route], tell: Teller) -> Iterator[Fault]:
    """Yield where a path lies below another one, which then would lack part of what is its own."""
    for path, route in same.items():
        for other_path, other in same.items():
            if other_path not in ("", "/", path) and path.startswith(f"{other_path}/"):
                yield tell(
                    f"routes.{route.name}.path",
                    f"{other.name} at {other_path} would swallow {route.name} at {path}",
                    found=path,
                    legal="a path beside it, or another host",
                )
    plain = same.get("")
    if plain is not None:
        for path, route in same.items():
            if path:
                yield tell(
                    f"routes.{route.name}.host",
                    f"the host belongs to {plain.name}, which is no HTTP",
                    found=route.host,
                    legal="another host",
                )


def _handshakes(same: Mapping[str, Route], border: Border, tell: Teller) -> Iterator[Fault]:
    """Yield where one host would have to ask for two kinds of client certificates.

    Client certificates are asked for in the TLS handshake, before any path is known.
    """
    asked: dict[str, Route] = {}
    for route in same.values():
        if route.tls != "terminate":
            continue
        words = {route.auth, *(guarded.auth for guarded in route.guarded)}
        mutual = sorted(w for w in words if (a := border.auth.get(w)) and a.type == "mtls")
        asked.setdefault(",".join(mutual), route)
        if len(mutual) > 1:
            yield tell(
                f"routes.{route.name}",
                "one host cannot ask for two kinds of certificates",
                found=", ".join(mutual),
                legal="one auth of type mtls a host",
            )
    if len(asked) > 1:
        first, second = list(asked.values())[:2]
        yield tell(
            f"routes.{second.name}.auth",
            f"{first.name} and {second.name} share a host, and only one wants certificates",
            found=second.host,
            legal="the same auth of type mtls, or another host",
        )
