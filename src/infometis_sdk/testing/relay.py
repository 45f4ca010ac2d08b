"""The part of the fault proxy that moves bytes."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from infometis_sdk._adapters.credentials import Credentials
from infometis_sdk._adapters.kubeconfig import Connection
from infometis_sdk._adapters.session import as_file, tls_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_sdk.testing.fault_proxy import Fault

__all__ = ("Relay", "Script", "Upstream")

_HOP = frozenset({"connection", "transfer-encoding", "content-length", "host", "keep-alive"})
"""Headers that belong to one connection, not to the request (RFC 9110, section 7.6.1)."""

_Reply = tuple[int, dict[str, str], bytes]


@frozen(kw_only=True)
class Upstream:
    """The genuine API server.

    Attributes:
        connection, credentials: where it is, and as whom ``token`` acts.
        token: what the proxy's own clients send.

    """

    connection: Connection
    credentials: Credentials
    token: str = field(repr=False)


class Script(Protocol):
    """What decides about each request."""

    def choose(self, verb: str, target: str) -> Fault | None:
        """Return the fault that is due, if any."""

    def first(self, target: str, now: _Reply) -> _Reply:
        """Remember the first answer to a read and return it."""

    def saw(self, verb: str, target: str, headers: Mapping[str, str], status: int) -> None:
        """Take note of a request."""


class Relay:
    """Listens on a port of loopback that stays the same over stop and start."""

    def __init__(self, upstream: Upstream, identity: bytes, script: Script) -> None:
        self._upstream = upstream
        self._script = script
        self._tls = _server_side(identity)
        self._server: _Server | None = None
        self.port = 0

    def start(self) -> None:
        """Listen."""
        server = _Server(("127.0.0.1", self.port), _Handler)
        server.tls, server.upstream, server.script = self._tls, self._upstream, self._script
        self.port = server.server_address[1]
        self._server = server
        threading.Thread(
            target=server.serve_forever, args=(0.05,), name="fault-proxy", daemon=True
        ).start()

    def stop(self) -> None:
        """Refuse new connections and break the open ones."""
        if self._server is not None:
            server, self._server = self._server, None
            server.shutdown()
            server.server_close()
            server.break_all()


def _server_side(identity: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with as_file(identity) as path:
        context.load_cert_chain(path)
    return context


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    tls: ssl.SSLContext
    upstream: Upstream
    script: Script

    def __init__(self, *args: Any) -> None:  # noqa: ANN401
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(*args)

    def get_request(self) -> tuple[socket.socket, Any]:
        plain, address = super().get_request()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The handshake waits for the handler's thread: a slow client must not hold up others.
        wrapped = self.tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        with self._guard:
            self._open.add(wrapped)
        return wrapped, address

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        with self._guard:
            self._open.discard(request)
        _cut(request)
        request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Say nothing: clients that vanish are what this is for."""

    def break_all(self) -> None:
        with self._guard:
            for each in self._open:
                _cut(each)


def _cut(connection: socket.socket) -> None:
    """Break a connection below TLS, as a crash would."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    connection: ssl.SSLSocket

    def setup(self) -> None:
        self.request.settimeout(120)
        self.request.do_handshake()
        super().setup()
        self._backends: dict[bool, http.client.HTTPConnection] = {}

    def finish(self) -> None:
        for backend in self._backends.values():
            backend.close()
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401
        """Keep quiet."""

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length) if length else None
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._headers = headers
        fault = self.server.script.choose(self.command, self.path)
        if fault is None or not self._harm(fault, headers, body):
            self._pass(headers, body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the base class's names

    # --- what goes wrong --------------------------------------------------------------------

    def _harm(self, fault: Fault, headers: dict[str, str], body: bytes | None) -> bool:
        """Do what the fault says; return whether the request is over with that."""
        if fault.delay:
            time.sleep(fault.delay)
        if fault.drop:
            if fault.drop == "after":
                self._ask(headers, body).read()
            self._note(0)
            self.close_connection = True
            _cut(self.connection)
            return True
        if fault.status:
            extra = {"content-type": "application/json"}
            if fault.retry_after:
                extra["retry-after"] = fault.retry_after
            self._send(fault.status, extra, fault.answer())
            return True
        if fault.stale and self.command == "GET":
            self._send(*self.server.script.first(self.path, self._whole(headers, body)))
            return True
        return False

    # --- what goes right --------------------------------------------------------------------

    def _pass(self, headers: dict[str, str], body: bytes | None) -> None:
        response = self._ask(headers, body)
        if response.getheader("transfer-encoding") == "chunked" and "watch=" in self.path:
            self._stream(response)
            return
        reply = (response.status, _kept(response), response.read())
        if self.command == "GET":
            self.server.script.first(self.path, reply)
        self._send(*reply)

    def _whole(self, headers: dict[str, str], body: bytes | None) -> _Reply:
        response = self._ask(headers, body)
        return response.status, _kept(response), response.read()

    def _ask(self, headers: dict[str, str], body: bytes | None) -> http.client.HTTPResponse:
        upstream = self.server.upstream
        passed = {name: value for name, value in headers.items() if name not in _HOP}
        ours = headers.get("authorization") == f"Bearer {upstream.token}"
        if ours:
            del passed["authorization"]
            if upstream.credentials.authorization:
                passed["authorization"] = upstream.credentials.authorization
        backend = self._backend(ours=ours)
        prefix = urlsplit(upstream.connection.server).path
        backend.request(self.command, prefix + self.path, body=body, headers=passed)
        return backend.getresponse()

    def _backend(self, *, ours: bool) -> http.client.HTTPConnection:
        """Return the connection to the API server, with the client certificate only for ours."""
        if ours not in self._backends:
            upstream = self.server.upstream
            parts = urlsplit(upstream.connection.server)
            host, port = parts.hostname or "", parts.port
            if parts.scheme == "http":
                self._backends[ours] = http.client.HTTPConnection(host, port)
            else:
                credentials = upstream.credentials
                if not ours:
                    credentials = evolve(credentials, certificate=b"", key=b"")
                tls = tls_context(upstream.connection, credentials)
                self._backends[ours] = http.client.HTTPSConnection(host, port, context=tls)
        return self._backends[ours]

    def _note(self, status: int) -> None:
        """Take note of the request before its client knows the answer, so that counts are exact."""
        self.server.script.saw(self.command, self.path, self._headers, status)

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self._note(status)
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, response: http.client.HTTPResponse) -> None:
        self._note(response.status)
        self.send_response_only(response.status)
        for name, value in _kept(response).items():
            self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        while piece := response.read1(65536):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


def _kept(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name: value for name, value in response.getheaders() if name.lower() not in _HOP}
