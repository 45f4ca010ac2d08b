"""Tells notifiers what a guard says, in a thread of its own, so that nothing waits for them."""

from __future__ import annotations

import datetime as dt
import queue
import threading
import time
from typing import TYPE_CHECKING, Self

import attrs
from attrs import define, field

from infometis_sdk.errors import InfometisError
from infometis_sdk.model.run import CancelToken, Run
from infometis_sdk.ports.notifier import Alert, Notifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infometis_sdk.model.guard import GuardNote

__all__ = ("Messenger", "Outbox")

_FIRST = 1.0
_CAP = 300.0
_FOREVER = 3600.0
_GATHER = 0.2
"""Seconds for which alerts are gathered, so that those of one moment are one message."""

Identity = tuple[str, str, str, str]


@define(eq=False)
class Outbox:
    """What one notifier has still to be told; time in, alerts out.

    Attributes:
        repeat: see :class:`~infometis_sdk.ports.notifier.Notifier`.

    """

    repeat: float
    _lasting: dict[Identity, Alert] = field(factory=dict, init=False)
    _fresh: dict[Identity, Alert] = field(factory=dict, init=False)
    _told: set[Identity] = field(factory=set, init=False)
    _due: float = field(default=float("inf"), init=False)
    _pause: float = field(factory=lambda: _FIRST, init=False)

    def put(self, identity: Identity, alert: Alert, now: float) -> None:
        """Take an alert that began or is over."""
        if alert.ends:
            self._lasting.pop(identity, None)
            if identity not in self._told:
                # Nobody heard of it, so nobody need hear that it is over.
                self._fresh.pop(identity, None)
                return
        else:
            self._lasting[identity] = alert
        self._fresh[identity] = alert
        self._due = min(self._due, now)

    @property
    def due(self) -> float:
        """When something is to be told; ``inf`` for never."""
        return self._due if self._fresh or self._lasting else float("inf")

    def take(self) -> tuple[Alert, ...]:
        """Return what is to be told now: what is new, and what lasts where it must be repeated."""
        if self.repeat == float("inf"):
            return tuple(self._fresh.values())
        return tuple({**self._lasting, **self._fresh}.values())

    def delivered(self, now: float) -> None:
        """Take note that what was taken arrived."""
        for identity, alert in self._fresh.items():
            if alert.ends:
                self._told.discard(identity)
            else:
                self._told.add(identity)
        self._fresh.clear()
        self._pause = _FIRST
        self._due = now + self.repeat

    def failed(self, now: float) -> None:
        """Take note that it did not arrive; it is tried again, with longer and longer pauses."""
        self._due = now + self._pause
        self._pause = min(_CAP, self._pause * 2)


class Messenger:
    """Delivers to all notifiers; a context manager.

    Args:
        notifiers: by the name under which failures are told.
        stack_id, environment: which stack.
        trouble: told of a notifier that fails, and why, once until it works again.

    """

    def __init__(
        self,
        notifiers: Mapping[str, Notifier],
        *,
        stack_id: str,
        environment: str,
        trouble: Callable[[str, str], None],
    ) -> None:
        self._notifiers = notifiers
        self._about = {"stack_id": stack_id, "environment": environment}
        self._trouble = trouble
        self._boxes = {name: Outbox(repeat=each.repeat) for name, each in notifiers.items()}
        self._starts: dict[Identity, str] = {}
        self._notes: queue.SimpleQueue[GuardNote | None] = queue.SimpleQueue()
        self._token = CancelToken()
        self._failing: set[str] = set()
        self._thread = threading.Thread(target=self._deliver, name="infometis-tell", daemon=True)

    def __enter__(self) -> Self:
        if self._notifiers:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._notes.put(None)
        if self._thread.is_alive():
            self._thread.join(_LAST)
            self._token.cancel()
            self._thread.join(_LAST)

    def say(self, note: GuardNote) -> None:
        """Take a note; only what lasts and is worth a warning becomes an alert, and its end."""
        if note.condition == "closed" or (note.condition == "open" and note.level != "info"):
            self._notes.put(note)

    def _deliver(self) -> None:
        while True:
            now = time.monotonic()
            due = min((box.due for box in self._boxes.values()), default=float("inf"))
            try:
                note = self._notes.get(timeout=max(0.0, min(due - now, _FOREVER)))
            except queue.Empty:
                note = None
                if due > time.monotonic():
                    continue
            else:
                if note is None:
                    self._send(time.monotonic())
                    return
                self._put(note)
                if not self._gather():
                    self._send(time.monotonic())
                    return
            self._send(time.monotonic())

    def _gather(self) -> bool:
        """Take what comes within a moment; say whether there may be more to come."""
        end = time.monotonic() + _GATHER
        while (left := end - time.monotonic()) > 0:
            try:
                note = self._notes.get(timeout=left)
            except queue.Empty:
                return True
            if note is None:
                return False
            self._put(note)
        return True

    def _put(self, note: GuardNote) -> None:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        closed = note.condition == "closed"
        known = self._starts.pop(note.identity, "") if closed else ""
        if closed and not known:
            return
        starts = known or self._starts.setdefault(note.identity, now)
        alert = Alert(
            name=note.name,
            level=note.level,
            namespace=note.namespace,
            subject=note.subject,
            path=note.path,
            service=note.service,
            manager=note.manager,
            summary=str(attrs.evolve(note, condition="")),
            starts=starts,
            ends=now if closed else "",
            **self._about,
        )
        for box in self._boxes.values():
            box.put(note.identity, alert, time.monotonic())

    def _send(self, now: float) -> None:
        for name, box in self._boxes.items():
            if box.due > now:
                continue
            alerts = box.take()
            if not alerts:
                box.delivered(time.monotonic())
                continue
            try:
                self._notifiers[name].notify(alerts, Run.within(_STEP, cancel=self._token))
            except Exception as error:  # noqa: BLE001 - a notifier must not end the guard
                box.failed(time.monotonic())
                if name not in self._failing:
                    self._failing.add(name)
                    text = error.message if isinstance(error, InfometisError) else ""
                    self._trouble(name, text or type(error).__name__)
            else:
                box.delivered(time.monotonic())
                self._failing.discard(name)


_STEP = 30.0
_LAST = 5.0
