"""Mistakes that pluggy lets pass: hooks without our marker, results of another type."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk import hookspecs
from infometis_sdk.ports.audit import AuditSinkSpec
from infometis_sdk.ports.border import BorderSpec
from infometis_sdk.ports.platform import PlatformSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("misfit", "unmarked")


def misfit(item: Any, record: type) -> str:  # noqa: ANN401 - whatever a plugin returned
    if not isinstance(item, record):
        return f"{type(item).__name__}, not {record.__name__}"
    if isinstance(item, PlatformSpec) and not attrs.has(item.settings):
        return f"a platform {item.name!r} whose settings are no attrs class"
    if isinstance(item, BorderSpec) and not attrs.has(item.settings):
        return f"a border {item.name!r} whose settings are no attrs class"
    if isinstance(item, AuditSinkSpec) and not attrs.has(item.settings):
        return f"an audit sink {item.name!r} whose settings are no attrs class"
    return ""


def unmarked(plugin: Any) -> Iterator[str]:  # noqa: ANN401 - a module or any object
    """Yield what pluggy ignores without a word: hooks without our marker."""
    own = f"{hookspecs.NAME}_impl"
    names = vars(plugin) if isinstance(plugin, ModuleType) else dir(type(plugin))
    for name in sorted(names):
        if not name.startswith(f"{hookspecs.NAME}_"):
            continue
        value = getattr(plugin, name, None)
        function = getattr(value, "__func__", value)
        if not callable(function) or hasattr(function, own):
            continue
        if getattr(function, "__module__", "") == hookspecs.__name__:
            continue
        foreign = (
            [
                key.removesuffix("_impl")
                for key, options in vars(function).items()
                if key.endswith("_impl") and isinstance(options, dict)
            ]
            if hasattr(function, "__dict__")
            else []
        )
        why = f"is marked for {foreign[0]!r}" if foreign else "is not marked"
        yield f"{name} {why}; mark it with infometis_sdk.hookspecs.hookimpl"
