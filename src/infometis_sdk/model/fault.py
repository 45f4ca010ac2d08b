"""One fault in a file, a value or a manifest, with all that is needed to mend it."""

from __future__ import annotations

from attrs import frozen

__all__ = ("Fault", "Origin")


@frozen(kw_only=True)
class Origin:
    """Where a value, a template or a manifest comes from.

    Attributes:
        layer: ``base``, ``project``, ``platform``, ``border``, ``mode``, ``environment``,
            ``local`` or ``code``.
        file: path relative to the project, or a package resource; empty for code.
        line: counted from 1; 0 when unknown.

    """

    layer: str = "code"
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        if not self.file:
            return self.layer
        return f"{self.file}:{self.line}" if self.line else self.file


@frozen(kw_only=True)
class Fault:
    """What is wrong, where, what was found there, and what would be right.

    Attributes:
        message: lower case, no full stop, naming the thing and the value.
        origin: file and line.
        path: where in the document, such as ``parameters.replicas.default``.
        found: the offending value as text; never a secret.
        legal: what is legal there, as text.
        nearest: the nearest known name, where a name is unknown.
        level: ``error`` or ``warning``.

    """

    message: str
    origin: Origin = Origin()
    path: str = ""
    found: str = ""
    legal: str = ""
    nearest: str = ""
    level: str = "error"

    def __str__(self) -> str:
        where = str(self.origin) if self.origin.file else ""
        parts = [part for part in (where, self.path) if part]
        text = f"{': '.join(parts)}: {self.message}" if parts else self.message
        if self.found:
            text += f"; found {self.found}"
        if self.legal:
            text += f"; legal: {self.legal}"
        if self.nearest:
            text += f"; did you mean {self.nearest!r}?"
        return text
