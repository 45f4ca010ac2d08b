"""External systems are asked as their protocol demands, against genuine servers on loopback."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.engine.checks import check_services, in_lines
from infometis_sdk.engine.external_checks import ask_external
from infometis_sdk.engine.writing.credentials import make
from infometis_sdk.model import (
    BoundCredential,
    ComposedService,
    Credential,
    Environment,
    External,
    ExternalCheck,
    ExternalTls,
    ManifestSet,
    Run,
    Secret,
    Service,
)
from infometis_sdk.model.report import HealthReport
from infometis_sdk.ports.platform import Access

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HERE = "127.0.0.1"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 503)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def _serving(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve HTTP, or HTTPS; yield the port."""
    with http.server.ThreadingHTTPServer((HERE, 0), _Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@attrs.frozen
class _Side:
    """A server's certificate, the authority that signed it, and its side of TLS."""

    ca: str
    context: ssl.SSLContext


@pytest.fixture(scope="module")
def encrypting(tmp_path_factory: pytest.TempPathFactory) -> _Side:
    """Return a server's side of TLS for the name db.example."""
    credential = Credential(type="tls", hosts=["db.example"])
    bound = BoundCredential(service="db", name="tls", secret="db-tls", credential=credential)
    made = make(bound, "ns", lambda _: Secret(""))
    folder = tmp_path_factory.mktemp("tls")
    for name in ("tls.crt", "tls.key"):
        (folder / name).write_bytes(made[name])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return _Side(made["ca.crt"].decode(), context)


def test_a_connection() -> None:
    """TCP: a port that takes connections, and one that nobody listens on."""
    with socket.create_server((HERE, 0)) as server:
        port = server.getsockname()[1]
        assert ask_external(External(addresses=[HERE], port=1, target_port=port)) == ""
    wrong = ask_external(External(addresses=[HERE], port=1))
    assert f"{HERE} port 1: connection refused" == wrong


def test_every_address_is_asked() -> None:
    """One of two that does not answer is named."""
    with _serving() as port:
        system = External(addresses=["127.0.0.2", HERE], port=port)
        wrong = ask_external(system)
    assert wrong.startswith(f"127.0.0.2 port {port}: ")
    assert HERE not in wrong


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        ("/health", 200, ""),
        ("/health", 0, ""),
        ("/gone", 0, ""),
        ("/gone", 200, "HTTP 503, expected 200"),
    ],
)
def test_a_request(path: str, status: int, expected: str) -> None:
    """HTTP: the declared status, or any answer at all."""
    with _serving() as port:
        check = ExternalCheck(path=path, status=status)
        found = ask_external(External(addresses=[HERE], port=port, protocol="http", check=check))
    assert expected == found.rpartition(f"port {port}: ")[2]


@pytest.mark.parametrize(
    ("name", "trusted", "expected"),
    [
        ("db.example", True, ""),
        ("db.example", False, "its certificate is not trusted: "),
        ("other.example", True, "its certificate is not trusted: Hostname mismatch"),
        ("", True, ""),
        ("", False, "its certificate is not trusted: "),
    ],
)
@pytest.mark.parametrize("protocol", ["tls", "https"])
def test_a_handshake(
    encrypting: _Side,
    protocol: str,
    name: str,
    trusted: bool,  # noqa: FBT001
    expected: str,
) -> None:
    """TLS: the certificate must be of a trusted authority, and hold the name where one is known."""
    with _serving(encrypting.context) as port:
        system = External(
            addresses=[HERE], port=port, protocol=protocol, tls=ExternalTls(server_name=name)
        )
        found = ask_external(system, ca=encrypting.ca if trusted else "", seconds=30)
    assert found.rpartition(f"port {port}: ")[2].startswith(expected)
    assert bool(expected) == bool(found)


def _manifests(**externals: External) -> ManifestSet:
    service = Service(name="app", uses=["external.db"])
    return ManifestSet(
        stack_id="s",
        environment=Environment("test", external=externals),
        namespace="n",
        manifests=(),
        services={"app": ComposedService(service=service, values={})},
    )


def test_checks_hold_external_systems(tmp_path: Path) -> None:
    """They stand beside the services' checks; those that are not wanted are not asked."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        '{"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c"}}],'
        ' "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}]}'
    )
    kubeconfig.chmod(0o600)
    cluster = open_cluster(Access(kubeconfig=kubeconfig))
    with _serving() as port:
        web = External(addresses=[HERE], port=port, protocol="http")
        silent = External(addresses=[HERE], port=1, check=ExternalCheck(enabled=False))
        broken = External(addresses=[HERE], port=1)
        made = _manifests(db=web, silent=silent, broken=broken)
        run = Run.within(60)
        real = check_services(cluster, made, run, simulated=False, patience=0)
        some = check_services(cluster, made, run, simulated=False, services=["app"], patience=0)
        none = check_services(cluster, made, run, simulated=True)
    assert in_lines(real) == {
        "external.db": "1 passed",
        "external.broken": "tcp failed: from this machine: 127.0.0.1 port 1: connection refused",
    }
    assert [each.service for each in some] == ["external.db"]
    assert {"not applicable"} == {each.result for each in none}
    report = HealthReport(stack_id="s", items=(), checks=in_lines(real))
    assert "external.db: 1 passed" in str(report)
