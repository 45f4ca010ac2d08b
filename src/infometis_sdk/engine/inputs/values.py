"""Check and normalise one parameter's value."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects import quantity

if TYPE_CHECKING:
    from infometis_sdk.model.parameter import Parameter

__all__ = ("bound_error", "normal", "plain", "type_error")

_WORDS = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "quantity": "a quantity such as 500m, 2 or 1.5Gi",
    "list": "a list",
    "map": "a map",
}


def type_error(parameter: Parameter, value: Any) -> str:  # noqa: ANN401 - JSON
    """Return what would be legal where ``value`` has the wrong type; empty where it fits.

    Nothing is converted on the quiet: ``"3"`` is no integer and ``1`` is no boolean.
    """
    legal = _WORDS.get(parameter.type, parameter.type)
    fits = False
    match parameter.type:
        case "string":
            fits = isinstance(value, str)
        case "integer":
            fits = isinstance(value, int) and not isinstance(value, bool)
        case "number":
            fits = (
                isinstance(value, (int, float))
                and not isinstance(value, bool)
                and math.isfinite(value)
            )
        case "boolean":
            fits = isinstance(value, bool)
        case "quantity":
            fits = _is_quantity(value)
        case "list":
            fits = isinstance(value, (list, tuple)) and _is_json(value)
        case "map":
            fits = isinstance(value, Mapping) and _is_json(value)
    return "" if fits else legal


def bound_error(parameter: Parameter, value: Any) -> str:  # noqa: ANN401 - JSON
    """Return what would be legal where ``value`` is out of bounds; empty where it fits."""
    if parameter.choices and value not in [normal(parameter, c) for c in parameter.choices]:
        return " or ".join(str(choice) for choice in parameter.choices)
    if parameter.pattern and isinstance(value, str) and not _matches(parameter.pattern, value):
        return f"text that matches {parameter.pattern}"
    low, high = parameter.min, parameter.max
    if parameter.type in ("integer", "number", "quantity") and (
        (low is not None and _below(parameter, value, low))
        or (high is not None and _below(parameter, high, value))
    ):
        if low is None:
            return f"at most {high}"
        return f"at least {low}" if high is None else f"{low} to {high}"
    return ""


def normal(parameter: Parameter, value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a copy of the value as plain data, quantities in canonical form."""
    if value is None:
        return None
    if parameter.type == "quantity":
        return quantity.canonical(value)
    return plain(value)


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Copy maps and lists, so that nobody's data is shared with a template.

    Maps are in the order of their keys: a template may loop over one,
    and digests know no other order, so equal digests must not render in two.
    """
    if isinstance(value, Mapping):
        return {key: plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:
        # A wrong pattern; the descriptor's own check reports it.
        return True


def _below(parameter: Parameter, left: Any, right: Any) -> bool:  # noqa: ANN401 - JSON
    if parameter.type == "quantity":
        return quantity.compare(left, right) < 0
    return bool(left < right)


def _is_quantity(value: Any) -> bool:  # noqa: ANN401 - JSON
    if not isinstance(value, (str, int, float)):
        return False
    try:
        quantity.parse(value)
    except ValueError:
        return False
    return True


def _is_json(value: Any) -> bool:  # noqa: ANN401 - JSON
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(_is_json(item) for item in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (str, int))
