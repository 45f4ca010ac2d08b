"""Quantities: exact values, canonical text, comparison."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from infometis_sdk.engine.objects.quantity import bytes_of, canonical, compare, mebibytes, parse

SUFFIXES = ("", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi")
NUMBERS = st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,6})?", fullmatch=True)
QUANTITIES = st.builds(
    lambda sign, number, suffix: sign + number + suffix,
    st.sampled_from(["", "-", "+"]),
    NUMBERS,
    st.sampled_from(SUFFIXES) | st.integers(-6, 12).map(lambda e: f"e{e}"),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1e3", "1e3"),
        ("10e2", "1e3"),
        ("-1.5", "-1500m"),
        ("1000m", "1"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("1000Ki", "1000Ki"),
        ("0.1n", "1n"),
        ("9Ei", "9223372036854775807"),
        ("1.500", "1.500"),
        (0.25, "250m"),
        (2, "2"),
        (1e-07, "100e-9"),
    ],
)
def test_canonical(text: str | float, expected: str) -> None:
    """The text is the one that a genuine API server returns (seen there)."""
    assert canonical(text) == expected


@pytest.mark.parametrize(
    "text", ["", "x", "1K", "10 megs", "1e", "1GiB", "--1", ".", "NaN", "1e400", " 1", "1\n", True]
)
def test_refused(text: str) -> None:
    """What is no quantity is named with a form that is one."""
    with pytest.raises(ValueError, match="quantit"):
        parse(text)


@given(QUANTITIES)
def test_canonical_is_stable(text: str) -> None:
    """Writing a canonical quantity again changes nothing."""
    once = canonical(text)
    assert canonical(once) == once


@given(QUANTITIES)
def test_canonical_keeps_the_value(text: str) -> None:
    """Canonical text has the same value; what lies below a nano is rounded away from 0."""
    before, after = parse(text).value, parse(canonical(text)).value
    assert abs(after) >= abs(before)
    assert abs(after - before) < Fraction(1, 10**9)


@given(QUANTITIES, QUANTITIES)
def test_compare_is_an_order(left: str, right: str) -> None:
    """Comparing is by value, whatever the notation."""
    assert compare(left, right) == -compare(right, left)
    assert (compare(left, right) == 0) == (parse(left).value == parse(right).value)


def test_milli() -> None:
    """Resource lists are rounded up to thousandths."""
    assert [canonical(t, milli=True) for t in ("1n", "1500u", "-1n", "1.0001e3")] == [
        "1m",
        "2m",
        "-1m",
        "1000100e-3",
    ]


def test_sizes() -> None:
    """Templates get whole bytes and MiB, rounded down, so that a heap fits its memory."""
    assert (bytes_of("1Ki"), bytes_of("1.5"), mebibytes("1.5Gi"), mebibytes("1G")) == (
        1024,
        1,
        1536,
        953,
    )
