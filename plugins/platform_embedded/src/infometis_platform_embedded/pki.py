"""The certificates of one cluster.

Three authorities that share nothing, as kubeadm has it: whoever can have a client certificate
signed in the cluster must not be able to speak to etcd with it.
Everything is EC P-256; the keys never leave the directory, which is written whole or not at all.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import secrets
import shutil
from typing import TYPE_CHECKING

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infometis_platform_embedded.layout import write_private

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ("LEAVES", "Leaf", "ensure_pki", "expires_soon")

_CA_DAYS = 3650
_LEAF_DAYS = 397
_RENEW_DAYS = 30
_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


@frozen(kw_only=True)
class Leaf:
    """One certificate to issue.

    Attributes:
        name: of its two files, without the suffix.
        authority: who signs it.
        user: common name, which Kubernetes takes for the user.
        groups: organisations, which Kubernetes takes for groups.
        addresses: IP addresses it serves.
        names: host names it serves; a certificate without either is a client's only.

    """

    name: str
    authority: str
    user: str
    groups: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


_MASTERS = ("system:masters",)

# kwok and the provisioner act on every object and sit beside the administrator's key,
# so that less than `system:masters` would protect nothing; their names tell them apart in audits.
LEAVES = (
    Leaf(
        name="etcd",
        authority="etcd-ca",
        user="etcd",
        addresses=("127.0.0.1",),
        names=("localhost",),
    ),
    Leaf(name="apiserver-etcd-client", authority="etcd-ca", user="kube-apiserver-etcd-client"),
    Leaf(
        name="apiserver",
        authority="ca",
        user="kube-apiserver",
        addresses=("127.0.0.1", "10.96.0.1"),
        names=_NAMES,
    ),
    Leaf(
        name="apiserver-kubelet-client",
        authority="ca",
        user="kube-apiserver-kubelet-client",
        groups=_MASTERS,
    ),
    Leaf(name="refusal", authority="front-proxy-ca", user="refusal", addresses=("127.0.0.1",)),
    Leaf(name="front-proxy-client", authority="front-proxy-ca", user="front-proxy-client"),
    Leaf(name="controller-manager", authority="ca", user="system:kube-controller-manager"),
    Leaf(name="scheduler", authority="ca", user="system:kube-scheduler"),
    Leaf(name="kwok", authority="ca", user="infometis:kwok", groups=_MASTERS),
    Leaf(name="provisioner", authority="ca", user="infometis:provisioner", groups=_MASTERS),
    Leaf(name="admin", authority="ca", user="infometis:admin", groups=_MASTERS),
)


def ensure_pki(folder: Path) -> bool:
    """Make what is missing; return whether anything is new, so that its users must restart.

    Authorities and the service-account key are made once.
    Leaves are issued again when they have less than 30 days left.
    """
    if not folder.is_dir():
        _make_all(folder)
        return True
    stale = [leaf for leaf in LEAVES if expires_soon(folder / f"{leaf.name}.crt")]
    for leaf in stale:
        _issue(folder, leaf)
    return bool(stale)


def expires_soon(certificate: Path) -> bool:
    """Whether the certificate is absent, unreadable or has less than 30 days left."""
    try:
        end = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return True
    return end - dt.datetime.now(dt.UTC) < dt.timedelta(days=_RENEW_DAYS)


def _make_all(folder: Path) -> None:
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    temporary.mkdir(mode=0o700)
    try:
        for authority in sorted({leaf.authority for leaf in LEAVES}):
            _make_authority(temporary, authority)
        for leaf in LEAVES:
            _issue(temporary, leaf)
        key = ec.generate_private_key(ec.SECP256R1())
        write_private(temporary / "service-account.key", _key_pem(key))
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        write_private(temporary / "service-account.pub", public)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _make_authority(folder: Path, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"infometis-{name}")])
    usage = _usage(key_cert_sign=True, crl_sign=True)
    builder = (
        _builder(subject, key.public_key(), days=_CA_DAYS)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    _write(folder, name, key, builder.sign(key, hashes.SHA256()))


def _issue(folder: Path, leaf: Leaf) -> None:
    authority = x509.load_pem_x509_certificate((folder / f"{leaf.authority}.crt").read_bytes())
    authority_key = serialization.load_pem_private_key(
        (folder / f"{leaf.authority}.key").read_bytes(), password=None
    )
    if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
        msg = f"{leaf.authority}.key in {folder} is no EC key"
        raise TypeError(msg)
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in leaf.groups]
    names.append(x509.NameAttribute(NameOID.COMMON_NAME, leaf.user))
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = _builder(x509.Name(names), key.public_key(), days=_LEAF_DAYS)
    served: list[x509.GeneralName] = [x509.DNSName(name) for name in leaf.names]
    served.extend(x509.IPAddress(ipaddress.ip_address(each)) for each in leaf.addresses)
    if served:
        purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
        builder = builder.add_extension(x509.SubjectAlternativeName(served), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = (
        builder.issuer_name(authority.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(identifier, critical=False)
    )
    _write(folder, leaf.name, key, builder.sign(authority_key, hashes.SHA256()))


def _builder(
    subject: x509.Name, public: ec.EllipticCurvePublicKey, *, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _write(
    folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> None:
    write_private(folder / f"{name}.key", _key_pem(key))
    write_private(folder / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
