"""What is known of one step of progress, and the words for it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infometis_sdk.model.run import Event

__all__ = ("BRANCHES", "MANY", "PASSING", "Step", "amount", "heading", "outcome", "size", "span")

BRANCHES = {
    "apply object": "objects",
    "build": "control plane",
    "connect": "cluster",
    "credential": "credentials",
    "delete object": "deletions",
    "destroy cluster": "cluster",
    "download": "control plane",
    "find part": "control plane",
    "start cluster": "cluster",
    "start part": "cluster",
    "stop cluster": "cluster",
    "wait service": "services",
}
"""Name of an event to the branch of the live tree that it belongs to; others are their own."""

MANY = ("apply object", "credential", "delete object")
"""Events that come once for each object, of which there may be thousands: they are counted."""

PASSING = ("delete", "lock", "wait")
"""Events that say what is being waited for just now; of no interest once it goes on."""

_WINDOW = 5.0
"""Seconds over which a rate is taken."""
_NAMES = {
    "wait service": "",
    "wait": "waiting for",
    "lock": "waiting for the lock of",
    "delete": "",
}
_STARTED = {
    "build": "building",
    "connect": "connecting",
    "destroy cluster": "destroying",
    "download": "downloading",
    "find part": "looking for",
    "plan": "",
    "start cluster": "starting",
    "start part": "starting",
    "stop cluster": "stopping",
    "wait service": "waiting",
}
_DONE = {
    "apply object": "changed",
    "build": "built",
    "connect": "connected",
    "credential": "made",
    "delete object": "deleted",
    "destroy cluster": "destroyed",
    "download": "downloaded",
    "plan": "",
    "start cluster": "started",
    "start part": "started",
    "stop cluster": "stopped",
    "wait service": "ready",
}


@dataclass
class Step:
    """The events of one name and subject, added up."""

    name: str
    subject: str
    began: float
    state: str = "info"
    detail: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    ended: float | None = None
    touched: float = 0.0
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    @classmethod
    def of(cls, event: Event, now: float) -> Step:
        """Begin with the first event."""
        return cls(name=event.name, subject=event.subject, began=now)

    @property
    def active(self) -> bool:
        """Whether it goes on."""
        return self.state in ("started", "progress")

    def take(self, event: Event, now: float) -> None:
        """Add an event."""
        self.state, self.detail = event.state, event.detail
        self.done, self.total, self.unit = event.done, event.total, event.unit
        self.ended = None if self.active else now
        self.touched = now
        self._seen.append((now, event.done))
        while len(self._seen) > 2 and now - self._seen[0][0] > _WINDOW:  # noqa: PLR2004 - a window has two ends
            self._seen.popleft()

    def rate(self, now: float) -> float:
        """Return the units per second of the last seconds; 0 while that is not known."""
        if not self._seen:
            return 0.0
        since, done = self._seen[0]
        return (self.done - done) / (now - since) if now > since else 0.0


def heading(step: Step) -> str:
    """Name the step for people."""
    return " ".join(word for word in (_NAMES.get(step.name, step.name), step.subject) if word)


def outcome(name: str, state: str) -> str:
    """Return one word for a state; nothing where the rest of the line says it.

    Example:
        >>> outcome("wait service", "finished"), outcome("plan", "failed")
        ('ready', 'failed')

    """
    if state == "finished":
        return _DONE.get(name, "done")
    if state == "started":
        return _STARTED.get(name, "started")
    return state if state in ("failed", "skipped") else ""


def amount(step: Step, now: float) -> str:
    """Return how far it is, such as ``12.3 MB of 70.1 MB, 8.4 MB/s`` or ``3 of 7 objects``."""
    if not step.total and (step.name in MANY or not step.done):
        return ""
    if step.unit == "bytes":
        return _bytes(step, now)
    if step.state == "finished":
        return ""
    count = f"{step.done} of {step.total}" if step.total else str(step.done)
    return f"{count} {step.unit}".rstrip()


def _bytes(step: Step, now: float) -> str:
    if step.state == "finished":
        return size(step.done)
    text = f"{size(step.done)} of {size(step.total)}" if step.total else size(step.done)
    rate = step.rate(now) if step.active else 0.0
    return f"{text}, {size(rate)}/s" if rate > 0 else text


def size(count: float) -> str:
    """Write a number of bytes with a decimal unit.

    Example:
        >>> size(12_345_678)
        '12.3 MB'

    """
    if count < 1000:  # noqa: PLR2004 - the unit's own factor
        return f"{count:.0f} B"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:  # noqa: PLR2004 - as above
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} GB"


def span(seconds: float) -> str:
    """Write a time as people read it.

    Example:
        >>> span(75), span(2.34)
        ('1 min 15 s', '2.3 s')

    """
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"
