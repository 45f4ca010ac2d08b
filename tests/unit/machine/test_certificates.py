"""Certificates before they are used: what is wrong with them is said by name, with its cure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trustme
from hypothesis import given, strategies as st

from infometis_sdk.machine import judge_authorities, judge_certificate
from infometis_sdk.testing.throwaway import self_signed

NOW = datetime.now(UTC)


def told(found: object) -> list[tuple[str, str]]:
    """Return level and detail of findings."""
    return [(each.level, each.detail) for each in found]  # type: ignore[attr-defined]


def test_a_fitting_pair_is_in_order() -> None:
    """A certificate that is made out for the hosts, with its own key, is in order."""
    certificate, key = self_signed(("shop.test", "*.apps.test"), days=90)

    (found,) = judge_certificate("it", certificate, key, ["shop.test", "a.apps.test"], NOW)

    assert (found.check, found.level) == ("it", "ok")


@pytest.mark.parametrize(
    ("days", "level", "word"),
    [(-2.0, "error", "expired"), (20.5, "warning", "expires in 20 days")],
)
def test_expiry_is_told_before_it_happens(days: float, level: str, word: str) -> None:
    """What has expired is an error; what will within three weeks is a warning."""
    certificate, key = self_signed(("shop.test",), days=days)

    ((found, detail),) = told(judge_certificate("it", certificate, key, ["shop.test"], NOW))

    assert level == found
    assert word in detail


def test_a_certificate_of_tomorrow_is_refused() -> None:
    """A certificate that is not valid yet is an error, most often of the clock."""
    certificate, key = self_signed(("shop.test",), days=90)
    before = NOW - timedelta(days=365)

    ((level, detail),) = told(judge_certificate("it", certificate, key, ["shop.test"], before))

    assert (level, detail.startswith("it is valid from")) == ("error", True)


def test_the_names_that_lack_are_told() -> None:
    """A wildcard stands for one label; every host that the certificate lacks is named."""
    certificate, key = self_signed(("*.apps.test", "127.0.0.1"), days=90)
    hosts = ["apps.test", "a.apps.test", "a.b.apps.test", "other.test"]

    (found,) = judge_certificate("it", certificate, key, hosts, NOW)

    assert found.detail == "it is not made out for apps.test, a.b.apps.test, other.test"
    assert found.cure == "it is made out for *.apps.test, 127.0.0.1"


def test_the_key_of_another_certificate_is_refused() -> None:
    """A key that does not belong to the certificate is an error."""
    certificate, _ = self_signed(("shop.test",), days=90)
    _, other = self_signed(("shop.test",), days=90)

    found = judge_certificate("it", certificate, other, ["shop.test"], NOW)

    assert told(found) == [("error", "its key belongs to another certificate")]


def test_everything_wrong_is_told_at_once() -> None:
    """Expiry, names and key are judged apart, and all of it is told."""
    certificate, _ = self_signed(("shop.test",), days=-2)

    found = judge_certificate("it", certificate, b"no key", ["other.test"], NOW)

    assert len(found) == 3
    assert {"error"} == {each.level for each in found}


def test_a_chain_in_the_wrong_order_is_refused() -> None:
    """Each certificate of a chain must have signed the one before it."""
    mine, stranger = trustme.CA(), trustme.CA()
    leaf = mine.issue_cert("shop.test")
    key = leaf.private_key_pem.bytes()
    own = leaf.cert_chain_pems[0].bytes()

    right = judge_certificate("it", own + mine.cert_pem.bytes(), key, ["shop.test"], NOW)
    wrong = judge_certificate("it", own + stranger.cert_pem.bytes(), key, ["shop.test"], NOW)

    assert [each.level for each in right] == ["ok"]
    assert told(wrong) == [("error", "certificate 2 of its chain did not sign the one before")]


def test_authorities_must_be_authorities() -> None:
    """A bundle is in order only if every certificate in it may sign others."""
    authority = trustme.CA()
    leaf = authority.issue_cert("shop.test")
    good, bad = authority.cert_pem.bytes(), leaf.cert_chain_pems[0].bytes()

    assert told(judge_authorities("it", good, NOW)) == [("ok", "1 authority")]
    assert told(judge_authorities("it", bad, NOW)) == [("error", "it is no authority's")]
    (found,) = judge_authorities("it", good + bad, NOW)
    assert found.check == "it, certificate 2"


@given(st.binary())
def test_garbage_is_an_error_and_no_crash(garbage: bytes) -> None:
    """Whatever stands where a certificate, a key or a bundle should be, it is told."""
    certificate, _ = self_signed(("shop.test",), days=90)

    for found in (
        judge_certificate("it", garbage, garbage, ["shop.test"], NOW),
        judge_certificate("it", certificate, garbage, ["shop.test"], NOW),
        judge_authorities("it", garbage, NOW),
    ):
        assert {"error"} == {each.level for each in found}
