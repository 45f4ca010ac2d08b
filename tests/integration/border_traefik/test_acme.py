"""Certificates from a genuine ACME server, which asks the genuine Traefik for what it promised."""

from __future__ import annotations

import http.client
import os
import secrets
import ssl
import stat
from typing import TYPE_CHECKING

import pytest
from tests.acme import Pebble, pebble
from tests.border_bench import Bench, missing_parts
from tests.conftest import cache_dir
from tests.traefik_outside import Traefik, eventually

from infometis_border_traefik.install.static import ACME_CA
from infometis_sdk.model.border import Acme, Border, BorderTls
from infometis_sdk.model.secret import SecretRef

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_sdk.ports.platform import Access

WEB_PORT, SECURE_PORT = 8000, 8443

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def root_of(server: Pebble, bench: Bench) -> str:
    """Ask the server for the authority of what it issues, which is another one at each start."""
    context = ssl.create_default_context(cafile=str(server.authority))
    near = bench.host.connect(("127.0.0.1", 15000))
    connection = http.client.HTTPConnection("127.0.0.1")
    connection.sock = context.wrap_socket(near, server_hostname="127.0.0.1")
    connection.request("GET", "/roots/0")
    return connection.getresponse().read().decode()


def verdict(bench: Bench, root: str) -> str:
    """Shake hands with the route, trusting nothing but that authority."""
    context = ssl.create_default_context(cadata=root)
    try:
        with bench.host.connect(bench.websecure) as near:
            near.settimeout(30)
            with context.wrap_socket(near, server_hostname=f"web.{bench.domain}"):
                return "trusted"
    except OSError as error:
        return str(error)


@pytest.mark.parametrize("challenge", ["tls-alpn", "http"])
def test_a_certificate_is_had_from_an_acme_server(
    challenge: str, embedded_access: Access, tmp_path: Path
) -> None:
    """Validated for real, by either challenge, and kept where nobody else may read the key."""
    if reason := missing_parts():
        if os.environ.get("CI"):
            pytest.fail(f"no border: {reason}")
        pytest.skip(f"no border: {reason}")
    program = pebble(cache_dir())
    with Bench(tmp_path, embedded_access, f"acme-{secrets.token_hex(3)}") as bench:
        bench.service("web", (bench.host.address, 1))
        server = bench.hold(
            Pebble(program, tmp_path / "acme", bench.host, http=WEB_PORT, https=SECURE_PORT)
        )
        acme = Acme(
            email="ada@example.test",
            server=server.directory,
            challenge=challenge,
            ca=SecretRef(scheme="file", target=str(server.authority)),
        )
        tls = BorderTls(source="acme", acme=acme)
        bench.apply(Border(type="traefik", domain=bench.domain, anonymous=True, tls=tls))
        # In its pod the authority is mounted; here it lies where the server left it.
        # Two slashes: the bench takes what begins with one for a folder of the pod's own.
        arguments = [each.replace(ACME_CA, f"/{server.authority}") for each in bench.arguments()]
        folder = tmp_path / "traefik"
        traefik = Traefik(folder, bench.host, arguments, embedded_access, bench._token())
        assert traefik.ports.items() >= {"web": WEB_PORT, "websecure": SECURE_PORT}.items()
        bench.traefik = bench.hold(traefik)
        root = root_of(server, bench)
        said = eventually(
            lambda: verdict(bench, root),
            lambda word: word == "trusted",
            "no certificate",
        )
        assert said == "trusted"
        kept = next(folder.rglob("acme.json"))
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
