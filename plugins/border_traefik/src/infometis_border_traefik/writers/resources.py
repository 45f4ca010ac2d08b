"""Routes as custom resources of ``traefik.io/v1alpha1``.

Source: https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/crd/http/ingressroute/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_border_traefik.routing.tls import CIPHERS
from infometis_border_traefik.routing.values import INTERNAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_border_traefik.layout import Layout
    from infometis_border_traefik.routing.values import (
        Backend,
        HttpRoute,
        Middleware,
        Routing,
        TcpRoute,
        TlsOptions,
        TlsUse,
        Transport,
    )

__all__ = ("resources",)


def resources(routing: Routing, layout: Layout) -> Iterator[dict[str, Any]]:
    """Yield the objects; what routes name comes before them."""
    for options in routing.options:
        yield _options(options, layout)
    for transport in routing.transports:
        yield _object("ServersTransport", transport.name, _transport(transport))
    apart = {name for route in routing.http if route.apart for name in _named(route)}
    for middleware in routing.middlewares:
        namespace = layout.namespace if middleware.name in apart else ""
        yield _middleware(middleware, namespace)
    for route in routing.http:
        namespace = layout.namespace if route.apart else ""
        yield _object("IngressRoute", route.name, _http(route, layout.ingress_class), namespace)
    for connection in routing.tcp:
        yield _object("IngressRouteTCP", connection.name, _tcp(connection, layout.ingress_class))


def _named(route: HttpRoute) -> set[str]:
    return {name for rule in route.rules for name in rule.middlewares}


def _object(kind: str, name: str, spec: dict[str, Any], namespace: str = "") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }


def _http(route: HttpRoute, ingress_class: str) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "entryPoints": [route.entry_point],
        "routes": [
            {
                "kind": "Rule",
                "match": rule.match,
                "priority": rule.priority,
                **_through(rule.middlewares),
                "services": [_service(rule.backend)],
            }
            for rule in route.rules
        ],
    }
    return _finished(spec, route.tls, ingress_class)


def _through(names: tuple[str, ...]) -> dict[str, Any]:
    return {"middlewares": [{"name": name} for name in names]} if names else {}


def _service(backend: Backend) -> dict[str, Any]:
    if backend.service.endswith(INTERNAL):
        return {"kind": "TraefikService", "name": backend.service}
    service: dict[str, Any] = {
        "kind": "Service",
        "name": backend.service,
        "port": backend.port,
        "scheme": backend.scheme,
    }
    if backend.transport:
        service["serversTransport"] = backend.transport
    if backend.cookie:
        cookie = {
            "name": backend.cookie,
            "httpOnly": True,
            "sameSite": "lax",
            "secure": backend.secure_cookie,
        }
        service["sticky"] = {"cookie": cookie}
    return service


def _tcp(route: TcpRoute, ingress_class: str) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "entryPoints": [route.entry_point],
        "routes": [
            {
                "match": rule.match,
                "priority": rule.priority,
                **_through(route.middlewares),
                "services": [{"name": rule.service, "port": rule.port}],
            }
            for rule in route.rules
        ],
    }
    return _finished(spec, route.tls, ingress_class)


def _finished(spec: dict[str, Any], tls: TlsUse | None, ingress_class: str) -> dict[str, Any]:
    if ingress_class:
        spec["ingressClassName"] = ingress_class
    if tls is None:
        return spec
    if tls.passthrough:
        spec["tls"] = {"passthrough": True}
        return spec
    spec["tls"] = {"options": {"name": tls.options}}
    if tls.secret:
        spec["tls"]["secretName"] = tls.secret
    if tls.resolver:
        spec["tls"]["certResolver"] = tls.resolver
    return spec


def _middleware(middleware: Middleware, namespace: str) -> dict[str, Any]:
    kind = "MiddlewareTCP" if middleware.tcp else "Middleware"
    return _object(kind, middleware.name, {middleware.kind: dict(middleware.spec)}, namespace)


def _transport(transport: Transport) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    if transport.server_name:
        spec["serverName"] = transport.server_name
    if transport.authority:
        spec["rootCAs"] = [{"secret": transport.authority}]
    if transport.timeout:
        milliseconds = round(transport.timeout * 1000)
        spec["forwardingTimeouts"] = {"responseHeaderTimeout": f"{milliseconds}ms"}
    return spec


def _options(options: TlsOptions, layout: Layout) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "minVersion": f"VersionTLS{options.minimum.replace('.', '')}",
        # No certificate at all is better than one of another name.
        "sniStrict": True,
    }
    if options.minimum == "1.2":
        spec["cipherSuites"] = list(CIPHERS)
    if options.authority:
        demand = "RequireAndVerifyClientCert" if options.demanded else "VerifyClientCertIfGiven"
        spec["clientAuth"] = {"clientAuthType": demand, "secretNames": [options.authority]}
    namespace = layout.namespace if options.name == "default" and layout.apart else ""
    return _object("TLSOption", options.name, spec, namespace)
