"""Canonical JSON: one text for one value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ("dumps_json",)


def dumps_json(value: Any, *, indent: int | None = None) -> str:  # noqa: ANN401 - any plain value
    """Write canonical JSON: keys sorted, no spaces, no NaN, keys are text.

    Raises:
        TypeError: a key is no text, or a value is nothing that JSON can carry.

    Example:
        >>> dumps_json({"b": 1, "a": ["é"]})
        '{"a":["é"],"b":1}'

    """
    _text_keys(value)
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(
        value,
        sort_keys=True,
        ensure_ascii=False,
        allow_nan=False,
        separators=separators,
        indent=indent,
    )


def _text_keys(value: Any) -> None:  # noqa: ANN401
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                msg = f"a key is no text: {key!r}"
                raise TypeError(msg)
            _text_keys(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _text_keys(item)
