from __future__ import annotations

import datetime as dt
import socket
import ssl
import stat
import threading
from typing import TYPE_CHECKING

from cryptography import x509

from infometis_sdk._adapters.development_ca import authority, certificate

if TYPE_CHECKING:
    from pathlib import Path


def handshake(server: Path, trusted: Path, name: str) -> str:
    """Shake hands over a genuine socket; return what the client says of the certificate."""
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inside.load_cert_chain(server / "tls.crt", server / "tls.key")
    here, there = socket.socketpair()

    def serve() -> None:
        with there:
            try:
                with inside.wrap_socket(there, server_side=True) as spoken:
                    spoken.recv(1)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    context = ssl.create_default_context(cafile=str(trusted))
    try:
        with here, context.wrap_socket(here, server_hostname=name) as spoken:
            spoken.send(b"x")
            return "trusted"
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    finally:
        here.close()
        thread.join(30)


def test_whoever_trusts_the_authority_trusts_its_certificates(tmp_path: Path) -> None:
    """A genuine handshake, with the names of the routes and no other."""
    folder = tmp_path / "border"
    certificate(tmp_path, "localhost", ["grafana.localhost", "localhost"], folder)
    root = authority(tmp_path, "localhost").certificate
    assert handshake(folder, root, "grafana.localhost") == "trusted"
    assert "mismatch" in handshake(folder, root, "kafka.localhost")


def test_the_authority_is_good_for_its_domain_alone(tmp_path: Path) -> None:
    """Its name constraints make a certificate for another domain worthless."""
    folder = tmp_path / "border"
    certificate(tmp_path, "localhost", ["bank.example.com"], folder)
    root = authority(tmp_path, "localhost").certificate
    assert "subtree" in handshake(folder, root, "bank.example.com")


def test_keys_are_private(tmp_path: Path) -> None:
    """Nobody but the owner may read them."""
    certificate(tmp_path, "localhost", ["a.localhost"], tmp_path / "border")
    for key in (authority(tmp_path, "localhost").key, tmp_path / "border" / "tls.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_certificate_is_kept_until_something_changes(tmp_path: Path) -> None:
    """The same names keep it; other names, or another authority, make a new one."""
    folder = tmp_path / "border"
    seen = []
    for hosts in (["a.localhost", "b.localhost"], ["b.localhost", "a.localhost"], ["a.localhost"]):
        certificate(tmp_path, "localhost", hosts, folder)
        seen.append((folder / "tls.crt").read_bytes())
    assert seen[0] == seen[1] != seen[2]
    authority(tmp_path, "localhost").certificate.unlink()
    certificate(tmp_path, "localhost", ["a.localhost"], folder)
    assert (folder / "tls.crt").read_bytes() != seen[2]


def test_what_is_damaged_is_made_anew(tmp_path: Path) -> None:
    """A torn file, or a key that is gone, costs nothing but a new certificate."""
    folder = tmp_path / "border"
    certificate(tmp_path, "localhost", ["a.localhost"], folder)
    (folder / "tls.crt").write_text("garbage")
    certificate(tmp_path, "localhost", ["a.localhost"], folder)
    (folder / "tls.key").unlink()
    certificate(tmp_path, "localhost", ["a.localhost"], folder)
    assert (
        handshake(folder, authority(tmp_path, "localhost").certificate, "a.localhost") == "trusted"
    )


def test_a_key_of_another_certificate_is_damage_too(tmp_path: Path) -> None:
    """The key is written first: a run that is killed before the certificate leaves two halves."""
    folder, other = tmp_path / "border", tmp_path / "other"
    for each in (folder, other):
        certificate(tmp_path, "localhost", ["a.localhost"], each)
    (folder / "tls.key").write_bytes((other / "tls.key").read_bytes())
    root = authority(tmp_path, "localhost")
    certificate(tmp_path, "localhost", ["a.localhost"], folder)
    assert handshake(folder, root.certificate, "a.localhost") == "trusted"

    root.key.write_bytes((other / "tls.key").read_bytes())
    certificate(tmp_path, "localhost", ["a.localhost"], folder)
    assert handshake(folder, root.certificate, "a.localhost") == "trusted"


def test_certificates_are_short_lived(tmp_path: Path) -> None:
    """A quarter of a year for a certificate; browsers refuse authorities' leaves over 398 days."""
    certificate(tmp_path, "localhost", ["a.localhost"], tmp_path / "border")
    leaf = x509.load_pem_x509_certificate((tmp_path / "border" / "tls.crt").read_bytes())
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc < dt.timedelta(days=91)


def test_two_at_once_end_with_one_authority(tmp_path: Path) -> None:
    """Each waits for the other, so that no certificate hangs on a key that was overwritten."""
    found: list[bytes] = []

    def ask() -> None:
        found.append(authority(tmp_path, "localhost").certificate.read_bytes())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 4
    assert len(set(found)) == 1
