"""Look into objects that may have any shape: what is of the wrong type counts as empty.

The API server names wrong types better than we could; here they must only break nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ("mapping", "maps")


def mapping(value: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return the value where it is a map, else an empty one.

    Example:
        >>> mapping({"a": 1}), mapping("text")
        ({'a': 1}, {})

    """
    if isinstance(value, dict):
        return value
    return dict(value) if isinstance(value, Mapping) else {}


def maps(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
    """Return the maps of a list, else an empty list.

    Example:
        >>> maps([{"a": 1}, "text"]), maps(None)
        ([{'a': 1}], [])

    """
    if not isinstance(value, (list, tuple)):
        return []
    return [mapping(item) for item in value if isinstance(item, Mapping)]
