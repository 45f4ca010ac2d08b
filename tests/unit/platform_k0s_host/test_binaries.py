"""The binary is what its makers published, or is not used."""

from __future__ import annotations

import base64
import hashlib
import http.server
import threading
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.unit.platform_k0s_host.samples import blank, hosts

from infometis_platform_k0s_host.acting.binaries import Binaries
from infometis_sdk.errors import MissingPartError, PlatformError
from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = b"#!/bin/sh\necho v1.36.3+k0s.2\n"
NAME = "k0s-v1.36.3+k0s.2-amd64"
RUN = Run()


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Give a mirror of the makers' site: its address, and the folder of the release."""
    folder = tmp_path / "mirror" / "v1.36.3+k0s.2"
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(CONTENT)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, directory=str(tmp_path / "mirror"), **kwargs)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


def _publish(folder: Path, key: ec.EllipticCurvePrivateKey | None = None) -> None:
    lines = [f"{hashlib.sha256(CONTENT).hexdigest()}  {NAME}"]
    if key is not None:
        signature = base64.b64encode(key.sign(CONTENT, ec.ECDSA(hashes.SHA256())))
        (folder / f"{NAME}.sig").write_bytes(signature)
        lines.append(f"{hashlib.sha256(signature).hexdigest()}  {NAME}.sig")
    (folder / "sha256sums.txt").write_text("\n".join(lines) + "\n")


def test_a_download_is_verified(mirror: tuple[str, Path], tmp_path: Path) -> None:
    """The release is had from the mirror once, and only as its checksum says."""
    url, folder = mirror
    binaries = Binaries(hosts("single", mirror=url), tmp_path / "cache")
    with pytest.raises(MissingPartError, match=r"cannot be downloaded") as caught:
        binaries.get("amd64", RUN)
    assert "sha256sums.txt" in str(caught.value)
    _publish(folder)
    (folder / NAME).write_bytes(b"torn")
    with pytest.raises(MissingPartError, match="SHA-256"):
        binaries.get("amd64", RUN)
    (folder / NAME).write_bytes(CONTENT)
    path = binaries.get("amd64", RUN)
    assert path.read_bytes() == CONTENT
    (folder / NAME).unlink()
    assert binaries.get("amd64", RUN) == path


def test_a_pinned_checksum(mirror: tuple[str, Path], tmp_path: Path) -> None:
    """A checksum in the settings outweighs what the site says."""
    url, folder = mirror
    _publish(folder)
    binaries = Binaries(hosts("single", mirror=url, sha256="0" * 64), tmp_path / "cache")
    with pytest.raises(PlatformError, match=f"not {'0' * 64}"):
        binaries.get("amd64", RUN)


def test_a_signature(mirror: tuple[str, Path], tmp_path: Path) -> None:
    """Where a key is named, only what its owner signed is used."""
    url, folder = mirror
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    file = tmp_path / "cosign.pub"
    pem, format_ = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    file.write_bytes(key.public_key().public_bytes(pem, format_))
    settings = hosts("single", mirror=url, signature_key=str(file))
    _publish(folder, key)
    assert Binaries(settings, tmp_path / "one").get("amd64", RUN).read_bytes() == CONTENT
    _publish(folder, other)
    with pytest.raises(PlatformError, match="its signature is not by the key"):
        Binaries(settings, tmp_path / "two").get("amd64", RUN)
    (folder / f"{NAME}.sig").unlink()
    with pytest.raises(MissingPartError):
        Binaries(settings, tmp_path / "three").get("amd64", RUN)


def test_a_binary_of_our_own(tmp_path: Path) -> None:
    """A file is known by its content, one for each architecture; its version is not guessed."""
    for arch in ("amd64", "arm64"):
        (tmp_path / f"k0s-{arch}").write_bytes(arch.encode())
    binaries = Binaries(hosts("single", binary=str(tmp_path / "k0s-{arch}")), tmp_path / "cache")
    assert binaries.version == ""
    host = hosts("single").leader
    for arch in ("amd64", "arm64"):
        digest = hashlib.sha256(arch.encode()).hexdigest()
        assert binaries.is_on(blank(host, arch=arch, sha256=digest))
        assert not binaries.is_on(blank(host, arch=arch, sha256="x"))
    missing = Binaries(hosts("single", binary=str(tmp_path / "none")), tmp_path / "cache")
    with pytest.raises(MissingPartError, match="cannot be read"):
        missing.is_on(blank(host))
