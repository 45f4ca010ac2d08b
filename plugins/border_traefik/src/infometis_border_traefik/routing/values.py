"""What Traefik is to do, apart from the form in which it is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

__all__ = (
    "INTERNAL",
    "Backend",
    "HttpRoute",
    "HttpRule",
    "Middleware",
    "Routing",
    "TcpRoute",
    "TcpRule",
    "TlsOptions",
    "TlsUse",
    "Transport",
)

INTERNAL = "@internal"
"""Ends the names of what Traefik serves itself, such as ``ping@internal``."""


@frozen(kw_only=True)
class Middleware:
    """A rule on the way of a request or of a connection.

    Attributes:
        name: of the object.
        kind: Traefik's word for it, such as ``stripPrefix``.
        spec: what it is told; a Secret stands in it as ``{"secret": name}``.
        tcp: whether it belongs to connections.

    """

    name: str
    kind: str
    spec: Mapping[str, Any]
    tcp: bool = False


@frozen(kw_only=True)
class Transport:
    """How Traefik speaks to a backend.

    Attributes:
        name: of the object.
        server_name: name that the certificate must hold; empty for plain backends.
        authority: Secret whose ``ca.crt`` must have signed it; empty for the system's.
        timeout: seconds until the answer must begin; 0 for no limit.

    """

    name: str
    server_name: str = ""
    authority: str = ""
    timeout: float = 0.0


@frozen(kw_only=True)
class Backend:
    """Where requests go.

    Attributes:
        service: name of the Kubernetes Service, or of something ``@internal``.
        port: its port.
        scheme: ``http`` or ``https``.
        transport: name of a :class:`Transport`; empty for the default.
        cookie: name of the cookie that keeps a client on one pod; empty for none.
        secure_cookie: whether that cookie goes over TLS only.

    """

    service: str
    port: int = 0
    scheme: str = "http"
    transport: str = ""
    cookie: str = ""
    secure_cookie: bool = True


@frozen(kw_only=True)
class TlsUse:
    """How a route uses TLS.

    Attributes:
        options: name of a :class:`TlsOptions`.
        secret: with the certificate; empty where a resolver has it.
        resolver: of ACME certificates.
        passthrough: the service holds the certificate.

    """

    options: str = ""
    secret: str = ""
    resolver: str = ""
    passthrough: bool = False


@frozen(kw_only=True)
class HttpRule:
    """One router: which requests, how important, through what, where to."""

    match: str
    priority: int
    middlewares: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    backend: Backend


@frozen(kw_only=True)
class HttpRoute:
    """Routers of one entry point that belong together.

    Attributes:
        apart: it lives beside Traefik, not beside the services: routes to ``@internal``.

    """

    name: str
    entry_point: str
    rules: tuple[HttpRule, ...] = field(converter=tuple[HttpRule, ...])
    tls: TlsUse | None = None
    apart: bool = False


@frozen(kw_only=True)
class TcpRule:
    """One router of connections."""

    match: str
    priority: int
    service: str
    port: int


@frozen(kw_only=True)
class TcpRoute:
    """Routers of connections that belong together; ``middlewares`` hold for all of them."""

    name: str
    entry_point: str
    rules: tuple[TcpRule, ...] = field(converter=tuple[TcpRule, ...])
    middlewares: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    tls: TlsUse | None = None


@frozen(kw_only=True)
class TlsOptions:
    """Rules of the handshake.

    Attributes:
        name: of the object; ``default`` for names that no route has.
        minimum: oldest version: ``1.2`` or ``1.3``.
        authority: Secret whose ``ca.crt`` must have signed the certificates of clients;
            empty where none are asked for.
        demanded: clients without a certificate are refused in the handshake.

    """

    name: str
    minimum: str
    authority: str = ""
    demanded: bool = True


@frozen(kw_only=True)
class Routing:
    """Everything that Traefik is told about routes."""

    http: tuple[HttpRoute, ...] = field(default=(), converter=tuple[HttpRoute, ...])
    tcp: tuple[TcpRoute, ...] = field(default=(), converter=tuple[TcpRoute, ...])
    middlewares: tuple[Middleware, ...] = field(default=(), converter=tuple[Middleware, ...])
    transports: tuple[Transport, ...] = field(default=(), converter=tuple[Transport, ...])
    options: tuple[TlsOptions, ...] = field(default=(), converter=tuple[TlsOptions, ...])
