"""How fast one object is corrected, and when a fight over a field is given up.

Source of the pauses: the self-heal of Argo CD, which waits 2 s, three times as long each time,
up to 300 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ("CAP", "FACTOR", "FIRST", "LIMIT", "WINDOW", "Pace")

FIRST = 2.0
"""Seconds between the first correction of an object and the second."""

FACTOR = 3.0
"""Each pause is so many times as long as the one before."""

CAP = 300.0
"""Seconds of the longest pause; so long without drift beyond the pause, and all is forgotten."""

LIMIT = 5
"""So many corrections of one field within the window, and the next drift is contended."""

WINDOW = 3600.0
"""Seconds for which the correction of a field counts."""


@frozen(kw_only=True)
class Pace:
    """What is remembered of the corrections of one object; times are monotonic seconds.

    Attributes:
        tries: corrections in a row, each soon after the one before.
        last: when the last one was.
        fields: field to the times of its corrections within the window, oldest first.

    Example:
        >>> pace = Pace().corrected(["data.a"], 100.0)
        >>> pace.ready_at, pace.corrected(["data.a"], 102.0).ready_at
        (102.0, 108.0)

    """

    tries: int = 0
    last: float = float("-inf")
    fields: tuple[tuple[str, tuple[float, ...]], ...] = field(default=())

    @property
    def ready_at(self) -> float:
        """When the next correction may be made."""
        if not self.tries:
            return self.last
        return self.last + min(CAP, FIRST * FACTOR ** (self.tries - 1))

    def corrected(self, fields: Collection[str], now: float) -> Pace:
        """Return the pace after a correction was tried.

        Args:
            fields: what was corrected; empty where the correction failed.
            now: when.

        """
        calm = now > self.ready_at + CAP
        known = {name: times for name, times in self._recent(now).items() if times}
        for name in fields:
            known[name] = (*known.get(name, ()), now)
        return attrs.evolve(
            self,
            tries=1 if calm else self.tries + 1,
            last=now,
            fields=tuple(sorted(known.items())),
        )

    def spent(self, now: float) -> frozenset[str]:
        """Return the fields that were corrected as often as they may be."""
        return frozenset(n for n, times in self._recent(now).items() if len(times) >= LIMIT)

    def _recent(self, now: float) -> dict[str, tuple[float, ...]]:
        return {name: tuple(t for t in times if now - t < WINDOW) for name, times in self.fields}
