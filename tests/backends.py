"""Servers behind a border under test: they keep every request as it arrived, byte for byte.

No library parses here: what a border lets through must be seen before anybody mends it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import threading
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Self

from attrs import field, frozen

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

__all__ = ("Answer", "Backend", "Echo", "Seen")

_PATIENCE = 60.0
_WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


@frozen(kw_only=True)
class Seen:
    """One request, as it arrived.

    Attributes:
        head: request line and headers, raw.
        body: without its transfer coding.
        server_name: the name in the TLS handshake; empty without TLS.

    """

    head: bytes
    body: bytes = b""
    server_name: str = ""

    @property
    def method(self) -> str:
        """First word of the request line."""
        return self.head.split(b" ", 1)[0].decode("latin-1")

    @property
    def target(self) -> str:
        """Second word of the request line."""
        return self.head.split(b"\r\n", 1)[0].split(b" ")[1].decode("latin-1")

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Names in lower case, and values, in their order."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines if line)
        return tuple((name.lower(), value.strip()) for name, _, value in pairs)

    def header(self, name: str) -> str:
        """Return the value of a header; several joined by commas, empty for none."""
        return ", ".join(value for each, value in self.headers if each == name.lower())


@frozen(kw_only=True)
class Answer:
    """What a backend says."""

    status: int = 200
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes | None = None


def _echo(_: Seen) -> Answer:
    return Answer()


class Backend:
    """An HTTP/1.1 server; use it as a context.

    A path that holds ``slow`` is answered only after :meth:`release`.
    A request to upgrade to a WebSocket is granted; its frames come back.

    Args:
        listener: where it listens.
        name: told in each answer.
        answer: what it says; 200 and the request by default.
        tls: serves HTTPS.

    Attributes:
        seen: every request so far.

    """

    def __init__(
        self,
        listener: socket.socket,
        name: str,
        answer: Callable[[Seen], Answer] = _echo,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name, self.seen = name, list[Seen]()
        self.address: tuple[str, int] = listener.getsockname()
        self._listener, self._answer, self._tls = listener, answer, tls
        self._released = threading.Event()
        self._arrived = threading.Condition()
        self._drops = 0
        self._names: dict[int, str] = {}
        if tls is not None:
            tls.sni_callback = lambda sock, name, _: self._names.update({id(sock): name or ""})

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self.down()

    def down(self) -> None:
        """Stop listening: from now on connections are refused."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def drop(self, number: int) -> None:
        """Hang up on so many requests to come, without an answer."""
        self._drops = number

    def release(self) -> None:
        """Answer what waits."""
        self._released.set()

    def hold(self) -> None:
        """Let slow requests wait (again)."""
        self._released.clear()

    def wait_for(self, number: int, path: str = "") -> list[Seen]:
        """Wait until so many requests with that in their target have arrived."""

        def found() -> list[Seen]:
            return [each for each in self.seen if path in each.target]

        with self._arrived:
            if not self._arrived.wait_for(lambda: len(found()) >= number, _PATIENCE):
                msg = f"{self.name}: {len(found())} of {number} requests of {path!r} arrived"
                raise TimeoutError(msg)
        return found()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError, EOFError), sock:
            sock.settimeout(_PATIENCE)
            if self._tls is not None:
                with self._tls.wrap_socket(sock, server_side=True) as secure:
                    self._talk(secure, self._names.pop(id(secure), ""))
            else:
                self._talk(sock, "")

    def _talk(self, sock: socket.socket, server_name: str) -> None:
        with sock.makefile("rb") as stream:
            while head := _head(stream):
                bare = Seen(head=head)
                if "100-continue" in bare.header("expect"):
                    sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                seen = Seen(head=head, body=_body(stream, bare), server_name=server_name)
                with self._arrived:
                    self.seen.append(seen)
                    self._arrived.notify_all()
                if self._drops > 0:
                    self._drops -= 1
                    return
                if "slow" in seen.target:
                    self._released.wait(_PATIENCE)
                if seen.header("upgrade").lower() == "websocket":
                    _websocket(sock, stream, seen)
                    return
                sock.sendall(self._bytes(seen))
                if seen.header("connection").lower() == "close":
                    return

    def _bytes(self, seen: Seen) -> bytes:
        answer = self._answer(seen)
        body = answer.body
        if body is None:
            told = {
                "backend": self.name,
                "method": seen.method,
                "target": seen.target,
                "headers": {name: seen.header(name) for name, _ in seen.headers},
                "length": len(seen.body),
                "server_name": seen.server_name,
            }
            body = json.dumps(told).encode()
        headers = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "x-backend": self.name,
            **answer.headers,
        }
        lines = [f"HTTP/1.1 {answer.status} Status"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        return head if seen.method == "HEAD" else head + body


def _head(stream: IO[bytes]) -> bytes:
    lines: list[bytes] = []
    for line in stream:
        if line in (b"\r\n", b"\n"):
            return b"\r\n".join(lines)
        lines.append(line.rstrip(b"\r\n"))
    return b""


def _body(stream: IO[bytes], seen: Seen) -> bytes:
    if "chunked" in seen.header("transfer-encoding").lower():
        body = b""
        while size := int(stream.readline().split(b";")[0], 16):
            body += stream.read(size)
            stream.readline()
        while stream.readline().strip():
            pass
        return body
    return stream.read(int(seen.header("content-length") or 0))


def _websocket(sock: socket.socket, stream: IO[bytes], seen: Seen) -> None:
    """Greet as RFC 6455 asks, and send each short text frame back, unmasked."""
    key = seen.header("sec-websocket-key") + _WEBSOCKET
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()  # noqa: S324 - RFC
    sock.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
    )
    while len(start := stream.read(2)) == 2:
        size = start[1] & 0x7F
        mask, data = stream.read(4), stream.read(size)
        plain = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        sock.sendall(bytes([start[0], size]) + plain)
        if start[0] & 0x0F == 8:
            return


class Echo:
    """A TCP server that sends back what it gets, over TLS where it has a certificate."""

    def __init__(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        self.address: tuple[str, int] = listener.getsockname()
        self._listener, self._tls = listener, tls

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            sock.settimeout(_PATIENCE)
            talk = self._tls.wrap_socket(sock, server_side=True) if self._tls else sock
            with talk:
                while data := talk.recv(65536):
                    talk.sendall(data)
