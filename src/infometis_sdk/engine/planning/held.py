"""What holds up an object that is being deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("held_up",)


def held_up(obj: Mapping[str, Any]) -> str:
    """Return what keeps an object that is being deleted.

    Example:
        >>> held_up({"metadata": {"finalizers": ["example/backup"]}})
        'is being deleted, held up by finalizer example/backup'

    """
    said = [
        str(condition.get("message", ""))
        for condition in (obj.get("status") or {}).get("conditions") or ()
        if condition.get("status") == "True"
        and str(condition.get("type", "")).startswith("Namespace")
    ]
    names = obj["metadata"].get("finalizers") or (obj.get("spec") or {}).get("finalizers") or ()
    what = said or [f"finalizer {name}" for name in names] or ["nothing that shows"]
    return f"is being deleted, held up by {'; '.join(what)}"
