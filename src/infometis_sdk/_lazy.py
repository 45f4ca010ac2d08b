"""Packages whose names are loaded when they are first used (PEP 562)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ("lazy",)


def lazy(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package.

    A package assigns it where no type checker sees it, to which every name would be there then.

    Args:
        package: its name.
        homes: each public name with the module below the package that defines it.

    Example:
        >>> lazy("infometis_sdk.model", {"Run": "run"})("Run").__module__
        'infometis_sdk.model.run'

    """

    def find(name: str) -> Any:  # noqa: ANN401 - any public name
        if name in homes:
            return getattr(import_module(f"{package}.{homes[name]}"), name)
        msg = f"module {package!r} has no attribute {name!r}"
        raise AttributeError(msg)

    return find
