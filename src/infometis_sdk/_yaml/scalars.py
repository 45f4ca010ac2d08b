"""What plain scalars mean, in each dialect."""

from __future__ import annotations

import re

__all__ = (
    "BOOL",
    "FLOAT",
    "GO_BOOL",
    "GO_INT",
    "INT",
    "NULL",
    "NUMBERLIKE",
    "PLAIN",
    "TAG",
    "integer",
)

TAG = "tag:yaml.org,2002:"
PLAIN = "plain"
"""Tag of scalars without quotes and without a tag of their own."""
NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
GO_BOOL = re.compile(
    r"(?:y|Y|yes|Yes|YES|on|On|ON|true|True|TRUE|n|N|no|No|NO|off|Off|OFF|false|False|FALSE)\Z"
)
INT = re.compile(r"(?:[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
GO_INT = re.compile(r"[-+]?(?:0[bB][01_]+|0[oO][0-7_]+|0[xX][0-9a-fA-F_]+|[0-9][0-9_]*)\Z")
FLOAT = re.compile(
    r"(?:[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)
NUMBERLIKE = re.compile(r"[-+]?[.0-9][0-9_.]*(?:[eE][-+0-9_]*)?\Z")
"""Wider than any number, since writing quotes around too much harms nobody."""


def integer(text: str) -> int | float:
    digits = text.replace("_", "").lower()
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    for prefix, base in (("0x", 16), ("0o", 8), ("0b", 2)):
        if digits.startswith(prefix):
            return sign * int(digits[2:], base)
    if len(digits) > 1 and digits[0] == "0" and not set(digits) & {"8", "9"}:
        return sign * int(digits, 8)
    return sign * int(digits)
