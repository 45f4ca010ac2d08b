"""Which certificates run out, told once for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.guarding.expiry import Validity, validity
from infometis_sdk.model.guard import GuardNote
from infometis_sdk.model.reference import ObjectRef

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

__all__ = ("Calendar",)

_NAMES = {"expiring": "certificate expiring", "expired": "certificate expired"}
_LONGEST = 6 * 3600.0
"""Seconds between two looks at the calendar at most: a machine's clock may be set."""


class Calendar:
    """The certificates of the Secrets that were seen."""

    def __init__(self) -> None:
        self._known: dict[ObjectRef, Validity] = {}
        self._told: dict[ObjectRef, str] = {}

    def seen(self, secret: Mapping[str, Any], *, gone: bool = False) -> tuple[GuardNote, ...]:
        """Take note of a Secret; a renewed or deleted one ends what was told of it."""
        ref = ObjectRef.of(secret)
        found = None if gone else validity(secret)
        if found == self._known.get(ref):
            return ()
        if found is None:
            self._known.pop(ref, None)
        else:
            self._known[ref] = found
        told = self._told.pop(ref, "")
        return (_note(_NAMES[told], ref, condition="closed"),) if told else ()

    def notes(self, now: dt.datetime) -> tuple[GuardNote, ...]:
        """Return what is new to be told."""
        found = []
        for ref, one in self._known.items():
            state = one.state(now)
            if state == "valid" or self._told.get(ref) == state:
                continue
            before = self._told.get(ref)
            if before:
                found.append(_note(_NAMES[before], ref, condition="closed"))
            self._told[ref] = state
            end = one.end.isoformat(timespec="seconds")
            found.append(
                _note(
                    _NAMES[state],
                    ref,
                    path=one.key,
                    level="error" if state == "expired" else "warning",
                    condition="open",
                    detail=f"{'since' if state == 'expired' else 'on'} {end}",
                )
            )
        return tuple(found)

    def pause(self, now: dt.datetime) -> float:
        """Return the seconds until there may be something to tell; ``inf`` without certificates."""
        if not self._known:
            return float("inf")
        return min(_LONGEST, *(one.next_change(now) for one in self._known.values()))


def _note(
    name: str,
    ref: ObjectRef,
    *,
    path: str = "",
    level: str = "info",
    condition: str = "",
    detail: str = "",
) -> GuardNote:
    return GuardNote(
        name=name,
        level=level,
        condition=condition,
        subject=str(ref),
        namespace=ref.namespace,
        detail=f"{path} {detail}".strip(),
    )
