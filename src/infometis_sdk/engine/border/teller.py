"""Faults in a border's section, each with its file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.engine.border.routes import origin_of
from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.model.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infometis_sdk.model.environment import Environment

__all__ = ("DNS", "Teller")

DNS = "labels of lower-case letters, digits and hyphens, joined by dots"
_PORT_MAX = 65535


class Teller:
    """Makes faults that know their file and line."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def __call__(self, path: str, message: str, **more: str) -> Fault:
        """Return a fault at a path below ``border``."""
        origin = origin_of(self._environment, path)
        return Fault(message=message, origin=origin, path=f"border.{path}", **more)

    def word(self, path: str, word: str, legal: Iterable[str]) -> Iterator[Fault]:
        """Yield a fault where a word is none of the legal ones."""
        known = [text for text in legal if text]
        if word not in legal:
            near = nearest(word, known)
            yield self(path, f"unknown word {word!r}", legal=", ".join(known), nearest=near)

    def port(self, path: str, port: int) -> Iterator[Fault]:
        """Yield a fault where a number is no port."""
        if not 1 <= port <= _PORT_MAX:
            yield self(path, "not a port", found=str(port), legal=f"1 to {_PORT_MAX}")
