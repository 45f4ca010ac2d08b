"""Names of the objects that the border makes."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = (
    "ACME_AUTHORITY",
    "BORDER",
    "CERTIFICATE",
    "EGRESS",
    "INGRESS_CLASS",
    "INGRESS_CLASS_CONTROLLER",
    "RESOLVER",
    "ROUTES",
    "auth_object",
    "route_objects",
)

BORDER = "border-traefik"
"""Workload, Service, account and rights of Traefik itself."""

EGRESS = "border-egress"
"""Workload of the proxy for external services."""

CERTIFICATE = "border-tls"
"""Secret with the environment's certificate, and the TLS options of its routes."""

ACME_AUTHORITY = "border-acme-ca"
"""Secret with the authorities of an ACME server of one's own."""

ROUTES = "border-routes"
"""ConfigMap with the routes, where they are read from a file."""

RESOLVER = "acme"
INGRESS_CLASS = "infometis"
INGRESS_CLASS_CONTROLLER = "traefik.io/ingress-controller"


def auth_object(name: str) -> str:
    """Return the name of what belongs to one way to authenticate."""
    return f"border-auth-{name}"


def route_objects(routes: Iterable[str]) -> Mapping[str, str]:
    """Return the name of the objects of each route, by the name of the route.

    ``a.b-c`` and ``a-b.c`` would both be ``a-b-c``; then each gets a digest of its own.

    Example:
        >>> dict(route_objects(["nifi.https"]))
        {'nifi.https': 'nifi-https'}

    """
    plain = {route: route.replace(".", "-") for route in routes}
    count = Counter(plain.values())
    return {
        route: name if count[name] == 1 else f"{name}-{_digest(route)}"
        for route, name in plain.items()
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
