"""Certificates that run out: read from Secrets, judged by the calendar."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from attrs import frozen

from infometis_sdk.engine.writing.credentials import secret_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ("NOTICE", "Validity", "validity")

NOTICE = dt.timedelta(days=21)
"""A certificate is called expiring so long before its end, or when a third of its life is left
where that is less: cert-manager renews at that point, so later means that nobody did."""

_NAMES = (".crt", ".pem", ".cert")


@frozen(kw_only=True)
class Validity:
    """How long the certificates of a Secret are valid.

    Attributes:
        notice: from when on somebody should be told.
        end: when the first of them expires.
        key: which entry of the Secret that one is in.

    """

    notice: dt.datetime
    end: dt.datetime
    key: str

    def state(self, now: dt.datetime) -> str:
        """Return ``valid``, ``expiring`` or ``expired``."""
        if now >= self.end:
            return "expired"
        return "expiring" if now >= self.notice else "valid"

    def next_change(self, now: dt.datetime) -> float:
        """Return the seconds until the state changes; ``inf`` once it is expired."""
        for moment in (self.notice, self.end):
            if now < moment:
                return (moment - now).total_seconds()
        return float("inf")


def validity(secret: Mapping[str, Any]) -> Validity | None:
    """Return how long the certificates in a Secret are valid; ``None`` where it holds none.

    What cannot be read as a certificate is passed over: a Secret may hold anything.
    """
    found: list[Validity] = []
    for key, data in secret_data(secret).items():
        if key.endswith(_NAMES) and b"-----BEGIN CERTIFICATE-----" in data:
            found += _of(key, data)
    return min(found, key=lambda one: one.end, default=None)


def _of(key: str, data: bytes) -> Iterable[Validity]:
    from cryptography.x509 import load_pem_x509_certificates

    try:
        certificates = load_pem_x509_certificates(data)
    except ValueError:
        return
    for one in certificates:
        begin, end = one.not_valid_before_utc, one.not_valid_after_utc
        yield Validity(notice=end - min(NOTICE, (end - begin) / 3), end=end, key=key)
