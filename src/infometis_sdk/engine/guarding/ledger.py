"""What a guard knows of each object, and what it decides: events and time in, decisions out.

Nothing here asks the cluster or the clock.
An object takes a fingerprint and a few numbers, not its content,
so that ten thousand of them fit into little.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from attrs import define

from infometis_sdk.engine.guarding.pacing import LIMIT, Pace
from infometis_sdk.model.guard import GuardNote
from infometis_sdk.model.report import DriftItem
from infometis_sdk.model.table import apart

if TYPE_CHECKING:
    from infometis_sdk.model.reference import ObjectRef

__all__ = ("ABSENT", "Key", "Ledger", "Permission")

Key = tuple[str, str, str, str]
Permission = Callable[[DriftItem], bool]

ABSENT = "absent"
"""Fingerprint of an object that is not there."""

_CALM = Pace()


@define(eq=False)
class _Entry:
    """One object.

    Attributes:
        fingerprint: of the live object that was judged last; empty where none was.
        items: what was not as desired then.
        since: when the drift was first seen that is still to be corrected.
        due: when it may be corrected; ``inf`` for never.
        pace: its corrections so far.
        contended: fields that are fought over.
        trouble: why the last correction did not succeed.
        left: why nothing is done about it.

    """

    fingerprint: str = ""
    items: tuple[DriftItem, ...] = ()
    since: float = float("inf")
    due: float = float("inf")
    pace: Pace = _CALM
    contended: frozenset[str] = frozenset()
    trouble: str = ""
    left: str = ""


class Ledger:
    """The state of all objects that a guard looks after.

    Args:
        keys: the objects.
        permission: whether an item may be corrected by the guard itself.

    """

    def __init__(self, keys: Iterable[Key], permission: Permission) -> None:
        self._permission = permission
        self._entries = {key: _Entry() for key in keys}
        self._due: set[Key] = set()

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def moved(self, key: Key, fingerprint: str) -> bool:
        """Whether an object has to be looked at: it is not the one that was judged last."""
        return self._entries[key].fingerprint != fingerprint

    def forget(self, key: Key) -> None:
        """Have an object looked at again, whatever its fingerprint."""
        self._entries[key].fingerprint = ""

    def judged(
        self,
        key: Key,
        ref: ObjectRef,
        items: Collection[DriftItem],
        fingerprint: str,
        now: float,
        *,
        since: float = float("inf"),
    ) -> tuple[GuardNote, ...]:
        """Take note of what a look found, and decide what is done about it.

        Args:
            key: the object.
            ref: its name.
            items: what is not as desired; empty where all is well.
            fingerprint: of the live object that was looked at, or :data:`ABSENT`.
            now: monotonic seconds.
            since: when the first sign of it came; ``now`` where that was this very look.

        """
        entry = self._entries[key]
        before, entry.items = entry.items, tuple(items)
        entry.fingerprint = fingerprint
        mine = {item.path: item for item in items if self._permission(item)}
        contended = frozenset(mine) & (entry.pace.spent(now) | entry.contended)
        notes = [
            *_changes(ref, before, entry.items, self._permission),
            *_contention(ref, entry.contended, contended, mine, before),
        ]
        entry.contended = contended
        if mine.keys() - contended:
            entry.since = min(entry.since, since, now)
            entry.due = max(now, entry.pace.ready_at)
            self._due.add(key)
        else:
            notes += self._calm(key, entry, ref)
        if entry.left and not mine:
            entry.left = ""
            notes.append(_note("left alone", ref, condition="closed"))
        return tuple(notes)

    def _calm(self, key: Key, entry: _Entry, ref: ObjectRef) -> list[GuardNote]:
        entry.since = entry.due = float("inf")
        self._due.discard(key)
        trouble, entry.trouble = entry.trouble, ""
        return [_note("heal failed", ref, condition="closed")] if trouble else []

    def due(self, now: float) -> tuple[Key, ...]:
        """Return the objects that are to be corrected now."""
        return tuple(key for key in self._due if self._entries[key].due <= now)

    @property
    def wake(self) -> float:
        """When the next correction is due; ``inf`` for never."""
        return min((self._entries[key].due for key in self._due), default=float("inf"))

    def spared(self, key: Key) -> frozenset[str]:
        """Return the fields of an object that a correction must leave alone."""
        entry = self._entries[key]
        excepted = {item.path for item in entry.items if not self._permission(item)}
        return entry.contended | frozenset(path for path in excepted if path)

    def corrected(self, key: Key, ref: ObjectRef, now: float) -> tuple[GuardNote, ...]:
        """Take note that an object was corrected; the next look tells whether that helped."""
        entry = self._entries[key]
        fields = self._mine(entry)
        entry.pace = entry.pace.corrected(fields, now)
        seconds = max(0.0, now - entry.since)
        healed = [
            _note("healed", ref, of=item, seconds=seconds)
            for item in entry.items
            if item.path in fields
        ]
        entry.items = tuple(item for item in entry.items if item.path not in fields)
        entry.fingerprint = ""
        return (*healed, *self._calm(key, entry, ref))

    def failed(self, key: Key, ref: ObjectRef, why: str, now: float) -> tuple[GuardNote, ...]:
        """Take note that a correction did not succeed; it is tried again at the object's pace."""
        entry = self._entries[key]
        entry.pace = entry.pace.corrected((), now)
        entry.due = entry.pace.ready_at
        new, entry.trouble = entry.trouble != why, why
        if not new:
            return ()
        return (_note("heal failed", ref, level="warning", condition="open", detail=why),)

    def left(self, key: Key, ref: ObjectRef, why: str) -> tuple[GuardNote, ...]:
        """Take note that nothing will be done until the object changes."""
        entry = self._entries[key]
        closed = self._calm(key, entry, ref)
        new, entry.left = entry.left != why, why
        if not new:
            return tuple(closed)
        opened = _note("left alone", ref, level="warning", condition="open", detail=why)
        return (*closed, opened)

    def delayed(self, keys: Iterable[Key], until: float) -> None:
        """Put corrections off, without counting them as tries."""
        for key in keys:
            entry = self._entries[key]
            entry.due = max(entry.due, until)

    def open(self) -> tuple[DriftItem, ...]:
        """Return everything that is not as desired now."""
        return tuple(item for entry in self._entries.values() for item in entry.items)

    @property
    def contended(self) -> int:
        """How many fields are fought over."""
        return sum(len(entry.contended) for entry in self._entries.values())

    def _mine(self, entry: _Entry) -> frozenset[str]:
        paths = {item.path for item in entry.items if self._permission(item)}
        return frozenset(paths) - entry.contended


def _note(
    name: str,
    ref: ObjectRef,
    *,
    of: DriftItem | None = None,
    level: str = "info",
    condition: str = "",
    detail: str = "",
    seconds: float = 0.0,
    path: str = "",
) -> GuardNote:
    return GuardNote(
        name=name,
        level=level,
        condition=condition,
        subject=str(ref),
        namespace=ref.namespace,
        service=of.service if of else "",
        path=of.path if of else path,
        manager=of.manager if of else "",
        time=of.time if of else "",
        detail=detail,
        seconds=seconds,
    )


def _changes(
    ref: ObjectRef,
    before: Collection[DriftItem],
    after: Collection[DriftItem],
    permission: Permission,
) -> list[GuardNote]:
    """Say what is new and what is over; only what nobody will correct is a lasting condition."""
    old = {(item.state, item.path): item for item in before}
    new = {(item.state, item.path): item for item in after}
    notes = []
    for which, item in new.items():
        if which not in old:
            lasting = item.state == "drift" and not permission(item)
            notes.append(
                _note(
                    item.state,
                    ref,
                    of=item,
                    level="warning" if lasting else "info",
                    condition="open" if lasting else "",
                    detail=_values(item),
                )
            )
    notes += [
        _note(item.state, ref, of=item, condition="closed")
        for which, item in old.items()
        if which not in new and item.state == "drift" and not permission(item)
    ]
    return notes


def _values(item: DriftItem) -> str:
    if not item.desired and not item.live:
        return ""
    desired, live = (_short(text) or "absent" for text in apart(item.desired, item.live))
    return f"{live}, desired {desired}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."  # noqa: PLR2004 - half a line


def _contention(
    ref: ObjectRef,
    before: frozenset[str],
    now: frozenset[str],
    items: dict[str, DriftItem],
    known: Collection[DriftItem],
) -> list[GuardNote]:
    last = {item.path: item for item in known}
    return [
        *(
            _note(
                "contended",
                ref,
                of=items[path],
                level="error",
                condition="open",
                detail=f"corrected {LIMIT} times within an hour and changed again; left as it is",
            )
            for path in sorted(now - before)
        ),
        *(
            _note("contended", ref, of=last.get(path), path=path, condition="closed")
            for path in sorted(before - now)
        ),
    ]
