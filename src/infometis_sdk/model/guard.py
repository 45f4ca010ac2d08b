"""What a guard says: notes for people, for metrics and for those who are on call."""

from __future__ import annotations

from attrs import field, frozen
from attrs.validators import in_

__all__ = ("CONDITIONS", "LEVELS", "NOTES", "GuardNote", "GuardState")

NOTES = (
    "drift",
    "foreign",
    "pending",
    "healed",
    "heal failed",
    "left alone",
    "contended",
    "rollout stuck",
    "certificate expiring",
    "certificate expired",
    "watch lost",
    "held up",
    "idle",
    "standing by",
    "leading",
    "synced",
    "not told",
)
"""Names of notes.

``drift``, ``foreign``, ``pending``: a field or an object is not as desired, as in a drift report.
``healed``, ``heal failed``, ``left alone``: what became of it, or why nothing will.
``contended``: a field was corrected as often as it may be, and somebody changes it still.
``rollout stuck``: a workload does not become ready; ``detail`` says why.
``watch lost``: a kind cannot be watched; the rest goes on.
``held up``: a look or a correction failed as a whole, and is tried again.
``idle``: nothing is healed for now.
``standing by``: another guard acts; ``detail`` says which.
``leading``: this guard is the one that acts; ``synced``: all that is there was looked at.
``not told``: a notifier does not work.
"""

LEVELS = ("info", "warning", "error")
CONDITIONS = ("", "open", "closed")


@frozen(kw_only=True)
class GuardNote:
    """One thing that a guard has to say; never holds a secret.

    Attributes:
        name: one of :data:`NOTES`.
        level: ``info``, ``warning`` or ``error``.
        condition: ``open`` begins something that lasts, ``closed`` ends it;
            name, ``subject`` and ``path`` tell which one.
        subject: what it is about, such as ``ConfigMap/app`` or a kind.
        namespace: of the object.
        service: of the object.
        path: field; empty for the object as a whole.
        manager: who wrote the field, self-declared.
        time: when, as the API server recorded it.
        detail: one line for people.
        seconds: how long it took from the first sign of drift to its correction.

    """

    name: str = field(validator=in_(NOTES))
    level: str = field(default="info", validator=in_(LEVELS))
    condition: str = field(default="", validator=in_(CONDITIONS))
    subject: str = ""
    namespace: str = ""
    service: str = ""
    path: str = ""
    manager: str = ""
    time: str = ""
    detail: str = ""
    seconds: float = 0.0

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What an ``open`` and its ``closed`` have in common."""
        return (self.name, self.namespace, self.subject, self.path)

    def __str__(self) -> str:
        """Return one line.

        Example:
            >>> str(GuardNote(name="healed", subject="ConfigMap/a", path="data.x"))
            'healed ConfigMap/a data.x'

        """
        over = "over: " if self.condition == "closed" else ""
        by = f"by {self.manager}" if self.manager else ""
        at = f"at {self.time}" if self.time else ""
        took = f"after {self.seconds:.1f} s" if self.seconds else ""
        words = (over + self.name, self.subject, self.path, by, at, took)
        text = " ".join(word for word in words if word)
        return f"{text}: {self.detail}" if self.detail else text


@frozen(kw_only=True)
class GuardState:
    """How a guard is at one moment.

    Attributes:
        leading: it holds the Lease of the guard that acts.
        idle: why nothing is healed; empty where it is.
        release: number of the Release that is healed to.
        objects: how many objects are looked after.
        synced: all of them were looked at.
        drift, foreign, pending, contended: open ones now, counted by field.
        stuck: workloads that do not become ready.
        lost: watches that are lost.

    """

    leading: bool = False
    idle: str = ""
    release: int = 0
    objects: int = 0
    synced: bool = False
    drift: int = 0
    foreign: int = 0
    pending: int = 0
    contended: int = 0
    stuck: int = 0
    lost: int = 0
