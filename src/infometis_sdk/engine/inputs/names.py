"""The nearest known name, for messages about unknown ones."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("nearest",)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most like ``name``, or an empty text.

    Example:
        >>> nearest("replica", ["replicas", "memory"])
        'replicas'

    """
    found = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return found[0] if found else ""
