"""Forwarded ports and followed logs against a server on loopback that speaks the real protocol.

The server is written from the specification (RFC 6455 and the kubelet's v4 sub-protocol) and
shares no code with the client. A genuine kubelet is asked in the end-to-end tests where one runs.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from infometis_sdk._adapters import pod_streams
from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.errors import ForbiddenError, NotFoundError, UnreachableError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import CancelToken, Run
from infometis_sdk.ports.platform import Access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from infometis_sdk.ports.pods import PodStreams

POD = ObjectRef(api_version="v1", kind="Pod", namespace="n", name="p-0")
GREETING = (b"\x00" + struct.pack("<H", 80), b"\x01" + struct.pack("<H", 80))
BINARY, CLOSE, PING, PONG = 2, 8, 9, 10


class Peer:
    """The server's side of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")
        self.request = self._head()
        self.pongs: list[bytes] = []

    def _head(self) -> str:
        lines = []
        while (line := self.file.readline()) not in {b"\r\n", b""}:
            lines.append(line.decode())
        return "".join(lines)

    def accept(self) -> None:
        """Do the handshake of RFC 6455, section 4.2.2."""
        key = next(
            line.split(":", 1)[1].strip()
            for line in self.request.splitlines()
            if line.lower().startswith("sec-websocket-key:")
        )
        magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        digest = hashlib.sha1((key + magic).encode()).digest()  # noqa: S324 - the RFC's
        self.sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
        )
        for greeting in GREETING:
            self.send(greeting)

    def refuse(self, status: int, message: str) -> None:
        """Answer as the API server refuses."""
        body = json.dumps({"kind": "Status", "message": message, "code": status}).encode()
        head = f"HTTP/1.1 {status} No\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.sock.sendall(head.encode() + body)

    def send(self, data: bytes, opcode: int = BINARY, *, fin: bool = True) -> None:
        """Send one frame, unmasked as servers do."""
        size = len(data)
        first = opcode | (0x80 if fin else 0)
        if size < 126:
            head = struct.pack("!BB", first, size)
        elif size < 65536:
            head = struct.pack("!BBH", first, 126, size)
        else:
            head = struct.pack("!BBQ", first, 127, size)
        self.sock.sendall(head + data)

    def receive(self) -> bytes:
        """Return the next bytes on the data channel; empty once the client is gone."""
        while True:
            head = self.file.read(2)
            if len(head) < 2:
                return b""
            assert head[1] & 0x80, "a client masks every frame"
            size = head[1] & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", self.file.read(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self.file.read(8))
            mask = self.file.read(4)
            masked = self.file.read(size)
            key = (mask * (len(masked) // 4 + 1))[: len(masked)]
            unmasked = int.from_bytes(masked) ^ int.from_bytes(key)
            data = unmasked.to_bytes(len(masked))
            opcode = head[0] & 0x0F
            if opcode == PONG:
                self.pongs.append(data)
            elif opcode == CLOSE:
                return b""
            elif opcode == BINARY:
                assert data[0] == 0, "bytes for the first port travel on channel 0"
                return data[1:]


@contextmanager
def serving(tmp_path: Path, behave: Callable[[Peer], None]) -> Iterator[PodStreams]:
    """Run a server that behaves so for each connection; yield a cluster that talks to it."""
    listener = socket.create_server(("127.0.0.1", 0))
    faults: list[BaseException] = []

    def one(sock: socket.socket) -> None:
        with sock:
            try:
                behave(Peer(sock))
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client went away, as clients may
            except BaseException as error:  # noqa: BLE001 - shown below
                faults.append(error)

    def loop() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(sock,), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()
    path = tmp_path / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [
                    {
                        "name": "c",
                        "cluster": {"server": f"http://127.0.0.1:{listener.getsockname()[1]}"},
                    }
                ],
                "users": [{"name": "u", "user": {"token": "geheim-token"}}],
            }
        )
    )
    path.chmod(0o600)
    cluster = open_cluster(Access(kubeconfig=path))
    try:
        yield cluster
    finally:
        cluster.close()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    assert not faults


@contextmanager
def connected(
    cluster: PodStreams, run: Run | None = None
) -> Iterator[tuple[socket.socket, list[str]]]:
    """Carry a connection in a thread; yield its near end and, after the block, what was said."""
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    said: list[str] = []
    thread = threading.Thread(
        target=lambda: said.append(cluster.carry(POD, 80, theirs, run or Run.within(20)))
    )
    thread.start()
    with ours:
        yield ours, said
    thread.join(timeout=20)
    assert not thread.is_alive()


def everything(sock: socket.socket) -> bytes:
    """Read until the other side closes."""
    got = b""
    while piece := sock.recv(65536):
        got += piece
    return got


def echo(peer: Peer) -> None:
    """Send back what comes."""
    peer.accept()
    while data := peer.receive():
        peer.send(b"\x00" + data)


def test_bytes_go_both_ways(tmp_path: Path) -> None:
    """What one side writes the other reads, in order, of any size."""
    sent = bytes(range(256)) * 4096  # 1 MiB: far more than one frame and one socket buffer
    enough = CancelToken()
    run = Run.within(20, cancel=enough)
    with serving(tmp_path, echo) as cluster, connected(cluster, run) as (near, _):
        writer = threading.Thread(target=near.sendall, args=(sent,))
        writer.start()
        got = b""
        while len(got) < len(sent):
            got += near.recv(65536)
        writer.join()
        enough.cancel()  # otherwise the other side is given time for an answer
    assert got == sent


def test_request(tmp_path: Path) -> None:
    """The path names the pod and the port, the sub-protocol is v4, and the token goes along."""
    asked: list[str] = []

    def behave(peer: Peer) -> None:
        asked.append(peer.request)
        peer.accept()
        peer.send(b"", CLOSE)

    with serving(tmp_path, behave) as cluster, connected(cluster) as (near, _):
        assert everything(near) == b""
    head = asked[0].lower()
    assert head.startswith("get /api/v1/namespaces/n/pods/p-0/portforward?ports=80 ")
    assert "sec-websocket-protocol: v4.channel.k8s.io" in head
    assert "authorization: bearer geheim-token" in head


def test_answer_in_pieces_with_a_ping(tmp_path: Path) -> None:
    """Fragments are joined, pings answered, and neither gets into the bytes."""
    pongs: list[bytes] = []

    def behave(peer: Peer) -> None:
        peer.accept()
        peer.receive()
        peer.send(b"\x00hel", fin=False)
        peer.send(b"are you there", PING)
        peer.send(b"lo", opcode=0)
        peer.send(b"\x00 world")
        peer.receive()
        pongs.extend(peer.pongs)
        peer.send(b"", CLOSE)

    with serving(tmp_path, behave) as cluster, connected(cluster) as (near, _):
        near.sendall(b"question")
        got = b""
        while len(got) < len(b"hello world"):
            got += near.recv(100)
        near.sendall(b"more")
        assert everything(near) == b""
    assert got == b"hello world"
    assert pongs == [b"are you there"]


def test_error_of_the_node(tmp_path: Path) -> None:
    """What the node says on the error channel comes back, and the connection ends."""

    def behave(peer: Peer) -> None:
        peer.accept()
        peer.send(b"\x01connection refused")
        peer.receive()

    with serving(tmp_path, behave) as cluster, connected(cluster) as (near, said):
        assert everything(near) == b""
    assert said == ["connection refused"]


def test_answer_after_our_side_has_finished(tmp_path: Path) -> None:
    """A client that has said all it has to say still gets the answer."""

    def behave(peer: Peer) -> None:
        peer.accept()
        peer.receive()
        peer.send(b"\x00answer")
        peer.send(b"", CLOSE)

    with serving(tmp_path, behave) as cluster, connected(cluster) as (near, _):
        near.sendall(b"question")
        near.shutdown(socket.SHUT_WR)
        assert everything(near) == b"answer"


def test_silence_after_our_side_has_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that nobody uses any more ends, although the pod keeps it open."""
    monkeypatch.setattr(pod_streams, "LINGER", 0.2)

    def behave(peer: Peer) -> None:
        peer.accept()
        assert peer.receive() == b""

    with serving(tmp_path, behave) as cluster, connected(cluster):
        pass


def test_cancel_ends_a_connection(tmp_path: Path) -> None:
    """A cancel ends a connection on which nothing happens."""
    token = CancelToken()
    with (
        serving(tmp_path, echo) as cluster,
        connected(cluster, Run.within(20, cancel=token)) as (near, _),
    ):
        near.sendall(b"x")
        assert near.recv(1) == b"x"
        token.cancel()
        assert everything(near) == b""


@pytest.mark.parametrize(
    ("status", "error"), [(403, ForbiddenError), (404, NotFoundError), (503, UnreachableError)]
)
def test_refusals_are_typed(tmp_path: Path, status: int, error: type[Exception]) -> None:
    """A refusal is the typed error of its status; the near side is left to the caller."""
    near, other = socket.socketpair()
    with near, other, serving(tmp_path, lambda peer: peer.refuse(status, "no")) as cluster:
        with pytest.raises(error):
            cluster.carry(POD, 80, near, Run.within(20))
        near.sendall(b"still open")
        assert other.recv(100) == b"still open"


def test_nobody_there(tmp_path: Path) -> None:
    """A server that hangs up is unreachable."""
    near, other = socket.socketpair()
    with near, other, serving(tmp_path, lambda _: None) as cluster:  # noqa: SIM117
        with pytest.raises(UnreachableError):
            cluster.carry(POD, 80, near, Run.within(20))


def test_lines(tmp_path: Path) -> None:
    """Lines come one by one, however the pieces fall; the last one without its newline too."""

    def behave(peer: Peer) -> None:
        peer.sock.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for piece in (b"one\ntw", b"o\n\xc3", b"\xa4\nlast"):
            peer.sock.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        peer.sock.sendall(b"0\r\n\r\n")

    with serving(tmp_path, behave) as cluster:
        got = list(cluster.lines("/api/v1/x/log", Run.within(20), params={"follow": "true"}))
    assert got == ["one", "two", "ä", "last"]


def test_lines_that_break_off(tmp_path: Path) -> None:
    """A stream that is cut ends without an error: the caller goes on where it was."""

    def behave(peer: Peer) -> None:
        peer.sock.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\none\n\r\n")

    with serving(tmp_path, behave) as cluster:
        got = list(cluster.lines("/api/v1/x/log", Run.within(20), params={}))
    assert got == ["one"]


def test_lines_refused(tmp_path: Path) -> None:
    """A log that we may not read is a typed error."""
    with serving(tmp_path, lambda peer: peer.refuse(403, "no")) as cluster:  # noqa: SIM117
        with pytest.raises(ForbiddenError):
            list(cluster.lines("/api/v1/x/log", Run.within(20), params={}))
