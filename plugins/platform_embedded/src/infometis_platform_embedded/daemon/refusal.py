"""Answers for everything inside the cluster, since nothing inside it runs.

The API server sends what goes to nodes, pods and services (logs, exec, webhooks in the cluster)
through this proxy, which refuses at once and says why.
Without it, such requests would wait for a time-out,
or leave the machine for whoever has those addresses on the network outside.
"""

from __future__ import annotations

import socket
import socketserver
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ("REASON", "refuse")

REASON = "containers are simulated on the embedded platform, so nothing answers there"


class _Handler(socketserver.StreamRequestHandler):
    timeout = 5

    def handle(self) -> None:
        while self.rfile.readline(65_536).strip():
            continue
        answer = f"HTTP/1.1 503 {REASON}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        self.wfile.write(answer.encode())


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, pki: Path) -> None:
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(pki / "refusal.crt", pki / "refusal.key")
        self._tls.load_verify_locations(pki / "front-proxy-ca.crt")
        self._tls.verify_mode = ssl.CERT_REQUIRED
        super().__init__(("127.0.0.1", port), _Handler)

    def finish_request(self, request: object, client_address: object) -> None:
        if isinstance(request, socket.socket):
            request.settimeout(_Handler.timeout)
            try:
                request = self._tls.wrap_socket(request, server_side=True)
            except OSError:
                return
        super().finish_request(request, client_address)  # type: ignore[arg-type]


def refuse(port: int, pki: Path) -> None:
    """Serve until killed."""
    with _Server(port, pki) as server:
        server.serve_forever()
