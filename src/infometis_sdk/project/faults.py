"""What is done with faults before people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk._serde import shown
from infometis_sdk.model.fault import Fault, Origin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infometis_sdk._yaml import Document

__all__ = ("ordered", "without_consequences", "wrong_format")


def ordered(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Sort by file and line, each fault once."""
    unique = dict.fromkeys(faults)
    return tuple(sorted(unique, key=lambda f: (f.origin.file, f.origin.line)))


def without_consequences(cause: Iterable[Fault], checked: Iterable[Fault]) -> tuple[Fault, ...]:
    """Drop what only follows from a fault of the same file, at the same path or above it.

    A value of the wrong type is taken out before the next check looks at it;
    that the check then misses it is nothing that people need to read.

    Args:
        cause: what reading the files found.
        checked: what the checks found in the values that could be made of them.

    """
    bad = {(f.origin.file, f.path) for f in cause if f.path and f.level == "error"}
    return tuple(
        fault
        for fault in checked
        if not any((fault.origin.file, path) in bad for path in _upwards(fault.path))
    )


def wrong_format(document: Document, legal: str, origin: Origin) -> tuple[Fault, ...]:
    """Return the fault of a document that does not say its format, or says another one."""
    found = document.data.get("format")
    if found == legal:
        return ()
    line = document.lines.get("format", document.line)
    where = Origin(layer=origin.layer, file=origin.file, line=line)
    if found is None:
        fault = Fault(message="'format' is missing", origin=where, path="format", legal=legal)
    else:
        message = "another format than this version reads"
        fault = Fault(message=message, origin=where, path="format", found=shown(found), legal=legal)
    return (fault,)


def _upwards(path: str) -> list[str]:
    found = [path]
    while path:
        path = path.rpartition("[")[0] if path.endswith("]") else path.rpartition(".")[0]
        if path:
            found.append(path)
    return found
