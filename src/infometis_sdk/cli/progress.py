"""Progress on stderr: a live tree on a terminal, throttled lines elsewhere, nothing if quiet."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import click

from infometis_sdk.cli.options import Options
from infometis_sdk.cli.steps import Step, amount, heading, outcome
from infometis_sdk.model.run import Event

__all__ = ("Drawing", "Lines", "Silence", "drawing")


class Drawing(Protocol):
    """What shows the progress of one verb."""

    def take(self, event: Event) -> None:
        """Show one event."""

    def note(self, message: str) -> None:
        """Show a message that is no event."""


class Silence:
    """Shows nothing but notes, which answer what the user just did."""

    def take(self, event: Event) -> None:
        """Drop the event."""

    def note(self, message: str) -> None:
        """Write the message."""
        click.echo(message, err=True)


@contextmanager
def drawing(options: Options, title: str) -> Iterator[Drawing]:
    """Choose how progress is shown here, and end it whatever happens."""
    if options.quiet:
        yield Silence()
    elif _live(options):
        from infometis_sdk.cli.tree import live_tree

        with live_tree(options, title) as tree:
            yield tree
    else:
        lines = Lines(all_of_them=options.verbose > 0 or options.debug)
        try:
            yield lines
        finally:
            lines.end()


def _live(options: Options) -> bool:
    """Whether a display that redraws itself makes sense: log lines would tear it apart."""
    dumb = os.environ.get("TERM", "") in ("", "dumb")
    return sys.stderr.isatty() and not dumb and not options.verbose and not options.debug


class Lines:
    """Progress as lines, few enough for a log that people read.

    What begins, ends and fails is told at once; what goes on, every :attr:`EVERY` seconds;
    objects, of which there may be thousands, likewise.
    """

    EVERY = 5.0

    def __init__(
        self,
        *,
        all_of_them: bool = False,
        clock: Callable[[], float] = time.monotonic,
        write: Callable[[str], None] = lambda line: click.echo(line, err=True),
    ) -> None:
        self._all = all_of_them
        self._clock = clock
        self._write = write
        self._steps: dict[tuple[str, str], Step] = {}
        self._told: dict[str, float] = {}
        self._held: dict[str, Step] = {}

    def take(self, event: Event) -> None:
        """Write a line for the event, or hold it back until it is time for one."""
        now = self._clock()
        step = self._steps.setdefault((event.name, event.subject), Step.of(event, now))
        step.take(event, now)
        slot = event.name if step.one_of_many else f"{event.name} {event.subject}"
        due = now - self._told.get(slot, float("-inf")) >= self.EVERY
        routine = event.state == "progress" or (step.one_of_many and event.state != "failed")
        if not self._all and routine and not due:
            self._held[slot] = step
            return
        self._told[slot] = now
        self._held.pop(slot, None)
        self._write(_line(step, now))

    def note(self, message: str) -> None:
        """Write the message."""
        self._write(message)

    def end(self) -> None:
        """Write what was held back of steps that came in great number."""
        now = self._clock()
        for step in self._held.values():
            if step.one_of_many:
                self._write(_line(step, now))
        self._held.clear()


def _line(step: Step, now: float) -> str:
    words = [heading(step)]
    state = outcome(step)
    if state:
        words.append(state)
    size = amount(step, now)
    if size:
        words.append(size)
    line = ": ".join([words[0], ", ".join(words[1:])]) if words[1:] else words[0]
    detail = step.detail
    return f"{line}: {detail}" if detail else line
