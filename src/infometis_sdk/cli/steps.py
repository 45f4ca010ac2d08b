"""What is known of one step of progress, and the words for it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from infometis_sdk.model.run import Event

__all__ = ("GROUPS", "Step", "amount", "heading", "outcome", "span")

GROUPS = {
    "apply object": "objects",
    "build": "build",
    "credential": "credentials",
    "delete": "deletions",
    "destroy cluster": "cluster",
    "download": "downloads",
    "find part": "binaries",
    "lock": "lock",
    "start cluster": "cluster",
    "start part": "cluster",
    "stop cluster": "cluster",
    "wait": "waiting",
    "wait service": "services",
}
"""Name of an event to the heading that it stands under in the live tree; others are their own."""

_WINDOW = 5.0
"""Seconds over which a rate is taken."""
_VERBS = {"wait service": "", "apply object": "apply", "credential": "credential", "wait": "waiting for"}
_DONE = {"wait service": "ready", "credential": "made", "apply object": "", "start part": "started"}
_MANY = ("apply object", "credential")


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
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    @classmethod
    def of(cls, event: Event, now: float) -> Step:
        """Begin with the first event."""
        return cls(name=event.name, subject=event.subject, began=now)

    @property
    def one_of_many(self) -> bool:
        """Whether steps of this name come by the hundred."""
        return self.name in _MANY

    @property
    def active(self) -> bool:
        """Whether it goes on."""
        return self.state in ("started", "progress")

    def take(self, event: Event, now: float) -> None:
        """Add an event."""
        self.state, self.detail = event.state, event.detail
        self.done, self.total, self.unit = event.done, event.total, event.unit
        self.ended = None if self.active else now
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
    verb = _VERBS.get(step.name, step.name)
    return " ".join(word for word in (verb, step.subject) if word)


def outcome(step: Step) -> str:
    """Return one word for the state; nothing where the rest of the line says it."""
    words = {"started": "started", "failed": "failed", "skipped": "skipped"}
    if step.state == "finished":
        return _DONE.get(step.name, "done")
    return words.get(step.state, "")


def amount(step: Step, now: float) -> str:
    """Return how far it is, such as ``12.3 of 70.1 MB, 8.4 MB/s`` or ``3 of 7 objects``."""
    if step.name == "apply object":
        return f"{step.done} so far" if step.done else ""
    if not step.done and not step.total:
        return ""
    if step.unit == "bytes":
        return _bytes(step, now)
    count = f"{step.done} of {step.total}" if step.total else str(step.done)
    return f"{count} {step.unit}".rstrip()


def _bytes(step: Step, now: float) -> str:
    if step.state == "finished":
        return size(step.done)
    text = f"{size(step.done)} of {size(step.total)}" if step.total else size(step.done)
    rate = step.rate(now)
    return f"{text}, {size(rate)}/s" if rate > 0 else text


def size(count: float) -> str:
    """Write a number of bytes with a decimal unit.

    Example:
        >>> size(12_345_678)
        '12.3 MB'

    """
    if count < 1000:  # noqa: PLR2004 - the unit's own factor
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000 or unit == "GB":  # noqa: PLR2004 - as above
            return f"{count:.1f} {unit}"
    return ""


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
