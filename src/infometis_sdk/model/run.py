"""What one verb carries down through every layer: its deadline, its events, its cancel token."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import field, frozen

from infometis_sdk.errors import CancelledError, DeadlineError

__all__ = ("CancelToken", "Event", "Run")


@frozen(kw_only=True)
class Event:
    """One step of progress, shown live by the CLI, as a bar in a notebook, as a line in a log.

    Attributes:
        name: fixed lower-case words, such as ``"download"`` or ``"apply object"``.
        subject: what the step is about, such as a service, an object or a file.
        state: ``started``, ``progress``, ``finished``, ``failed``, ``skipped`` or ``info``.
        detail: one line for people; never a secret.
        done: units done so far.
        total: units in all, 0 when unknown.
        unit: ``"bytes"``, ``"objects"``, ``""`` …

    """

    name: str
    subject: str = ""
    state: str = "info"
    detail: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""


class CancelToken:
    """Lets a caller stop a verb at the next safe point; safe to set from any thread or handler."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._waiting: list[Callable[[], None]] = []

    def cancel(self) -> None:
        """Ask the verb to stop."""
        self._event.set()
        for wake in tuple(self._waiting):
            wake()

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call ``wake`` when the token is set, or at once where it is, so that nobody need poll.

        Args:
            wake: called on the thread, or in the signal handler, that cancels;
                it must only set or put something.

        """
        self._waiting.append(wake)
        try:
            if self.cancelled:
                wake()
            yield
        finally:
            self._waiting.remove(wake)

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked the verb to stop."""
        return self._event.is_set()


def _ignore(event: Event) -> None:
    del event


@frozen(kw_only=True)
class Run:
    """The running of one verb.

    Attributes:
        deadline: on the monotonic clock, in seconds; ``inf`` for none.
        emit: called with each :class:`Event`, on the caller's thread.
        cancel: the caller's token.

    Example:
        >>> run = Run.within(30)
        >>> 29 < run.remaining() <= 30
        True

    """

    deadline: float = float("inf")
    emit: Callable[[Event], None] = field(default=_ignore, eq=False)
    cancel: CancelToken = field(factory=CancelToken, eq=False)

    @classmethod
    def within(
        cls,
        seconds: float,
        emit: Callable[[Event], None] = _ignore,
        cancel: CancelToken | None = None,
    ) -> Run:
        """Make a run that may take that many seconds from now."""
        return cls(deadline=time.monotonic() + seconds, emit=emit, cancel=cancel or CancelToken())

    def remaining(self, at_most: float = float("inf")) -> float:
        """Return the seconds left, never below 0 and never above ``at_most``."""
        return min(at_most, max(0.0, self.deadline - time.monotonic()))

    def check(self, doing: str) -> None:
        """Raise where the caller cancelled or the time is used up; ``doing`` names the step.

        Raises:
            CancelledError: the token was set.
            DeadlineError: nothing is left of the time.

        """
        if self.cancel.cancelled:
            msg = f"cancelled while {doing}"
            raise CancelledError(msg, hint="run the same command again to go on from here")
        if self.remaining() <= 0:
            msg = f"no time left while {doing}"
            raise DeadlineError(msg, hint="give the verb more time (--timeout) and run it again")

    def rest(self, seconds: float) -> None:
        """Rest for that long without waking in between; a cancel or the deadline ends it early."""
        over = threading.Event()
        with self.cancel.waking(over.set):
            over.wait(self.remaining(seconds))

    def sleep(self, seconds: float, doing: str) -> None:
        """Sleep in short steps, so that a cancel or the deadline ends it early."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check(doing)
            time.sleep(min(left, 0.05, self.remaining()))
