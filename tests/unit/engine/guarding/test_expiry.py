"""Certificates that run out are told in time, once for each step, by the calendar alone."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import pytest
import trustme
from hypothesis import given, strategies as st

from infometis_sdk.engine.guarding.calendar import Calendar
from infometis_sdk.engine.guarding.expiry import NOTICE, Validity, validity

NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def secret(name: str = "tls", **entries: bytes) -> dict[str, Any]:
    """Return a Secret; ``_`` in names stands for a dot."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "demo"},
        "data": {k.replace("_", "."): base64.b64encode(v).decode() for k, v in entries.items()},
    }


def certificate(end: dt.datetime) -> bytes:
    """Return a genuine certificate that ends then."""
    return trustme.CA().issue_cert("demo", not_after=end).cert_chain_pems[0].bytes()


def test_the_first_to_expire_counts() -> None:
    """Of several certificates, also in one file, the earliest end is told, and where it is."""
    early, late = NOW + 10 * DAY, NOW + 90 * DAY
    both = certificate(late) + certificate(early)
    found = validity(secret(ca_crt=certificate(late), tls_crt=both, tls_key=b"x"))
    assert found is not None
    assert (found.key, found.end) == ("tls.crt", early)


@pytest.mark.parametrize(
    "data",
    [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"],
)
def test_what_is_no_certificate_is_passed_over(data: bytes) -> None:
    """A Secret may hold anything; nothing of it is an error."""
    assert validity(secret(tls_crt=data)) is None


def test_each_step_is_told_once_and_a_renewal_ends_it() -> None:
    """Expiring, then expired, each once; a new certificate closes what was told."""
    calendar = Calendar()
    end = NOW + 30 * DAY
    assert calendar.seen(secret(tls_crt=certificate(end))) == ()
    assert calendar.notes(NOW) == ()
    later = end - DAY
    (note,) = calendar.notes(later)
    assert (note.name, note.condition, note.level) == ("certificate expiring", "open", "warning")
    assert str(end.date()) in note.detail
    assert calendar.notes(later) == ()
    over, expired = calendar.notes(end + DAY)
    assert (over.name, over.condition) == ("certificate expiring", "closed")
    assert over.identity == note.identity
    assert (expired.name, expired.level) == ("certificate expired", "error")
    (closed,) = calendar.seen(secret(tls_crt=certificate(end + 365 * DAY)))
    assert closed.identity == expired.identity
    assert closed.condition == "closed"
    assert calendar.notes(end + DAY) == ()


def test_a_deleted_secret_ends_it() -> None:
    """What is gone cannot expire."""
    calendar = Calendar()
    calendar.seen(secret(tls_crt=certificate(NOW - DAY)))
    (expired,) = calendar.notes(NOW)
    (closed,) = calendar.seen(secret(), gone=True)
    assert closed.identity == expired.identity
    assert calendar.pause(NOW) == float("inf")


@given(
    life=st.timedeltas(min_value=dt.timedelta(hours=1), max_value=dt.timedelta(days=4000)),
    at=st.floats(0, 1.2),
)
def test_a_short_life_is_told_by_its_last_third(life: dt.timedelta, at: float) -> None:
    """Notice is never longer than a third of the life, nor than three weeks; and time goes one way.

    The pause that is told always ends at a change.
    """
    one = Validity(notice=NOW + life - min(NOTICE, life / 3), end=NOW + life, key="tls.crt")
    now = NOW + at * life
    state, pause = one.state(now), one.next_change(now)
    if state == "expired":
        assert pause == float("inf")
        return
    then = now + dt.timedelta(seconds=pause) + dt.timedelta(microseconds=10)
    assert one.state(then) != state
    assert (state == "expiring") == (one.end - now <= min(NOTICE, life / 3))
