"""Which conditions are open, over all rounds of a guard: each is opened once and closed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infometis_sdk.model.guard import GuardNote

__all__ = ("Conditions",)

Identity = tuple[str, str, str, str]


class Conditions:
    """Passes notes on, but for those that say again what was said."""

    def __init__(self) -> None:
        self._open: dict[Identity, GuardNote] = {}
        self._doubtful: set[Identity] = set()

    def heard(self, note: GuardNote) -> Iterable[GuardNote]:
        """Return what is to be said of a note: nothing where it is known already."""
        if note.condition == "open":
            known = self._open.get(note.identity)
            self._open[note.identity] = note
            self._doubtful.discard(note.identity)
            return () if known is not None and known.detail == note.detail else (note,)
        if note.condition == "closed":
            self._doubtful.discard(note.identity)
            return () if self._open.pop(note.identity, None) is None else (note,)
        return (note,)

    def doubt(self) -> None:
        """Take note that a round is over: the next one has to find again what still is so."""
        self._doubtful = set(self._open)

    def settle(self) -> Iterable[GuardNote]:
        """Return the end of whatever was not found again."""
        ended = [self._open.pop(identity) for identity in sorted(self._doubtful)]
        self._doubtful.clear()
        return [attrs.evolve(note, condition="closed", level="info", detail="") for note in ended]
