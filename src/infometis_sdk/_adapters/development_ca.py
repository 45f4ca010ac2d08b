"""The development authority: certificates for names of this machine, signed by this machine.

One authority for each domain, constrained to it (RFC 5280, section 4.2.1.10),
so that whoever trusts it trusts it for nothing else.
Its key never leaves the state directory and has mode 0600.
"""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from infometis_sdk.machine import hold, private_folder, write_private
from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("Authority", "authority", "certificate")

_AUTHORITY_DAYS = 825
_LEAF_DAYS = 90
_RENEW_DAYS = 30
_SKEW = dt.timedelta(hours=1)
_WAIT = 30.0


@frozen(kw_only=True)
class Authority:
    """Where the authority of one domain is kept.

    Attributes:
        certificate: PEM file, to be trusted.
        key: PEM file with mode 0600.

    """

    certificate: Path
    key: Path


def authority(state_dir: Path, domain: str) -> Authority:
    """Return the authority of a domain; made where there is none yet, or where it is expiring.

    Args:
        state_dir: where this user's state is kept.
        domain: that its certificates are for, with all names below.

    Raises:
        OSError: the state directory cannot be written.

    """
    folder = state_dir / "authorities" / domain
    found = Authority(certificate=folder / "ca.crt", key=folder / "ca.key")
    with hold(folder / "lock", Run.within(_WAIT), f"the authority of {domain}"):
        if not (_lasts(found.certificate, _RENEW_DAYS) and _belongs(found.key, found.certificate)):
            _make_authority(found, domain)
    return found


def certificate(state_dir: Path, domain: str, hosts: Sequence[str], folder: Path) -> None:
    """Keep a certificate for some names in a folder: ``tls.crt`` with its chain, and ``tls.key``.

    It is made anew where it is not there, is for other names, expires within a month,
    or was signed by an authority that is gone.

    Args:
        state_dir: where this user's state is kept.
        domain: whose authority signs.
        hosts: the names on it; all in the domain.
        folder: where it is kept.

    Raises:
        OSError: the folder cannot be written.

    """
    signer = authority(state_dir, domain)
    with hold(folder / "lock", Run.within(_WAIT), "the certificate"):
        chain = folder / "tls.crt"
        if not _fits(chain, folder / "tls.key", hosts, signer):
            _make_leaf(chain, folder / "tls.key", hosts, signer)


def _fits(chain: Path, key: Path, hosts: Sequence[str], signer: Authority) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    if not (_lasts(chain, _RENEW_DAYS) and _belongs(key, chain)):
        return False
    leaf = x509.load_pem_x509_certificates(chain.read_bytes())[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if sorted(names.get_values_for_type(x509.DNSName)) != sorted(set(hosts)):
        return False
    root = x509.load_pem_x509_certificate(signer.certificate.read_bytes())
    with suppress(ValueError, TypeError, InvalidSignature):
        leaf.verify_directly_issued_by(root)
        return True
    return False


def _belongs(key: Path, chain: Path) -> bool:
    """Tell whether a key is that of a certificate; a run that was killed may leave two halves."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    with suppress(OSError, ValueError, TypeError):
        found: Any = load_pem_private_key(key.read_bytes(), None)
        certified: Any = x509.load_pem_x509_certificates(chain.read_bytes())[0]
        return bool(found.public_key() == certified.public_key())
    return False


def _lasts(path: Path, days: int) -> bool:
    """Tell whether a certificate is there and lasts for some more days."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError):
        return False
    return found.not_valid_after_utc > dt.datetime.now(dt.UTC) + dt.timedelta(days=days)


def _make_authority(into: Authority, domain: str) -> None:
    import getpass
    import ipaddress
    import socket

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    owner = f"{getpass.getuser()}@{socket.gethostname()}"
    name = _name(f"InfoMetis development, {domain}, {owner}"[:64])
    nowhere = [x509.IPAddress(ipaddress.ip_network(net)) for net in ("0.0.0.0/0", "::/0")]
    constraints = x509.NameConstraints([x509.DNSName(domain)], nowhere)
    made = (
        _builder(name, name, key.public_key(), key.public_key(), _AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(constraints, critical=True)
        .sign(key, hashes.SHA256())
    )
    private_folder(into.key.parent)
    write_private(into.key, _private(key))
    write_private(into.certificate, _pem(made))


def _make_leaf(chain: Path, key_file: Path, hosts: Sequence[str], signer: Authority) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509.oid import ExtendedKeyUsageOID

    root = x509.load_pem_x509_certificate(signer.certificate.read_bytes())
    root_key: Any = load_pem_private_key(signer.key.read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName(host) for host in sorted(set(hosts))]
    made = (
        # No common name: clients go by the alternative names alone (RFC 9525).
        _builder(x509.Name([]), root.subject, key.public_key(), root_key.public_key(), _LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    # The key first: whoever reads in between sees a pair that does not fit, and tries again.
    write_private(key_file, _private(key))
    write_private(chain, _pem(made))


def _builder(subject: Any, issuer: Any, public: Any, issuer_public: Any, days: int) -> Any:  # noqa: ANN401
    from cryptography import x509

    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), critical=False
        )
    )


def _usage(**wanted: bool) -> Any:  # noqa: ANN401
    from cryptography import x509

    every = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**{**every, **wanted})


def _name(text: str) -> Any:  # noqa: ANN401
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(made: Any) -> bytes:  # noqa: ANN401
    from cryptography.hazmat.primitives.serialization import Encoding

    pem: bytes = made.public_bytes(Encoding.PEM)
    return pem


def _private(key: Any) -> bytes:  # noqa: ANN401
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem
