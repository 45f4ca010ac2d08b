"""Canonical JSON: one sequence of bytes for one value, so that digests mean something."""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ("canonical_json", "sha256_of")


def canonical_json(value: Any) -> bytes:  # noqa: ANN401 - JSON
    """Return JSON with sorted keys, no spaces and no NaN.

    Example:
        >>> canonical_json({"b": 1, "a": "é"}).decode()
        '{"a":"é","b":1}'

    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8", "surrogatepass")


def sha256_of(data: bytes) -> str:
    """Return ``sha256:`` and 64 hexadecimal digits.

    Example:
        >>> sha256_of(b"")[:15]
        'sha256:e3b0c442'

    """
    return "sha256:" + hashlib.sha256(data).hexdigest()
