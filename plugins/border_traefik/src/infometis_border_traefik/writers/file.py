r"""Routes as a file that Traefik reads, for guests of a cluster who may not have its definitions.

The same routes as with custom resources.
Backends are the names of Services, so the cluster balances connections, not Traefik;
Secrets are files in Traefik's pod.

The file is a Go template to Traefik: ``{{ env "X" }}`` in a header would be carried out.
So no brace inside a string is written as such.

Source: https://doc.traefik.io/traefik/reference/install-configuration/providers/others/file/
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from infometis_border_traefik.install.static import ROUTES_FILE, SECRETS
from infometis_border_traefik.names import ROUTES
from infometis_border_traefik.routing.tls import CIPHERS
from infometis_border_traefik.routing.values import INTERNAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_border_traefik.routing.values import (
        Backend,
        HttpRoute,
        HttpRule,
        Middleware,
        Routing,
        TlsOptions,
        TlsUse,
        Transport,
    )

__all__ = ("as_text", "document", "mounted_secrets", "routes_object")

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def routes_object(routing: Routing, namespace: str) -> dict[str, Any]:
    """Return the ConfigMap with the file; JSON, which is YAML.

    Args:
        routing: what Traefik is told.
        namespace: where the services are.

    """
    text = as_text(document(routing, namespace))
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": ROUTES},
        "data": {ROUTES_FILE.rpartition("/")[2]: text},
    }


def as_text(value: Mapping[str, Any]) -> str:
    r"""Write a document so that a template engine finds nothing in it.

    Example:
        >>> print(as_text({"a": '{{ env "HOME" }}'}))
        {
         "a": "\u007b\u007b env \"HOME\" }}"
        }

    """
    text = json.dumps(value, indent=1, sort_keys=True)
    return _STRING.sub(lambda match: match.group().replace("{", "\\u007b"), text)


def document(routing: Routing, namespace: str) -> dict[str, Any]:
    """Return the content of the file; what is empty is left out, as Traefik demands."""
    http = [(route, rule, name) for route in routing.http for name, rule in _routers(route)]
    services = {
        _service_name(rule.backend): _service(rule.backend, namespace)
        for _, rule, _ in http
        if not rule.backend.service.endswith(INTERNAL)
    }
    tcp_services: dict[str, Any] = {}
    tcp_routers: dict[str, Any] = {}
    for connection in routing.tcp:
        for number, rule in enumerate(connection.rules):
            address = f"{rule.service}.{namespace}.svc:{rule.port}"
            service = f"{rule.service}-{rule.port}"
            tcp_services[service] = {"loadBalancer": {"servers": [{"address": address}]}}
            tcp_routers[f"{connection.name}-{number}"] = {
                "entryPoints": [connection.entry_point],
                "middlewares": list(connection.middlewares),
                "priority": rule.priority,
                "rule": rule.match,
                "service": service,
                "tls": _tls(connection.tls),
            }
    made = {
        "http": {
            "middlewares": {m.name: _middleware(m) for m in routing.middlewares if not m.tcp},
            "routers": {name: _router(route, rule) for route, rule, name in http},
            "serversTransports": {t.name: _transport(t) for t in routing.transports},
            "services": services,
        },
        "tcp": {
            "middlewares": {m.name: {m.kind: dict(m.spec)} for m in routing.middlewares if m.tcp},
            "routers": tcp_routers,
            "services": tcp_services,
        },
        "tls": {
            "certificates": [
                {"certFile": f"{SECRETS}/{name}/tls.crt", "keyFile": f"{SECRETS}/{name}/tls.key"}
                for name in certificate_secrets(routing)
            ],
            "options": {options.name: _options(options) for options in routing.options},
        },
    }
    cleaned: dict[str, Any] = _full(made)
    return cleaned


def certificate_secrets(routing: Routing) -> list[str]:
    """Return the Secrets whose certificates routes show."""
    used = [*(route.tls for route in routing.http), *(route.tls for route in routing.tcp)]
    return sorted({tls.secret for tls in used if tls is not None} - {""})


def mounted_secrets(routing: Routing) -> list[str]:
    """Return every Secret that the file speaks of."""
    named = {options.authority for options in routing.options}
    named |= {transport.authority for transport in routing.transports}
    named |= {str(each.spec.get("secret", "")) for each in routing.middlewares}
    return sorted({*certificate_secrets(routing), *named} - {""})


def _full(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a value without empty maps and lists, and without what is ``None``."""
    if isinstance(value, dict):
        made = {key: _full(item) for key, item in value.items()}
        return {key: item for key, item in made.items() if item not in ({}, [], None)}
    if isinstance(value, list):
        return [_full(item) for item in value]
    return value


def _routers(route: HttpRoute) -> list[tuple[str, HttpRule]]:
    return [(f"{route.name}-{number}", rule) for number, rule in enumerate(route.rules)]


def _router(route: HttpRoute, rule: HttpRule) -> dict[str, Any]:
    return {
        "entryPoints": [route.entry_point],
        "middlewares": list(rule.middlewares),
        "priority": rule.priority,
        "rule": rule.match,
        "service": _service_name(rule.backend),
        "tls": _tls(route.tls),
    }


def _service_name(backend: Backend) -> str:
    if backend.service.endswith(INTERNAL):
        return backend.service
    # One Service may be spoken to in two ways: with a timeout by one route, without by another.
    return "-".join(
        filter(None, (backend.service, str(backend.port), backend.transport, backend.cookie))
    )


def _service(backend: Backend, namespace: str) -> dict[str, Any]:
    address = f"{backend.scheme}://{backend.service}.{namespace}.svc:{backend.port}"
    balancer: dict[str, Any] = {"passHostHeader": True, "servers": [{"url": address}]}
    if backend.transport:
        balancer["serversTransport"] = backend.transport
    return {"loadBalancer": balancer}


def _tls(tls: TlsUse | None) -> dict[str, Any] | None:
    if tls is None:
        return None
    if tls.passthrough:
        return {"passthrough": True}
    made = {"options": tls.options}
    if tls.resolver:
        made["certResolver"] = tls.resolver
    return made


def _middleware(middleware: Middleware) -> dict[str, Any]:
    spec = dict(middleware.spec)
    secret = spec.pop("secret", "")
    if secret:
        spec["usersFile"] = f"{SECRETS}/{secret}/users"
    return {middleware.kind: spec}


def _transport(transport: Transport) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if transport.server_name:
        made["serverName"] = transport.server_name
    if transport.authority:
        made["rootCAs"] = [f"{SECRETS}/{transport.authority}/ca.crt"]
    if transport.timeout:
        milliseconds = round(transport.timeout * 1000)
        made["forwardingTimeouts"] = {"responseHeaderTimeout": f"{milliseconds}ms"}
    return made


def _options(options: TlsOptions) -> dict[str, Any]:
    made: dict[str, Any] = {
        "minVersion": f"VersionTLS{options.minimum.replace('.', '')}",
        "sniStrict": True,
    }
    if options.minimum == "1.2":
        made["cipherSuites"] = list(CIPHERS)
    if options.authority:
        demand = "RequireAndVerifyClientCert" if options.demanded else "VerifyClientCertIfGiven"
        made["clientAuth"] = {
            "caFiles": [f"{SECRETS}/{options.authority}/ca.crt"],
            "clientAuthType": demand,
        }
    return made
