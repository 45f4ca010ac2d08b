"""When the certificates of a controller end. Pure.

Those that k0s issues last a year and are renewed when k0s starts again;
its authorities last ten years (k0s' security self-assessment).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from infometis_sdk.ports.platform import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_platform_k0s_host.hosts.facts import Facts

__all__ = ("SOON", "certificate_findings")

SOON = dt.timedelta(days=30)


def certificate_findings(facts: Facts, now: dt.datetime | None = None) -> tuple[Finding, ...]:
    """Return a finding for what ends within thirty days, or has ended.

    Args:
        facts: of a host, with its certificates.
        now: another time than the present one, in UTC.

    """
    now = now or dt.datetime.now(dt.UTC)
    ends = sorted((end, name) for name, end in _ends(facts))
    soon = [(end, name) for end, name in ends if end - now < SOON]
    if not soon:
        return ()
    authority = any(name.endswith("ca.crt") for _, name in soon)
    words = ", ".join(f"{name} on {end:%Y-%m-%d}" for end, name in soon)
    over = soon[0][0] <= now
    cure = (
        "renew the authority as k0s documents it (`k0s` custom CA), before it ends"
        if authority
        else "restart k0s there, which renews them"
    )
    level = "error" if over else "warning"
    detail = f"{'ended' if over else 'end'} {words}"
    return (Finding(check="certificates", level=level, detail=detail, cure=cure),)


def _ends(facts: Facts) -> Iterator[tuple[str, dt.datetime]]:
    if not facts.certificates:
        return
    from cryptography import x509

    for name, pem in facts.certificates.items():
        try:
            certificate = x509.load_pem_x509_certificate(pem)
        except ValueError:
            continue
        yield name, certificate.not_valid_after_utc
