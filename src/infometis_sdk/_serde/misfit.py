"""One value that does not fit, in words."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

__all__ = ("MisfitError", "nearest", "shown", "unknown_key")


class MisfitError(Exception):
    """One value does not fit; the path comes from where it is met."""

    def __init__(self, message: str, *, found: str = "", legal: str = "", near: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.found = found
        self.legal = legal
        self.near = near


def nearest(name: str, known: Collection[str]) -> str:
    """Return the known name that looks most like ``name``; empty when none does.

    Example:
        >>> nearest("replica", ["replicas", "memory"])
        'replicas'

    """
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if not close:
        close = [k for k in known if k.lower() == name.lower()][:1]
    return close[0] if close else ""


def shown(value: Any) -> str:  # noqa: ANN401 - any value of a file
    """Return a value as a short text for a message, in the way JSON writes it."""
    if isinstance(value, Mapping):
        return "a mapping" if value else "{}"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "[]"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004 - one terminal line


def unknown_key(key: Any, known: Collection[str]) -> MisfitError:  # noqa: ANN401 - keys may be numbers
    """Return what is wrong with a key that nobody knows."""
    near = nearest(str(key), known)
    legal = ", ".join(sorted(known))
    return MisfitError(f"unknown key {str(key)!r}", legal=legal, near=near)
