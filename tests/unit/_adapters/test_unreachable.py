"""Servers on loopback that do not answer as they should: what is said, and how soon."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from urllib3 import exceptions

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk._adapters.session import as_file
from infometis_sdk._adapters.transport import Patience
from infometis_sdk._adapters.troubles import diagnose
from infometis_sdk.errors import ClusterError, DeadlineError, UnreachableError
from infometis_sdk.model.run import Run
from infometis_sdk.ports.platform import Access
from infometis_sdk.testing.throwaway import self_signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

QUICK = Patience(first_contact=0.3, connect=0.2, first_read=0.3)
"""For servers that never do what they should; a machine that is busy is not among them."""


def _access(folder: Path, port: int, scheme: str = "https", **cluster: Any) -> Access:
    path = folder / "config"
    server = f"{scheme}://127.0.0.1:{port}"
    document = {
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": {"token": "s3cret-token"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return Access(kubeconfig=path)


@contextmanager
def _listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve each connection on a port of loopback; errors of the server's side are no matter."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept = []

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            kept.append(client)
            try:
                serve(client)
            except OSError:
                continue

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)
    for client in kept:
        client.close()


def _say_nothing(client: socket.socket) -> None:
    del client


def _tls(identity: tuple[bytes, bytes], answer: bytes = b"") -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with as_file(b"".join(identity)) as path:
        context.load_cert_chain(path)

    def serve(client: socket.socket) -> None:
        with context.wrap_socket(client.dup(), server_side=True) as secured:
            secured.recv(65536)
            if answer:
                secured.sendall(answer)
            else:
                secured.recv(65536)  # until the client gives up

    return serve


def _ask(access: Access, patience: Patience = QUICK) -> UnreachableError:
    with pytest.raises(UnreachableError) as caught:
        open_cluster(access, patience).list("v1", "Pod", Run.within(60))
    error = caught.value
    assert error.status == 0
    assert "127.0.0.1" in error.message
    assert "context 'x'" in error.message
    assert "listing all pods" in error.message
    assert "s3cret-token" not in str(error)
    assert error.hint
    return error


def test_dead_port(tmp_path: Path) -> None:
    """Where nothing listens, the connection is refused."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = _ask(_access(tmp_path, port))
    assert "connection refused" in error.message
    assert "is the cluster running?" in error.hint


def test_black_hole(tmp_path: Path) -> None:
    """A server that accepts and never says a word is given up on in seconds."""
    with _listening(_say_nothing) as port:
        error = _ask(_access(tmp_path, port))
    assert "does not answer in time" in error.message


def test_silence_after_the_handshake(tmp_path: Path) -> None:
    """A server that hangs behind its TLS is given up on, too."""
    identity = self_signed(("127.0.0.1",))
    (tmp_path / "ca.crt").write_bytes(identity[0])
    patience = Patience(first_contact=0.3, connect=30, first_read=0.5)
    with _listening(_tls(identity)) as port:
        error = _ask(_access(tmp_path, port, **{"certificate-authority": "ca.crt"}), patience)
    assert "does not answer in time" in error.message


def test_first_contact_takes_seconds() -> None:
    """With the default patience, two tries to connect fit into about six seconds, three do not."""
    usual = Patience()
    assert usual.connect < usual.first_contact < 2 * usual.connect <= 6
    assert usual.established >= 60


def test_deadline_ends_a_black_hole(tmp_path: Path) -> None:
    """The run's deadline ends the waiting before the patience does."""
    with _listening(_say_nothing) as port, pytest.raises(DeadlineError, match="all pods"):
        open_cluster(_access(tmp_path, port)).list("v1", "Pod", Run.within(0.3))


def test_dropped_at_once(tmp_path: Path) -> None:
    """A server that hangs up at once is tried again, then named."""
    tries = []

    def hang_up(client: socket.socket) -> None:
        tries.append(client)
        client.close()

    with _listening(hang_up) as port:
        _ask(_access(tmp_path, port), Patience(first_contact=2))
    assert len(tries) > 1


@pytest.mark.parametrize(
    ("identity", "trusted", "words", "hint"),
    [
        ({"days": -2}, True, "certificate has expired", "renew the API server's certificate"),
        ({"names": ("10.1.2.3",)}, True, "not made out for this name", "tls-server-name"),
        ({}, False, "authority we do not trust", "made anew"),
    ],
)
def test_certificates(
    tmp_path: Path, identity: dict[str, Any], words: str, hint: str, *, trusted: bool
) -> None:
    """A certificate that is not valid is named as the cause at once, with the cure."""
    shown = self_signed(**{"names": ("127.0.0.1",), **identity})
    authority = shown if trusted else self_signed(("127.0.0.1",))
    (tmp_path / "ca.crt").write_bytes(authority[0])
    patient = Patience(first_contact=60)
    with _listening(_tls(shown)) as port:
        access = _access(tmp_path, port, **{"certificate-authority": "ca.crt"})
        error = _ask(access, patient)
    assert words in error.message
    assert hint in error.hint


def test_other_name_by_consent(tmp_path: Path) -> None:
    """With ``tls-server-name``, a certificate for another name is the right one."""
    identity = self_signed(("inside",))
    (tmp_path / "ca.crt").write_bytes(identity[0])
    answer = b'HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{"items":[]}'
    with _listening(_tls(identity, answer)) as port:
        access = _access(
            tmp_path, port, **{"certificate-authority": "ca.crt", "tls-server-name": "inside"}
        )
        assert open_cluster(access).list("v1", "Pod", Run.within(60)) == ()


def test_plain_http_where_tls_is_due(tmp_path: Path) -> None:
    """A server that speaks plain HTTP is told apart from one that does not answer."""
    with _listening(lambda client: client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        error = _ask(_access(tmp_path, port))
    assert "no TLS" in error.message
    assert "plain HTTP" in error.hint


def test_something_else_answers(tmp_path: Path) -> None:
    """An answer that is no JSON is no traceback: the message says what to look at."""

    def serve(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")

    with _listening(serve) as port, pytest.raises(ClusterError, match="is not JSON"):
        open_cluster(_access(tmp_path, port, "http")).list("v1", "Pod", Run.within(60))


def test_unknown_name() -> None:
    """A name that DNS does not know, told from a refused connection."""
    error = exceptions.NameResolutionError("c.invalid", None, socket.gaierror(-2, "unknown"))  # type: ignore[arg-type]
    trouble = diagnose(error, "https://c.invalid")
    assert trouble.text == "the name is unknown"
    assert "DNS" in trouble.hint
    assert not trouble.sent
