"""Knock at a published route: does anything behind the border answer?

Not a proof of what was promised, which is the adapter's to give: a URL is shown once this passed.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infometis_sdk.model.border import Route
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.border import Reach

__all__ = ("knock",)

_SECONDS = 5.0
_NOT_THERE = frozenset({404, 502, 503, 504})
"""What a border says of a route that it does not know, or whose service is down."""


def knock(route: Route, reach: Reach, run: Run) -> str:
    """Return why nobody answers at a route; empty where somebody does.

    Args:
        route: where to knock.
        reach: how this machine gets there.
        run: deadline and cancel token.

    Raises:
        CancelledError, DeadlineError: see :class:`~infometis_sdk.model.run.Run`.

    """
    run.check("knocking at routes")
    target = reach.ports.get(route.public_port)
    if target is None:
        return f"port {route.public_port} does not lead to the border from this machine"
    try:
        with socket.create_connection(target, timeout=min(_SECONDS, run.remaining())) as near:
            near.settimeout(min(_SECONDS, run.remaining()))
            return _ask(route, near)
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"


def _ask(route: Route, near: socket.socket) -> str:
    if route.tls != "none":
        # Whether the certificate is the promised one is the adapter's question.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        near = context.wrap_socket(near, server_hostname=route.host or None)
    if not route.http:
        return ""
    connection = http.client.HTTPConnection(route.host, route.public_port)
    connection.sock = near
    path = route.path if route.path.endswith("/") else f"{route.path}/"
    connection.request("GET", path, headers={"Host": _authority(route), "Connection": "close"})
    status = connection.getresponse().status
    return f"the border answers {status}" if status in _NOT_THERE else ""


def _authority(route: Route) -> str:
    usual = 80 if route.tls == "none" else 443
    return route.host if route.public_port == usual else f"{route.host}:{route.public_port}"
