"""Whether a certificate will do: pure, from PEM to findings."""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address
from itertools import pairwise
from typing import TYPE_CHECKING

from infometis_sdk.ports.platform import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography.x509 import Certificate

__all__ = ("judge_authorities", "judge_certificate")

_SOON = timedelta(days=21)


def judge_certificate(
    where: str, certificate: bytes, key: bytes, hosts: Sequence[str], now: datetime
) -> tuple[Finding, ...]:
    """Return everything that is wrong with a certificate and its key.

    Args:
        where: what they are called, such as ``Secret web-tls``.
        certificate: PEM, the certificate itself first, its chain after it.
        key: PEM.
        hosts: the names that it must be made out for.
        now: what expiry is judged by.

    Returns:
        Errors and warnings; one finding of level ``ok`` where there are none.

    """
    from cryptography import x509

    try:
        chain = x509.load_pem_x509_certificates(certificate)
    except ValueError:
        return (_error(where, "it holds no certificate that can be read", "PEM is expected"),)
    found = (
        *_expiry(where, chain[0], now),
        *_chain(where, chain, now),
        *_names(where, chain[0], hosts),
        *_key(where, chain[0], key),
    )
    until = f"valid until {chain[0].not_valid_after_utc:%Y-%m-%d}"
    return found or (Finding(check=where, level="ok", detail=until),)


def judge_authorities(where: str, bundle: bytes, now: datetime) -> tuple[Finding, ...]:
    """Return everything that is wrong with the certificates of authorities, PEM."""
    from cryptography import x509

    try:
        authorities = x509.load_pem_x509_certificates(bundle)
    except ValueError:
        return (_error(where, "it holds no certificate that can be read", "PEM is expected"),)
    found: list[Finding] = []
    for number, authority in enumerate(authorities, 1):
        name = where if len(authorities) == 1 else f"{where}, certificate {number}"
        found += _expiry(name, authority, now)
        if not _signs(authority):
            cure = "name the certificate of the authority, not one that it signed"
            found.append(_error(name, "it is no authority's", cure))
    return tuple(found) or (Finding(check=where, level="ok", detail=_count(authorities)),)


def _expiry(where: str, certificate: Certificate, now: datetime) -> Iterator[Finding]:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if ends <= now:
        yield _error(where, f"it expired on {ends:%Y-%m-%d}", "renew it")
    elif begins > now:
        yield _error(where, f"it is valid from {begins:%Y-%m-%d %H:%M} UTC only", "set the clock")
    elif ends - now < _SOON:
        days = (ends - now).days
        detail = f"it expires in {days} day{'s' if days != 1 else ''}, on {ends:%Y-%m-%d}"
        yield Finding(check=where, level="warning", detail=detail, cure="renew it")


def _chain(where: str, chain: Sequence[Certificate], now: datetime) -> Iterator[Finding]:
    for at, (lower, upper) in enumerate(pairwise(chain), 2):
        if lower.issuer != upper.subject:
            detail = f"certificate {at} of its chain did not sign the one before"
            yield _error(where, detail, "put the certificate first, then who signed it, and so on")
            return
        yield from _expiry(f"{where}, certificate {at} of its chain", upper, now)


def _names(where: str, certificate: Certificate, hosts: Sequence[str]) -> Iterator[Finding]:
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        names: list[str] = []
    else:
        names = [each.lower() for each in extension.value.get_values_for_type(x509.DNSName)]
        names += map(str, extension.value.get_values_for_type(x509.IPAddress))
    lacking = [host for host in hosts if not any(_covers(name, host.lower()) for name in names)]
    if lacking:
        detail = f"it is not made out for {', '.join(lacking)}"
        cure = f"it is made out for {', '.join(names) or 'no name at all'}"
        yield _error(where, detail, cure)


def _covers(name: str, host: str) -> bool:
    """Whether a name of a certificate is that of a host (RFC 6125, section 6.4.3)."""
    if name == host:
        return True
    first, _, rest = host.partition(".")
    return name.startswith("*.") and bool(first) and name[2:] == rest and not _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _key(where: str, certificate: Certificate, key: bytes) -> Iterator[Finding]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    try:
        private = load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        yield _error(where, "its key cannot be read", "PEM without a password is expected")
        return
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    mine = certificate.public_key().public_bytes(*form)
    if private.public_key().public_bytes(*form) != mine:
        yield _error(where, "its key belongs to another certificate", "name the key made with it")


def _signs(certificate: Certificate) -> bool:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        # Version 1 certificates say nothing, and are taken as authorities' where they are trusted.
        return certificate.version is x509.Version.v1
    return found.value.ca


def _count(authorities: Sequence[Certificate]) -> str:
    return f"{len(authorities)} authorit{'ies' if len(authorities) != 1 else 'y'}"


def _error(where: str, detail: str, cure: str) -> Finding:
    return Finding(check=where, level="error", detail=detail, cure=cure)
