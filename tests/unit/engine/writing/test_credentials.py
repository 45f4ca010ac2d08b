from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from infometis_sdk.engine.writing.credentials import (
    credential_manifest,
    keyed_hash,
    make,
    reader_hash,
    secret_data,
)
from infometis_sdk.errors import SecretError
from infometis_sdk.model.secret import Secret, SecretRef
from infometis_sdk.model.service import Credential
from infometis_sdk.model.stack import BoundCredential

GIVEN = SecretRef(scheme="env", target="X")


def bound(credential: Credential, **sources: SecretRef) -> BoundCredential:
    """Return a credential with sources."""
    return BoundCredential(
        service="svc", name="admin", secret="svc-admin", credential=credential, sources=sources
    )


def resolve(ref: SecretRef) -> Secret:
    """Resolve to the target."""
    return Secret(f"given-{ref.target}")


def made(credential: Credential, **sources: SecretRef) -> dict[str, str]:
    """Return the data as text."""
    data = make(bound(credential, **sources), "ns", resolve)
    return {k: v.decode() for k, v in data.items()}


def test_each_type_has_its_keys() -> None:
    """Passwords, keys and cluster ids of the promised lengths and letters, never twice the same."""
    password = made(Credential(username="root", length=30, derived=("htpasswd", "bcrypt")))
    assert set(password) == {"username", "password", "htpasswd", "bcrypt"}
    assert password["username"] == "root"
    assert len(password["password"]) == 30
    assert password["password"].isalnum()
    assert password["htpasswd"] == f"root:{password['bcrypt']}"
    assert len(made(Credential(type="key", length=50))["key"]) == 50
    ids = {made(Credential(type="cluster-id"))["id"] for _ in range(40)}
    assert len(ids) == 40
    for text in ids:
        assert len(text) == 22
        assert not text.startswith("-")
        assert len(base64.urlsafe_b64decode(text + "==")) == 16


def test_the_derived_forms_fit_the_password() -> None:
    """What is checked against the hash is the password, also a given one."""
    import bcrypt

    found = made(Credential(derived=("bcrypt",)), password=GIVEN)
    assert found["password"] == "given-X"
    assert bcrypt.checkpw(b"given-X", found["bcrypt"].encode())


def test_a_certificate_is_made_out_for_the_hosts_and_its_namespace() -> None:
    """Short names, and the same with the namespace; signed by the authority beside it."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    found = made(Credential(type="tls", hosts=("db", "*.db-headless")))
    assert set(found) == {"ca.crt", "tls.crt", "tls.key"}
    leaf, ca = (x509.load_pem_x509_certificate(found[k].encode()) for k in ("tls.crt", "ca.crt"))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {
        "db",
        "db.ns",
        "db.ns.svc",
        "*.db-headless",
        "*.db-headless.ns",
        "*.db-headless.ns.svc",
    }
    leaf.verify_directly_issued_by(ca)
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)


@pytest.mark.parametrize(
    ("credential", "sources", "word"),
    [
        (Credential(), {"pasword": GIVEN}, "has no key 'pasword'; legal: username, password"),
        (Credential(type="odd"), {}, "unknown type 'odd'"),
        (Credential(type="tls"), {"tls.key": GIVEN}, "tls.crt"),
    ],
)
def test_what_does_not_fit_is_refused(
    credential: Credential, sources: dict[str, Any], word: str
) -> None:
    """A source for a key that there is not, and half a certificate."""
    with pytest.raises(SecretError, match=word):
        made(credential, **sources)


def test_a_password_that_bcrypt_would_cut_is_refused() -> None:
    """Two passwords that begin alike must not open the same door."""

    def long(ref: SecretRef) -> Secret:
        del ref
        return Secret("x" * 73)

    with pytest.raises(SecretError, match="longer than 72 bytes") as caught:
        make(bound(Credential(derived=("bcrypt",)), password=GIVEN), "ns", long)
    assert "xxx" not in str(caught.value)


DATA = st.dictionaries(
    st.text(max_size=3), st.dictionaries(st.text(max_size=3), st.binary(max_size=4)), max_size=3
)


@settings(max_examples=100, deadline=None)
@given(DATA, DATA)
def test_readers_see_every_change(
    one: dict[str, dict[str, bytes]], two: dict[str, dict[str, bytes]]
) -> None:
    """Names, keys and values cannot be moved into each other without another hash."""
    key = b"k" * 32
    assert (reader_hash(key, one) == reader_hash(key, two)) == (one == two)
    turned = {n: dict(reversed(list(d.items()))) for n, d in reversed(list(one.items()))}
    assert reader_hash(key, turned) == reader_hash(key, one)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_parts_do_not_run_into_each_other(one: list[bytes], two: list[bytes]) -> None:
    """`ab`, `c` is not `a`, `bc`; and without the key nothing can be told."""
    key = b"k" * 32
    assert (keyed_hash(key, *one) == keyed_hash(key, *two)) == (one == two)
    assert keyed_hash(b"other", *one) != keyed_hash(key, *one)


def test_a_secret_says_whose_it_is() -> None:
    """Labels tell stack, role and service.

    A durable one is marked, and no value shows elsewhere.
    """
    durable = bound(Credential(durable=True))
    body = credential_manifest(durable, "stack", "ns", {"password": b"s3cret"})
    assert body["metadata"]["labels"]["infometis.io/role"] == "credential"
    assert body["metadata"]["labels"]["app.kubernetes.io/name"] == "svc"
    assert body["metadata"]["annotations"] == {"infometis.io/durable": "true"}
    assert secret_data(body) == {"password": b"s3cret"}
    assert "s3cret" not in str(body["metadata"])


def test_a_key_without_a_value_is_empty() -> None:
    """Kubernetes lets a key of a Secret be null."""
    assert secret_data({"data": {"a": None}}) == {"a": b""}
    assert secret_data(None) == {}
