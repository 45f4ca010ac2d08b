"""A client that says exactly what it is told: nothing is escaped, sorted out or repeated."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen

__all__ = ("Reply", "ask", "connect", "say")

PATIENCE = 60.0


@frozen(kw_only=True)
class Reply:
    """One answer.

    Attributes:
        status: 0 where the connection was closed without one.
        headers: names in lower case.
        body: all of it.

    """

    status: int = 0
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes = b""

    @property
    def backend(self) -> str:
        """Which backend answered; empty where the border did."""
        return self.headers.get("x-backend", "")

    def json(self) -> Any:
        """Read what the backend told of the request."""
        return json.loads(self.body)


def connect(
    address: tuple[str, int],
    *,
    tls: ssl.SSLContext | None = None,
    name: str = "",
    source: str = "",
) -> socket.socket:
    """Return a connection, with a handshake for that name where ``tls`` is given."""
    sock = socket.create_connection(
        address, PATIENCE, source_address=(source, 0) if source else None
    )
    if tls is None:
        return sock
    try:
        return tls.wrap_socket(sock, server_hostname=name or None)
    except OSError:
        sock.close()
        raise


def ask(
    address: tuple[str, int],
    host: str,
    path: str = "/",
    *,
    method: str = "GET",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    tls: ssl.SSLContext | None = None,
    source: str = "",
) -> Reply:
    """Send one request, its words as they are, and return the answer."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    data = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
    name = host.partition(":")[0].rstrip(".")
    with connect(address, tls=tls, name=name, source=source) as sock:
        return say(sock, data, method=method)


def say(sock: socket.socket, data: bytes, method: str = "GET") -> Reply:
    """Send bytes, and read one answer."""
    # Whoever refuses early need not read to the end.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
        sock.sendall(data)
    answer = http.client.HTTPResponse(sock, method=method)
    try:
        answer.begin()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(status=answer.status, headers=headers, body=answer.read())
    except (http.client.HTTPException, ConnectionResetError, ssl.SSLError):
        return Reply()
    finally:
        answer.close()
