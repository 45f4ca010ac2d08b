"""Who we are: every way to log in reaches the genuine API server, and stays fresh."""

from __future__ import annotations

import base64
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.identities import kubeconfig, plugin, runs_of, service_account

from infometis_sdk._adapters import session
from infometis_sdk._adapters.kubeconfig import KubeConfig
from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.errors import UnauthorizedError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Cluster, Write
from infometis_sdk.ports.platform import Access

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infometis_sdk.model.run import Run
    from infometis_sdk.testing.fault_proxy import FaultProxy

pytestmark = pytest.mark.integration


@pytest.fixture
def token(embedded_access: Access, namespace_name: str) -> str:
    """Give the token of a service account."""
    return service_account(embedded_access, namespace_name)


@pytest.fixture
def user(namespace_name: str) -> str:
    """Give the name that the API server has for that service account."""
    return f"system:serviceaccount:{namespace_name}:tester"


def whoami(cluster: Cluster, run: Run) -> str:
    """Ask the API server who we are."""
    ref = ObjectRef(api_version="authentication.k8s.io/v1", kind="SelfSubjectReview", name="me")
    body = {"apiVersion": ref.api_version, "kind": ref.kind}
    answer = cluster.write(Write(verb="create", ref=ref, body=body), run)
    return str(answer.object["status"]["userInfo"]["username"])


def test_client_certificate(embedded_access: Access, run: Run) -> None:
    """A client certificate from the kubeconfig's data logs in."""
    assert whoami(open_cluster(embedded_access), run) == "infometis:admin"


def test_client_certificate_from_files(embedded_access: Access, run: Run, tmp_path: Path) -> None:
    """Certificates may be files, named relative to the kubeconfig."""
    assert embedded_access.kubeconfig is not None
    given = KubeConfig.read(embedded_access.kubeconfig).connection()
    (tmp_path / "me.crt").write_bytes(b"some words before\n" + given.certificate)
    (tmp_path / "me.key").write_bytes(given.key)
    (tmp_path / "ca.crt").write_bytes("Autorität\n".encode() + given.ca)
    access = kubeconfig(
        tmp_path / "config",
        embedded_access,
        {"client-certificate": "me.crt", "client-key": "me.key"},
        **{"certificate-authority": "ca.crt", "certificate-authority-data": ""},
    )
    assert whoami(open_cluster(access), run) == "infometis:admin"


def test_token_reaches_the_wire(proxy: FaultProxy, token: str, user: str, run: Run) -> None:
    """The Authorization header carries the token of the kubeconfig, exactly."""
    assert whoami(open_cluster(proxy.access_as({"token": token})), run) == user
    assert [seen.headers["authorization"] for seen in proxy.requests] == [f"Bearer {token}"]


def test_token_file_that_is_replaced(
    proxy: FaultProxy, token: str, user: str, run: Run, tmp_path: Path
) -> None:
    """A token file that somebody renews is read again when the old token is refused."""
    path = tmp_path / "token"
    path.write_text(f"{token}\n", encoding="utf-8")
    door = open_cluster(proxy.access_as({"tokenFile": str(path)}))
    assert whoami(door, run) == user
    path.write_text("spoilt", encoding="utf-8")
    assert whoami(door, run) == user, "the token that was read is good for a while"
    stale = open_cluster(proxy.access_as({"tokenFile": str(path)}))
    with pytest.raises(UnauthorizedError):
        whoami(stale, run)
    path.write_text(token, encoding="utf-8")
    assert whoami(stale, run) == user


def test_kubeconfig_that_is_replaced(proxy: FaultProxy, token: str, user: str, run: Run) -> None:
    """A kubeconfig that somebody writes anew is read again when its old token is refused."""
    access = proxy.access_as({"token": "spoilt"})
    door = open_cluster(access)
    with pytest.raises(UnauthorizedError) as caught:
        whoami(door, run)
    assert caught.value.status == 401
    assert "spoilt" not in str(caught.value)
    assert access.kubeconfig is not None
    document = json.loads(access.kubeconfig.read_text(encoding="utf-8"))
    document["users"][0]["user"]["token"] = token
    access.kubeconfig.write_text(json.dumps(document), encoding="utf-8")
    assert whoami(door, run) == user


def test_plugin_runs_once_while_its_token_lives(
    proxy: FaultProxy, token: str, user: str, run: Run, tmp_path: Path
) -> None:
    """Eight threads cause one run of a credential plugin; its token is used until it ends."""
    door = open_cluster(proxy.access_as(plugin(tmp_path, token, seconds=3600)))
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: whoami(door, run), range(24))) == {user}
    assert runs_of(tmp_path) == 1


def test_plugin_runs_again_when_its_token_ends(
    proxy: FaultProxy, token: str, user: str, run: Run, tmp_path: Path
) -> None:
    """A token that runs out is replaced before it is used again, in the middle of a long wait."""
    door = open_cluster(proxy.access_as(plugin(tmp_path, token, seconds=0.5)))
    while runs_of(tmp_path) < 3:
        assert whoami(door, run) == user
    assert {seen.status for seen in proxy.requests} == {201}
    assert len(proxy.requests) > 3


def test_plugin_runs_again_when_refused(
    proxy: FaultProxy, token: str, user: str, run: Run, tmp_path: Path
) -> None:
    """A token that is refused before its time is replaced, and the request sent once more."""
    door = open_cluster(proxy.access_as(plugin(tmp_path, "spoilt", seconds=3600)))
    with pytest.raises(UnauthorizedError):
        whoami(door, run)
    (tmp_path / "token").write_text(token, encoding="utf-8")
    proxy.reset()
    assert whoami(door, run) == user
    assert [seen.status for seen in proxy.requests] == [401, 201]


def test_plugin_that_fails(proxy: FaultProxy, run: Run, tmp_path: Path) -> None:
    """A failing plugin is an error that names it and what it said; no request is ever sent."""
    script = tmp_path / "broken-login"
    script.write_text("#!/bin/sh\necho the session has ended >&2\nexit 3\n", encoding="utf-8")
    script.chmod(0o700)
    spec = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(script),
        "interactiveMode": "Never",
    }
    with pytest.raises(UnauthorizedError, match="exit code 3: the session has ended") as caught:
        whoami(open_cluster(proxy.access_as({"exec": spec})), run)
    assert "broken-login" in caught.value.message
    assert proxy.requests == ()


def test_plugin_that_gives_a_certificate(embedded_access: Access, run: Run, tmp_path: Path) -> None:
    """A plugin may hand out a client certificate with its key."""
    assert embedded_access.kubeconfig is not None
    given = KubeConfig.read(embedded_access.kubeconfig).connection()
    version = "client.authentication.k8s.io/v1"
    status = {
        "clientCertificateData": given.certificate.decode(),
        "clientKeyData": given.key.decode(),
    }
    answer = {"apiVersion": version, "kind": "ExecCredential", "status": status}
    (tmp_path / "answer").write_text(json.dumps(answer), encoding="utf-8")
    spec = {"apiVersion": version, "command": "cat", "args": [str(tmp_path / "answer")]}
    access = kubeconfig(tmp_path / "config", embedded_access, {"exec": spec})
    assert whoami(open_cluster(access), run) == "infometis:admin"


def test_expired_client_certificate(embedded_access: Access, run: Run, tmp_path: Path) -> None:
    """An expired client certificate is named as the cause, with its date."""
    certificate, key = _issued(embedded_access, days=-3)
    user = {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }
    with pytest.raises(UnauthorizedError) as caught:
        whoami(open_cluster(kubeconfig(tmp_path / "config", embedded_access, user)), run)
    day = (datetime.now(UTC) - timedelta(days=3)).date()
    assert f"the client certificate expired on {day}" in caught.value.hint


def _issued(access: Access, *, days: float) -> tuple[bytes, bytes]:
    """Return a client certificate of the cluster's own authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    assert access.kubeconfig is not None
    pki = access.kubeconfig.parent / "pki"
    authority = x509.load_pem_x509_certificate((pki / "ca.crt").read_bytes())
    signer = serialization.load_pem_private_key((pki / "ca.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "late")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .sign(signer, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def test_in_cluster(
    embedded_access: Access,
    token: str,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a pod, the mounted service account logs in, and a renewed token is picked up."""
    assert embedded_access.kubeconfig is not None
    given = KubeConfig.read(embedded_access.kubeconfig).connection()
    host, _, port = given.server.removeprefix("https://").rpartition(":")
    (tmp_path / "ca.crt").write_bytes(given.ca)
    (tmp_path / "token").write_text("spoilt", encoding="utf-8")
    monkeypatch.setattr(session, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    door = open_cluster(Access(kubeconfig=None))
    with pytest.raises(UnauthorizedError):
        whoami(door, run)
    (tmp_path / "token").write_text(token, encoding="utf-8")
    assert whoami(door, run).endswith(":tester")


def test_through_a_proxy(
    embedded_access: Access, token: str, user: str, run: Run, tmp_path: Path
) -> None:
    """With ``proxy-url``, every byte goes through that proxy, and TLS ends at the API server."""
    with _connect_proxy() as (url, tunnels):
        access = kubeconfig(
            tmp_path / "config", embedded_access, {"token": token}, **{"proxy-url": url}
        )
        door = open_cluster(access)
        assert whoami(door, run) == user
        assert whoami(door, run) == user
        door.close()
    assert embedded_access.kubeconfig is not None
    server = KubeConfig.read(embedded_access.kubeconfig).connection().server
    assert tunnels == [f"CONNECT {server.removeprefix('https://')}"]


@contextmanager
def _connect_proxy() -> Iterator[tuple[str, list[str]]]:
    """Run an HTTP proxy that knows CONNECT only, and note what it is asked for."""
    asked: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.close()

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            verb, address, _ = head.split(b"\r\n")[0].decode().split()
            asked.append(f"{verb} {address}")
            host, _, port = address.rpartition(":")
            server = socket.create_connection((host, int(port)))
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            for pair in ((client, server), (server, client)):
                threading.Thread(target=_quietly, args=(pump, *pair), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    listener.close()


def _quietly(pump: Any, *pair: socket.socket) -> None:
    try:
        pump(*pair)
    except OSError:
        return
