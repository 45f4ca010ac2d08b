"""The genuine Traefik takes what it is told in files: routes for guests, and the egress proxy."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from tests.backends import Backend
from tests.conftest import required
from tests.traefik_outside import eventually, missing_parts, program
from tests.unit.border_traefik.scenes import AUTH, HOME, arguments, objects, rendered

from infometis_border_traefik import Traefik
from infometis_border_traefik.layout import CHECK_PORT, STATUS
from infometis_border_traefik.routing.auth import CHECK, CLIENT_HEADER
from infometis_border_traefik.routing.route import READY_PATH
from infometis_sdk.model import BorderTls, RouteSettings
from infometis_sdk.model.external import ExternalService

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.integration


@contextlib.contextmanager
def told(given: Sequence[str], folder: Path, check: int = 0) -> Iterator[dict[str, int]]:
    """Run a Traefik with the arguments of a pod, on free ports of the loopback interface.

    Args:
        given: the arguments.
        folder: for its files.
        check: port on which it asks itself, where its routes name one.

    Yields:
        Entry points and their ports, once it is ready.

    """
    if missing := missing_parts():
        if required():
            pytest.fail(missing)
        pytest.skip(missing)
    words, ports = [], {}
    for word in given:
        point = re.match(r"--entrypoints\.([a-z0-9-]+)\.address=", word)
        if point:
            ports[point[1]] = check if check and point[1] == CHECK else free_port()
            words.append(f"{point[0]}127.0.0.1:{ports[point[1]]}/tcp")
        else:
            words.append(word.replace("/etc/traefik", str(folder)))
    log = folder / "traefik.log"
    with log.open("wb") as out:
        process = subprocess.Popen([program(), *words], stdout=out, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: _ready(process, ports[STATUS]), bool, f"see {log}")
        yield ports
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _ready(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None, "traefik ended"
    with contextlib.suppress(OSError):
        return asked(port, READY_PATH)[0] == 200
    return False


def asked(port: int, path: str) -> tuple[int, Any]:
    """Ask over HTTP; return status and what JSON says."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(client):
        client.request("GET", path)
        answer = client.getresponse()
        body = answer.read()
    return answer.status, json.loads(body) if body.startswith((b"{", b"[")) else body


def certify(folder: Path, authority: trustme.CA, *names: str) -> None:
    """Write a certificate, its key and its authority as a Secret is mounted."""
    folder.mkdir(parents=True)
    leaf = authority.issue_cert(*names)
    (folder / "tls.crt").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    (folder / "tls.key").write_bytes(leaf.private_key_pem.bytes())
    (folder / "ca.crt").write_bytes(authority.cert_pem.bytes())


def test_guests_get_every_route_from_a_file(tmp_path: Path) -> None:
    """Traefik loads the file as a whole, finds no fault with it, and answers to the hosts in it."""
    made = rendered(
        "web",
        "nifi",
        "kafka",
        "db",
        settings=Traefik(configuration="file"),
        auth=AUTH,
        tls=BorderTls(required=False),
        routes={
            "web.http": RouteSettings(
                auth="staff",
                sensitive_auth="chief",
                body_limit="1Mi",
                retries=2,
                in_flight=5,
                request_headers={"X-Home": '{{ env "HOME" }}'},
            ),
            "nifi.ui": RouteSettings(auth="chief"),
            "kafka.out": RouteSettings(auth="badge"),
            "db.sql": RouteSettings(port=5432, tls="none", in_flight=3),
        },
        around={"mode": "shared"},
    )
    (tmp_path / "routes").mkdir()
    text: str = objects(made, "ConfigMap")["border-routes"]["data"]["routes.yaml"]
    (tmp_path / "routes" / "routes.yaml").write_text(text.replace("/etc/traefik", str(tmp_path)))
    authority = trustme.CA()
    hosts = ("web.localhost", "nifi.localhost", "kafka.localhost")
    certify(tmp_path / "secrets" / "border-tls", authority, *hosts)
    for name in ("border-auth-chief", "border-auth-badge", "nifi-tls"):
        certify(tmp_path / "secrets" / name, authority, "x")
    (tmp_path / "secrets" / "border-auth-staff").mkdir()
    (tmp_path / "secrets" / "border-auth-staff" / "users").write_text("ada:$2y$05$x\n")

    with told(arguments(made, name=f"{HOME}/border-traefik"), tmp_path) as ports:
        context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        with (
            socket.create_connection(("127.0.0.1", ports["websecure"])) as plain,
            context.wrap_socket(plain, server_hostname="web.localhost") as secure,
        ):
            secure.sendall(b"GET / HTTP/1.1\r\nHost: web.localhost\r\nConnection: close\r\n\r\n")
            assert secure.recv(65536).startswith(b"HTTP/1.1 401 ")
        assert asked(ports["web"], "/")[0] == 404
    told_wrong = [
        line
        for line in (tmp_path / "traefik.log").read_text().splitlines()
        if '"level":"error"' in line or '"level":"warn"' in line
    ]
    assert told_wrong == []


def test_only_named_clients_pass(tmp_path: Path) -> None:
    """A client passes by a name on its own certificate: by none in its headers or its chain."""
    made = rendered(
        "web",
        settings=Traefik(configuration="file"),
        auth=AUTH,
        routes={"web.http": RouteSettings(auth="chief")},
        around={"mode": "shared"},
    )
    check = free_port()
    (tmp_path / "routes").mkdir()
    text: str = objects(made, "ConfigMap")["border-routes"]["data"]["routes.yaml"]
    text = text.replace("/etc/traefik", str(tmp_path)).replace(f":{CHECK_PORT}/", f":{check}/")
    backend = Backend(socket.create_server(("127.0.0.1", 0)), "web")
    text = text.replace(f"web.{HOME}.svc:80", f"127.0.0.1:{backend.address[1]}")
    (tmp_path / "routes" / "routes.yaml").write_text(text)
    authority = trustme.CA()
    certify(tmp_path / "secrets" / "border-tls", authority, "web.localhost")
    certify(tmp_path / "secrets" / "border-auth-chief", authority, "x")
    lie = f"{CLIENT_HEADER}: Subject%3D%22CN%3Dalice%22"

    def status(common: str | None, names: Sequence[str], *headers: str) -> int:
        context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        authority.issue_cert(*names, common_name=common).configure_cert(context)
        lines = ["GET / HTTP/1.1", "Host: web.localhost", "Connection: close", *headers, "", ""]
        with (
            socket.create_connection(("127.0.0.1", ports["websecure"])) as plain,
            context.wrap_socket(plain, server_hostname="web.localhost") as secure,
        ):
            secure.sendall("\r\n".join(lines).encode())
            return int(secure.recv(65536).split(b" ")[1])

    with (
        backend,
        told(arguments(made, name=f"{HOME}/border-traefik"), tmp_path, check) as ports,
    ):
        assert status("alice", ["x.example"]) == 200
        assert status("mallory", ["x.example", "alice"]) == 200
        assert status(None, ["alice"]) == 200
        assert len(backend.seen) == 3
        assert status("alice2", ["x.example"]) == 403
        assert status("mallory", ["alice.example"]) == 403
        assert status("mallory", ["x.example"], lie) == 403
        assert status("mallory", ["x.example"], lie.replace("-", "_")) == 403
        assert len(backend.seen) == 3


def test_requests_without_an_answer_are_tried_again(tmp_path: Path) -> None:
    """As often as the route says, where the method is idempotent; a POST that arrived is not."""
    made = rendered(
        "web",
        settings=Traefik(configuration="file"),
        routes={"web.http": RouteSettings(retries=2)},
        tls=BorderTls(source="none", required=False),
        around={"mode": "shared"},
    )
    (tmp_path / "routes").mkdir()
    text: str = objects(made, "ConfigMap")["border-routes"]["data"]["routes.yaml"]
    backend = Backend(socket.create_server(("127.0.0.1", 0)), "web")
    text = text.replace(f"web.{HOME}.svc:80", f"127.0.0.1:{backend.address[1]}")
    (tmp_path / "routes" / "routes.yaml").write_text(text)
    with backend, told(arguments(made, name=f"{HOME}/border-traefik"), tmp_path) as ports:
        for method, drops, status, arrived in (("GET", 2, 200, 3), ("POST", 1, 502, 1)):
            backend.seen.clear()
            backend.drop(drops)
            client = http.client.HTTPConnection("127.0.0.1", ports["web"], timeout=30)
            with contextlib.closing(client):
                client.request(method, "/", headers={"Host": "web.localhost"})
                assert (method, client.getresponse().status) == (method, status)
            assert len(backend.seen) == arrived


def test_the_egress_proxy_speaks_tls_to_whom_it_knows(tmp_path: Path) -> None:
    """Inside it is plain HTTP; outside the certificate must hold the name of the system.

    The system hears its own name as host, and nothing of what the inside looks like.
    """
    authority, stranger = trustme.CA(), trustme.CA()
    contexts = []
    for signer in (authority, stranger):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        signer.issue_cert("localhost").configure_cert(context)
        contexts.append(context)
    with contextlib.ExitStack() as held:
        right, wrong, raw = (
            held.enter_context(Backend(socket.create_server(("127.0.0.1", 0)), name, tls=context))
            for name, context in (("right", contexts[0]), ("wrong", contexts[1]), ("raw", None))
        )
        systems = tuple(
            ExternalService(
                name=each.name,
                host="localhost",
                port=443,
                target_port=each.address[1],
                protocol="tcp" if each is raw else "https",
                originate=each is not raw,
                server_name="localhost",
                secret=f"external-{each.name}",
                ca_key="ca.crt",
            )
            for each in (raw, right, wrong)
        )
        made = rendered(around={"egress": systems})
        (tmp_path / "routes").mkdir()
        text: str = objects(made, "ConfigMap")["border-egress"]["data"]["routes.yaml"]
        (tmp_path / "routes" / "routes.yaml").write_text(
            text.replace("/etc/traefik", str(tmp_path))
        )
        for name in ("right", "wrong"):
            (tmp_path / "secrets" / name).mkdir(parents=True)
            (tmp_path / "secrets" / name / "ca.crt").write_bytes(authority.cert_pem.bytes())

        with told(arguments(made, name="border-egress"), tmp_path) as ports:
            # In the order of their names: raw, right, wrong.
            status, said = asked(ports["external-1"], "/a?b=c")
            assert (status, said["target"], said["server_name"]) == (200, "/a?b=c", "localhost")
            heard = said["headers"]
            assert heard["host"] == f"localhost:{right.address[1]}"
            assert not [name for name in heard if name.startswith("x-")]
            assert asked(ports["external-2"], "/")[0] == 500
            assert wrong.seen == []
            assert asked(ports["external-0"], "/raw")[1]["target"] == "/raw"
