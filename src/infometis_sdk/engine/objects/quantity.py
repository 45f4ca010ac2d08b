"""Kubernetes quantities: read them, and write them exactly as the API server writes them back.

The API server answers ``1024Mi`` with ``1Gi`` and ``0.5`` with ``500m``.
What we send is canonical already, so that desired and live values can be compared as text.

Source of every rule: ``k8s.io/apimachinery/pkg/api/resource`` (``quantity.go``, ``suffix.go``,
``amount.go``), and a comparison with a genuine API server in the integration tests.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from attrs import frozen

__all__ = ("Quantity", "bytes_of", "canonical", "compare", "mebibytes", "parse")

_PATTERN = re.compile(
    r"([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?"
)
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}

# Digits that always fit an int64 (maxInt64Factors in scale_int.go).
_INT64_DIGITS = 18
_INT64_MAX = 2**63 - 1
_NANO = -9
_MILLI = -3
_KI = 1024
# 10^100 is far beyond all resources; a larger exponent would only burn memory here.
_EXPONENT_MAX = 100


@frozen(kw_only=True)
class Quantity:
    """A quantity: its exact value, and the text that the API server would return for it.

    Attributes:
        value: exact.
        text: canonical form.

    """

    value: Fraction
    text: str

    def __str__(self) -> str:
        return self.text


def parse(source: str | float) -> Quantity:
    """Read a quantity.

    Args:
        source: text such as ``500m``, ``2Gi`` or ``1e3``, or a plain number.

    Returns:
        Its value and canonical text.

    Raises:
        ValueError: not a quantity, or one that the API server cannot represent.

    Example:
        >>> parse("1024Mi").text, parse(0.5).text
        ('1Gi', '500m')

    """
    if isinstance(source, bool):
        msg = f"{source!r} is not a quantity; a quantity looks like 500m, 2 or 1.5Gi"
        raise ValueError(msg)  # noqa: TRY004 - one error for everything that is no quantity
    return _read(source if isinstance(source, str) else repr(source))


@lru_cache(maxsize=4096)
def _read(text: str) -> Quantity:
    match = _PATTERN.fullmatch(text)
    if match is None:
        msg = f"{text!r} is not a quantity; a quantity looks like 500m, 2 or 1.5Gi"
        raise ValueError(msg)
    sign, number, suffix = match.group(1), match.group(2), match.group(3) or ""
    whole, _, fraction = number.partition(".")
    whole = whole.lstrip("0") or "0"
    binary = suffix in _BINARY
    exponential = not binary and suffix not in _DECIMAL
    exponent = int(suffix[1:]) if exponential else (0 if binary else _DECIMAL[suffix])
    if abs(exponent) > _EXPONENT_MAX:
        msg = f"{text!r} is out of the range of quantities"
        raise ValueError(msg)

    digits = int(whole + fraction)
    value = Fraction(digits) * Fraction(10) ** (exponent - len(fraction))
    if binary:
        value *= 2 ** _BINARY[suffix]
    rounded = _fit(value, binary=binary)
    if sign == "-":
        value, rounded = -value, -rounded
    if _kept_as_written(whole, fraction, suffix, binary=binary, exponent=exponent):
        return Quantity(value=value, text=text)
    return Quantity(
        value=rounded, text=_write(rounded, text, binary=binary, exponential=exponential)
    )


def canonical(source: str | float, *, milli: bool = False) -> str:
    """Return the text that the API server returns for a quantity.

    Args:
        source: the quantity.
        milli: round up to thousandths, as the API server does in requests, limits, quotas and
            capacities (``SetDefaults_ResourceList``).

    Raises:
        ValueError: not a quantity.

    Example:
        >>> canonical("1000m"), canonical("100u"), canonical("100u", milli=True)
        ('1', '100u', '1m')

    """
    read = parse(source)
    if milli and (read.value * 1000).denominator != 1:
        text = source if isinstance(source, str) else repr(source)
        suffix = _suffix(text)
        away = -1 if read.value < 0 else 1
        rounded = away * _up(abs(read.value), _MILLI)
        exponential = suffix[:1] in ("e", "E") and len(suffix) > 1
        return _write(rounded, text, binary=suffix in _BINARY, exponential=exponential)
    return read.text


def compare(left: str | float, right: str | float) -> int:
    """Return -1, 0 or 1 as ``left`` is smaller than, equal to or larger than ``right``.

    Raises:
        ValueError: one of them is not a quantity.

    Example:
        >>> compare("1Gi", "1000Mi")
        1

    """
    a, b = parse(left).value, parse(right).value
    return (a > b) - (a < b)


def bytes_of(source: str | float) -> int:
    """Return a quantity in whole bytes, rounded down.

    Raises:
        ValueError: not a quantity.

    Example:
        >>> bytes_of("1Ki")
        1024

    """
    return int(parse(source).value)


def mebibytes(source: str | float) -> int:
    """Return a quantity in whole MiB, rounded down, as JVM options want it.

    Raises:
        ValueError: not a quantity.

    Example:
        >>> mebibytes("1.5Gi")
        1536

    """
    return int(parse(source).value / 2**20)


def _kept_as_written(
    whole: str, fraction: str, suffix: str, *, binary: bool, exponent: int
) -> bool:
    """Tell whether the API server's parser keeps the text as it is, canonical or not.

    ``ParseQuantity`` keeps the source text where its fast path takes it for canonical;
    thus ``1.500`` stays ``1.500`` although ``1.5`` becomes ``1500m``.
    """
    if binary:
        # The precision of the fast path: 2^20 has about 6 digits, and so on.
        room = 15 - len(whole) - int(_BINARY[suffix] * 3 / 10) - 1
        return not fraction and room >= 0 and int(whole) & 0x07 != 0
    digits = whole + fraction
    scale = exponent - len(fraction)
    if len(digits) > _INT64_DIGITS or scale < _NANO:
        return False
    return scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0"


def _fit(value: Fraction, *, binary: bool) -> Fraction:
    """Round up to nano, and cap binary quantities at what an int64 holds."""
    rounded = _up(value, _NANO)
    return min(rounded, Fraction(_INT64_MAX)) if binary else rounded


def _up(value: Fraction, scale: int) -> Fraction:
    scaled = value * 10**-scale
    return Fraction(-(-scaled.numerator // scaled.denominator), 10**-scale)


def _suffix(text: str) -> str:
    match = _PATTERN.fullmatch(text)
    return (match[3] or "") if match else ""


def _write(value: Fraction, source: str, *, binary: bool, exponential: bool) -> str:
    if not value:
        return "0"
    if binary and abs(value) >= _KI and value.denominator == 1:
        amount, power = int(value), 0
        while amount % 1024 == 0:
            amount, power = amount // 1024, power + 10
        # Above Ei there is no suffix, but the cap at 2^63-1 keeps us below.
        suffix = {exponent: name for name, exponent in _BINARY.items()}.get(power, "")
        return f"{amount}{suffix}"
    amount, exponent = int(value * 10**-_NANO), _NANO
    while amount % 10 == 0:
        amount, exponent = amount // 10, exponent + 1
    while exponent % 3:
        amount, exponent = amount * 10, exponent - 1
    if exponential:
        return f"{amount}e{exponent}" if exponent else str(amount)
    if exponent not in _SUFFIX:
        # The API server drops the exponent here and would store a wrong value.
        msg = f"{source!r} is out of the range of quantities; write an exponent, such as 1e21"
        raise ValueError(msg)
    return f"{amount}{_SUFFIX[exponent]}"
