"""TLS at the border: which versions, whose certificate, and what happens when it changes."""

from __future__ import annotations

import contextlib
import ssl
import threading
import warnings
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from tests.border_client import connect
from tests.traefik_outside import eventually

from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.border_traefik.world import World

pytestmark = pytest.mark.integration


def serial(world: World) -> int:
    """Return the number of the certificate that is shown."""
    name = f"web.{world.bench.domain}"
    with connect(world.bench.websecure, tls=world.trusting(), name=name) as sock:
        assert isinstance(sock, ssl.SSLSocket)
        found = sock.getpeercert(binary_form=True)
        assert found
        return x509.load_der_x509_certificate(found).serial_number


@contextlib.contextmanager
def load(world: World, name: str = "web") -> Iterator[list[object]]:
    """Ask all the time, each time with a new handshake; give what came of it."""
    came, over = list[object](), threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                came.append(world.bench.get(name, tls=world.trusting()).status)
            except OSError as error:
                came.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield came
        # What is under way when all is done counts too.
        enough = len(came) + 10
        eventually(lambda: len(came), lambda now: now >= enough, "no more answers")
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_the_certificate_is_trusted(world: World) -> None:
    """A client that trusts the authority opens the host without a warning."""
    assert world.bench.get("web", tls=world.trusting()).status == 200


@pytest.mark.parametrize(
    ("newest", "ciphers"),
    [(ssl.TLSVersion.TLSv1_1, "ALL"), (ssl.TLSVersion.TLSv1_2, "AES128-SHA:AES256-SHA256")],
)
def test_old_versions_and_ciphers_are_refused(
    world: World, newest: ssl.TLSVersion, ciphers: str
) -> None:
    """TLS 1.1 and ciphers without forward secrecy get no connection, whatever the name."""
    for name in ("web", "mutual", "nobody"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = newest
        context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            connect(world.bench.websecure, tls=context, name=f"{name}.{world.bench.domain}")


def test_browsers_are_told_to_stay_with_https(world: World) -> None:
    """The header of strict transport security is on every answer, on refusals too."""
    assert world.bench.get("web").headers["strict-transport-security"] == "max-age=60"
    assert world.bench.get("basic").headers["strict-transport-security"] == "max-age=60"


def test_a_new_certificate_costs_no_request(world: World) -> None:
    """While the certificate is replaced through the engine, every request is answered."""
    before = serial(world)
    leaf = world.authority.issue_cert(world.bench.domain, f"*.{world.bench.domain}")
    world.key.write_bytes(leaf.private_key_pem.bytes())
    world.certificate.write_bytes(b"".join(each.bytes() for each in leaf.cert_chain_pems))

    with load(world) as came:
        world.bench.again()
        eventually(lambda: serial(world), lambda now: now != before, "the old certificate")

    assert set(came) == {200}


def test_newer_definitions_cost_no_request(world: World) -> None:
    """While the custom resource definitions are upgraded, Traefik answers, and still learns."""
    bench = world.bench
    ref = ObjectRef(
        api_version="apiextensions.k8s.io/v1",
        kind="CustomResourceDefinition",
        name="ingressroutes.traefik.io",
    )
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/ofTomorrow"

    def patch(**what: object) -> None:
        live = bench.cluster.get(ref, bench.run())
        assert live is not None
        bench.cluster.write(
            Write(
                verb="json-patch",
                ref=ref,
                body=[{"path": path, **what}],
                resource_version=live["metadata"]["resourceVersion"],
            ),
            bench.run(),
        )

    with load(world) as came:
        patch(op="add", value={"type": "string"})
        bench.move("gone", world.backends["web"].address)
        bench.until("gone", 200)
        patch(op="remove")
        bench.move("gone")
        bench.until("gone", 503)

    assert set(came) == {200}
