"""Progress as lines, for logs and pipes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from infometis_sdk.cli.steps import MANY, Step, amount, heading, outcome
from infometis_sdk.model.table import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from infometis_sdk.model.run import Event

__all__ = ("Lines",)


class Lines:
    """Progress as lines, few enough for a log that people read.

    What begins, ends and fails is told at once, once; what goes on, every :attr:`EVERY` seconds;
    objects, of which there may be thousands, are counted.

    Args:
        all_of_them: a line for every event.
        results: tell what began and what was done, not only what is slow or fails.
        clock: monotonic seconds.
        write: where a line goes.

    """

    EVERY = 5.0

    def __init__(
        self,
        *,
        all_of_them: bool = False,
        results: bool = True,
        clock: Callable[[], float] = time.monotonic,
        write: Callable[[str], None] = lambda line: click.echo(line, err=True),
    ) -> None:
        self._all = all_of_them
        self._results = results
        self._clock = clock
        self._write = write
        self._steps: dict[tuple[str, str], Step] = {}
        self._said: dict[tuple[str, str], str] = {}
        self._spoke: dict[tuple[str, str], float] = {}
        self._counts: dict[str, int] = {}
        self._counting = ""

    def take(self, event: Event) -> None:
        """Write a line for the event, or hold it back until it is time for one."""
        now = self._clock()
        if not self._all and event.name in MANY and event.state == "finished":
            self._count(event.name, now)
            return
        if self._counting and event.name != self._counting:
            self._tell_count()
        key = (event.name, event.subject)
        step = self._steps.setdefault(key, Step.of(event, now))
        step.take(event, now)
        if not self._all and not self._results and event.state in ("started", "finished"):
            return
        # Most services are ready before anybody could read that they are waited for.
        waits = event.name == "wait service" and event.state == "started"
        goes_on = event.state == "progress" or waits
        if goes_on and not self._all:
            if now - self._spoke.setdefault(key, now) < self.EVERY:
                return
            self._spoke[key] = now
        line = _line(step, now)
        if not self._all and event.state == "started" and line == heading(step):
            return
        if self._said.get(key) != line:
            self._said[key] = line
            self._write(line)

    def note(self, message: str) -> None:
        """Write the message."""
        self._write(message)

    def end(self) -> None:
        """Write what was counted and not yet told."""
        if self._counting:
            self._tell_count()

    def _count(self, name: str, now: float) -> None:
        if self._counting and self._counting != name:
            self._tell_count()
        self._counting = name
        self._counts[name] = self._counts.get(name, 0) + 1
        key = (name, "")
        if now - self._spoke.setdefault(key, now) >= self.EVERY:
            self._spoke[key] = now
            self._write(self._counted(name) + " so far")

    def _tell_count(self) -> None:
        name, self._counting = self._counting, ""
        self._write(self._counted(name))

    def _counted(self, name: str) -> str:
        count = self._counts[name]
        noun = "credential" if name == "credential" else "object"
        return f"{count} {noun}{'s' if count != 1 else ''} {outcome(name, 'finished')}"


def _line(step: Step, now: float) -> str:
    words = [word for word in (outcome(step.name, step.state), amount(step, now)) if word]
    parts = [heading(step), ", ".join(words), " ".join(step.detail.split())]
    return visible(": ".join(part for part in parts if part))
