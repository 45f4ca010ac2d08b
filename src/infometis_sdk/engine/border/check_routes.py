"""What is wrong with one route: its names, its path, its limits, who may use it."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from infometis_sdk.engine.border.teller import DNS, Teller
from infometis_sdk.engine.border.words import (
    HEADER,
    HEADER_VALUE,
    OBJECT_NAME,
    PATH,
    dns_name,
)
from infometis_sdk.engine.objects import quantity
from infometis_sdk.model.border import OPEN, TLS_MODES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.model.border import Border, Route, RouteSettings
    from infometis_sdk.model.fault import Fault

__all__ = ("route_faults",)


def route_faults(route: Route, border: Border, tell: Teller) -> Iterator[Fault]:
    """Yield what is wrong with a route by itself."""
    path, settings = f"routes.{route.name}", route.settings
    if settings.host and not dns_name(settings.host):
        yield tell(f"{path}.host", "not a DNS name", found=repr(route.host), legal=DNS)
    if not _signable(route, border):
        yield tell(
            f"{path}.host",
            f"the development authority signs for {border.domain} alone",
            found=route.host,
            legal=f"a name below {border.domain}, or another tls.source",
        )
    yield from _tls_faults(path, route, border, tell)
    if not route.auth:
        yield tell(
            f"{path}.auth",
            f"nothing says who may use {route.name}",
            legal=f"auth: NAME or auth: {OPEN} here, default_auth, or anonymous: true",
        )
    yield from _limit_faults(path, settings, tell)
    yield from _name_faults(path, settings, tell)
    yield from (
        _path_faults(path, route, tell) if route.http else _plain_faults(path, route, border, tell)
    )


def _signable(route: Route, border: Border) -> bool:
    if border.tls.source != "development" or route.tls != "terminate" or not route.settings.host:
        return True
    return f".{route.host}".endswith(f".{border.domain}")


def _tls_faults(path: str, route: Route, border: Border, tell: Teller) -> Iterator[Fault]:
    yield from tell.word(f"{path}.tls", route.settings.tls, TLS_MODES)
    if route.tls == "none" and border.tls.required and border.tls.source != "none":
        yield tell(
            f"{path}.tls",
            "a route without TLS, which the environment requires",
            found="none",
            legal="terminate or passthrough, or tls.required: false",
        )
    if route.tls == "terminate" and border.tls.source == "none":
        yield tell(
            f"{path}.tls",
            "there is no certificate to terminate TLS with",
            found="tls.source: none",
            legal="a source, or tls: none",
        )
    if route.tls == "passthrough" and route.endpoint.protocol == "http":
        yield tell(
            f"{path}.tls",
            "the service speaks no TLS that could be passed through",
            found=f"protocol: {route.endpoint.protocol}",
            legal="terminate",
        )


def _plain_faults(path: str, route: Route, border: Border, tell: Teller) -> Iterator[Fault]:
    """Yield what is wrong with a route that carries no HTTP."""
    settings = route.settings
    wanted = settings.sensitive_auth or border.default_sensitive_auth
    if route.tls == "passthrough" and route.endpoint.sensitive and wanted:
        yield tell(
            f"{path}.tls",
            "the border sees no operations of a route that it passes through",
            found=f"{wanted} for sensitive ones",
            legal="terminate, or no auth for sensitive operations",
        )
    if route.endpoint.protocol == "kafka" and route.tls == "none":
        yield tell(
            f"{path}.tls",
            "Kafka is told apart by the name in the TLS handshake",
            found="none",
            legal="terminate or passthrough",
        )
    if route.endpoint.protocol == "tcp" and route.tls == "none" and not settings.port:
        yield tell(
            f"{path}.port",
            f"nothing routes {route.name}: plain TCP has no name to tell it by",
            legal="a port of its own, or publish: false",
        )
    if settings.port:
        yield from tell.port(f"{path}.port", settings.port)
    auth = border.auth.get(route.auth)
    if auth is not None and not (auth.type == "mtls" and route.tls == "terminate"):
        yield tell(
            f"{path}.auth",
            f"{route.endpoint.protocol} carries no {auth.type} authentication",
            found=route.auth,
            legal="mtls with tls: terminate, or open",
        )
    for field in (
        "path",
        "strip",
        "sensitive_auth",
        "rate",
        "request_headers",
        "response_headers",
        "timeout",
        "retries",
        "body_limit",
    ):
        if getattr(settings, field) not in ("/", None, "", {}, 0):
            yield tell(f"{path}.{field}", "only HTTP has such", legal=f"no {field}")


def _path_faults(path: str, route: Route, tell: Teller) -> Iterator[Fault]:
    settings, endpoint = route.settings, route.endpoint
    plain = PATH.fullmatch(settings.path) and settings.path.startswith("/")
    if not plain or any(part in (".", "..") for part in settings.path.split("/")):
        yield tell(
            f"{path}.path",
            "not a path",
            found=repr(settings.path),
            legal="/ and words of letters, digits and ._~-, joined by slashes",
        )
        return
    if settings.port:
        yield tell(f"{path}.port", "HTTP shares the ports of the border", legal="no port")
    if route.path == "/":
        return
    knows = "url" in endpoint.announce or endpoint.path.rstrip("/") == route.path
    if not route.strip and endpoint.path_style == "host":
        yield tell(
            f"{path}.path",
            f"{route.name} wants a host of its own",
            found=route.path,
            legal="path: /, or strip: true where the service learns of the prefix",
        )
    elif not route.strip and not knows:
        yield tell(
            f"{path}.path",
            f"{route.name} does not answer below this path",
            found=route.path,
            legal=f"{endpoint.path}, or strip: true",
        )


def _limit_faults(path: str, settings: RouteSettings, tell: Teller) -> Iterator[Fault]:
    for index, text in enumerate(settings.allow):
        try:
            ipaddress.ip_network(text)
        except ValueError:
            yield tell(
                f"{path}.allow[{index}]",
                "not a CIDR range",
                found=repr(text),
                legal="such as 10.0.0.0/8 or 2001:db8::/32, no host bits set",
            )
    if settings.rate and (settings.rate.average < 1 or settings.rate.burst < 0):
        yield tell(f"{path}.rate", "is out of bounds", legal="average 1 or more, burst 0 or more")
    for name, least in (("in_flight", 0), ("retries", 0), ("timeout", 0)):
        if getattr(settings, name) < least:
            yield tell(
                f"{path}.{name}",
                "is out of bounds",
                found=str(getattr(settings, name)),
                legal=f"{least} or more",
            )
    if settings.body_limit:
        try:
            quantity.bytes_of(settings.body_limit)
        except ValueError:
            yield tell(
                f"{path}.body_limit",
                "is no quantity",
                found=repr(settings.body_limit),
                legal="bytes, such as 10Mi",
            )


def _name_faults(path: str, settings: RouteSettings, tell: Teller) -> Iterator[Fault]:
    for field in ("request_headers", "response_headers"):
        for header, value in getattr(settings, field).items():
            if not HEADER.fullmatch(header) or not HEADER_VALUE.fullmatch(value):
                yield tell(
                    f"{path}.{field}.{header}",
                    "not a header",
                    found=repr(value),
                    legal="a token of RFC 9110, and visible ASCII as its value",
                )
    for index, name in enumerate(settings.middlewares):
        if not OBJECT_NAME.fullmatch(name):
            yield tell(
                f"{path}.middlewares[{index}]",
                "not the name of an object",
                found=repr(name),
                legal="a DNS name",
            )
