"""TLS material and pools: what is refused, what is kept, what is left behind."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from infometis_sdk._adapters.session import Session, as_file, in_cluster
from infometis_sdk.errors import PlatformError
from infometis_sdk.model.run import Run
from infometis_sdk.ports.platform import Access
from infometis_sdk.testing.throwaway import self_signed

if TYPE_CHECKING:
    from pathlib import Path

CERTIFICATE, KEY = self_signed(("localhost",))


def _access(folder: Path, user: dict[str, Any], **cluster: Any) -> Access:
    path = folder / "config"
    document = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return Access(kubeconfig=path)


def _user(certificate: bytes, key: bytes) -> dict[str, str]:
    return {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }


def test_key_that_does_not_fit(tmp_path: Path) -> None:
    """A key of another certificate is an error that names the kubeconfig."""
    other = self_signed(("localhost",))[1]
    with pytest.raises(PlatformError, match=r"context 'x' of .*config cannot be used"):
        Session(_access(tmp_path, _user(CERTIFICATE, other))).channel(Run.within(5))


def test_key_with_a_passphrase(tmp_path: Path) -> None:
    """A key with a passphrase is an error; nobody is asked for it in the middle of a run."""
    from cryptography.hazmat.primitives import serialization

    locked = serialization.load_pem_private_key(KEY, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )
    with pytest.raises(PlatformError, match="cannot be used") as caught:
        Session(_access(tmp_path, _user(CERTIFICATE, locked))).channel(Run.within(5))
    assert "passphrase" in caught.value.hint


def test_authority_that_is_none(tmp_path: Path) -> None:
    """A certificate authority that is no certificate is an error that names the kubeconfig."""
    spoilt = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    data = {"certificate-authority-data": base64.b64encode(spoilt).decode()}
    with pytest.raises(PlatformError, match="no valid certificate"):
        Session(_access(tmp_path, {}, **data)).channel(Run.within(5))


def test_new_token_keeps_the_pool(tmp_path: Path) -> None:
    """A renewed token goes over the kept connections; a renewed certificate needs new ones."""
    session = Session(_access(tmp_path, {"token": "old"}))
    first = session.channel(Run.within(5))
    assert not session.renew(first, Run.within(5)), "nothing has changed"
    first = session.channel(Run.within(5))
    _access(tmp_path, {"token": "new"})
    assert session.renew(first, Run.within(5))
    second = session.channel(Run.within(5))
    assert second.credentials.authorization == "Bearer new"
    assert second.pool is first.pool
    _access(tmp_path, _user(CERTIFICATE, KEY))
    assert session.renew(second, Run.within(5))
    assert session.channel(Run.within(5)).pool is not first.pool


def test_renewal_by_another_thread_counts(tmp_path: Path) -> None:
    """Where somebody was faster, the credentials are not fetched a second time."""
    session = Session(_access(tmp_path, {"token": "old"}))
    refused = session.channel(Run.within(5))
    _access(tmp_path, {"token": "new"})
    assert session.renew(refused, Run.within(5))
    _access(tmp_path, {"token": "newest"})
    assert session.renew(refused, Run.within(5))
    assert session.channel(Run.within(5)).credentials.authorization == "Bearer new"


@pytest.mark.parametrize("in_memory", [True, False])
def test_secret_bytes_leave_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, in_memory: bool
) -> None:
    """Secret bytes have a path only while it is needed, and nobody else may read it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    with as_file(b"secret") as path:
        with open(path, "rb") as file:  # noqa: PTH123 - as OpenSSL does
            assert file.read() == b"secret"
        if not in_memory:
            assert os.stat(path).st_mode & 0o777 == 0o600  # noqa: PTH116 - the same
    assert list(tmp_path.iterdir()) == []


def test_outside_of_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a pod there are no credentials of one."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(PlatformError, match="this is no pod"):
        in_cluster()
