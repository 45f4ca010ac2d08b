"""Credentials: made once in the cluster, never rendered, known to plans only by keyed hashes.

A credential's Secret is created if absent and never applied server-side,
so that a second run, another machine or a lost laptop never makes a new password
for data that the old one unlocks.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import secrets
import string
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects.inventory_id import parent_name
from infometis_sdk.engine.objects.marks import ROLE, STACK
from infometis_sdk.errors import SecretError
from infometis_sdk.model.external import EXTERNAL
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.secret import Secret, SecretRef

if TYPE_CHECKING:
    from infometis_sdk.model.stack import BoundCredential

__all__ = (
    "KEY_BYTES",
    "PENDING",
    "SOURCED",
    "Resolver",
    "credential_manifest",
    "key_manifest",
    "key_of",
    "key_ref",
    "keyed_hash",
    "make",
    "reader_hash",
    "secret_data",
)

KEY_BYTES = 32
PENDING = "made-at-apply"
"""Stands in a plan for the hash of a credential that does not exist yet."""

SOURCED = ("authorities", "certificate", "users")
"""Types that are never generated, and follow their sources; see :mod:`.renewals`."""

_ALPHABET = string.ascii_letters + string.digits
_BCRYPT_LIMIT = 72
_VALIDITY = dt.timedelta(days=3650)

Resolver = Callable[[SecretRef], Secret]


def key_ref(stack_id: str, namespace: str) -> ObjectRef:
    """Return the name of the Secret that holds the stack's HMAC key."""
    return ObjectRef(
        api_version="v1", kind="Secret", namespace=namespace, name=parent_name(stack_id) + "-key"
    )


def key_manifest(stack_id: str, namespace: str) -> dict[str, Any]:
    """Return a Secret with a fresh HMAC key, to be created if absent."""
    return _secret(
        key_ref(stack_id, namespace).name,
        namespace,
        stack_id,
        "key",
        {"hmac": secrets.token_bytes(KEY_BYTES)},
    )


def key_of(obj: Mapping[str, Any] | None) -> bytes | None:
    """Return the HMAC key held by a live Secret."""
    return secret_data(obj).get("hmac") if obj else None


def secret_data(obj: Mapping[str, Any] | None) -> dict[str, bytes]:
    """Return the decoded data of a Secret."""
    data = (obj or {}).get("data") or {}
    # A key without a value is legal, and comes as null.
    return {name: base64.b64decode(value or "") for name, value in data.items()}


def keyed_hash(key: bytes, *parts: bytes) -> str:
    """Return ``hmac:…``: equal values look equal, and nothing can be guessed without the key."""
    mac = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        mac.update(len(part).to_bytes(8, "big"))
        mac.update(part)
    return "hmac:" + mac.hexdigest()[:32]


def reader_hash(key: bytes, found: Mapping[str, Mapping[str, bytes]]) -> str:
    """Return the annotation of pods that read these Secrets (name to data)."""
    parts: list[bytes] = []
    for name in sorted(found):
        parts.append(name.encode())
        for field, value in sorted(found[name].items()):
            parts += [field.encode(), value]
    return keyed_hash(key, *parts)


def make(bound: BoundCredential, namespace: str, resolve: Resolver) -> dict[str, bytes]:
    """Return the data of a credential's Secret.

    Given values where sources name them, else fresh ones.

    Args:
        bound: the credential.
        namespace: for the host names of certificates.
        resolve: turns a reference into its value; raises SecretError.

    Returns:
        The Secret's data by key, not encoded.

    Raises:
        SecretError: a source cannot be resolved, or its value does not fit the type.

    """
    credential = bound.credential
    given = {key: resolve(ref).reveal() for key, ref in bound.sources.items() if _is_given(ref)}
    where = f"credential {bound.service or EXTERNAL}.{bound.name}"
    if credential.type == "given":
        return {key: value.encode() for key, value in given.items()}
    legal = _keys(credential.type)
    for key in given:
        if legal and key not in legal:
            msg = f"{where} has no key {key!r}; legal: {', '.join(legal)}"
            raise SecretError(msg, reference=str(bound.sources[key]))
    data: dict[str, str]
    if credential.type == "password":
        password = given.get("password") or _random(credential.length)
        username = given.get("username") or credential.username or bound.name
        data = {"username": username, "password": password}
        data |= _derived(bound, username, password)
    elif credential.type == "key":
        data = {"key": given.get("key") or _random(credential.length)}
    elif credential.type == "cluster-id":
        data = {"id": given.get("id") or _cluster_id()}
    elif credential.type == "tls":
        if given and len(given) < len(legal):
            lacking = ", ".join(key for key in legal if key not in given)
            msg = f"{where} has no source for {lacking}: a certificate is given as a whole or made"
            raise SecretError(msg, reference=str(next(iter(bound.sources.values()))))
        data = given or _certificate(bound, namespace)
    elif credential.type == "users":
        data = {"users": _users(given)}
    elif credential.type in SOURCED:
        data = given
    else:
        msg = f"{where} has the unknown type {credential.type!r}"
        raise SecretError(msg, reference=bound.name)
    return {key: value.encode() for key, value in data.items()}


def credential_manifest(
    bound: BoundCredential, stack_id: str, namespace: str, data: Mapping[str, bytes]
) -> dict[str, Any]:
    """Return the Secret of a credential, to be created if absent."""
    manifest = _secret(bound.secret, namespace, stack_id, "credential", data)
    manifest["metadata"]["labels"]["app.kubernetes.io/name"] = bound.service or EXTERNAL
    if bound.credential.durable:
        manifest["metadata"]["annotations"] = {"infometis.io/durable": "true"}
    return manifest


def _secret(
    name: str, namespace: str, stack_id: str, role: str, data: Mapping[str, bytes]
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {
                STACK: stack_id,
                ROLE: role,
                "app.kubernetes.io/managed-by": "infometis-sdk",
            },
        },
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def _is_given(ref: Any) -> bool:  # noqa: ANN401 - a SecretRef
    return isinstance(ref, SecretRef) and ref.scheme != "generated"


def _keys(kind: str) -> tuple[str, ...]:
    return {
        "password": ("username", "password"),
        "key": ("key",),
        "cluster-id": ("id",),
        "tls": ("ca.crt", "tls.crt", "tls.key"),
        "authorities": ("ca.crt",),
        "certificate": ("tls.crt", "tls.key"),
    }.get(kind, ())


def _users(passwords: Mapping[str, str]) -> str:
    """Return a line ``name:bcrypt`` for each user."""
    lines = []
    for name, password in sorted(passwords.items()):
        lines.append(f"{name}:{_bcrypt(password, f'user {name}', name)}\n")
    return "".join(lines)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _cluster_id() -> str:
    # Kafka refuses an id that begins with a dash, and so does its own random-uuid.
    while (text := base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode())[
        0
    ] == "-":
        pass
    return text


def _derived(bound: BoundCredential, username: str, password: str) -> dict[str, str]:
    if not bound.credential.derived:
        return {}
    whose, source = f"{bound.service}.{bound.name}", bound.sources.get("password", "generated")
    hashed = _bcrypt(password, whose, str(source))
    forms = {"bcrypt": hashed, "htpasswd": f"{username}:{hashed}"}
    return {form: forms[form] for form in bound.credential.derived}


def _bcrypt(password: str, whose: str, source: str) -> str:
    import bcrypt  # noqa: PLC0415 - only where a hash is asked for

    if len(password.encode()) > _BCRYPT_LIMIT:
        msg = f"the password of {whose} is longer than {_BCRYPT_LIMIT} bytes"
        raise SecretError(
            msg,
            reference=source,
            hint="bcrypt reads no more than that; choose a shorter one",
        )
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(10)).decode()


def _certificate(bound: BoundCredential, namespace: str) -> dict[str, str]:
    """Make a CA of the credential's own and one certificate below it.

    The CA's key is thrown away.
    """
    from cryptography import x509  # noqa: PLC0415 - heavy, and only for this type
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    now = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{bound.secret} CA")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, bound.service)])
    hosts = [
        form
        for host in bound.credential.hosts
        for form in (host, f"{host}.{namespace}", f"{host}.{namespace}.svc")
    ]

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + _VALIDITY)
        )

    ca = (
        builder(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    leaf = (
        builder(name, key.public_key())
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(h) for h in hosts]), critical=False
        )
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return {
        "ca.crt": ca.public_bytes(pem).decode(),
        "tls.crt": leaf.public_bytes(pem).decode(),
        "tls.key": key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    }
