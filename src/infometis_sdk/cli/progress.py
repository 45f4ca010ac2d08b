"""Progress on stderr: a live tree on a terminal, lines elsewhere, nothing if quiet."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.cli.options import Options
    from infometis_sdk.model.run import Event

__all__ = ("Drawing", "Silence", "drawing")


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
def drawing(options: Options, title: str, *, keep: bool) -> Iterator[Drawing]:
    """Choose how progress is shown here, and end it whatever happens.

    Args:
        options: quiet, verbose and the like.
        title: heads the live tree.
        keep: what was done stays on the screen; otherwise only what is slow or fails is told.

    """
    if options.quiet:
        yield Silence()
    elif _live(options):
        from infometis_sdk.cli.tree import live_tree

        with live_tree(options, title, keep=keep) as tree:
            yield tree
    else:
        from infometis_sdk.cli.lines import Lines

        lines = Lines(all_of_them=options.verbose > 0 or options.debug, results=keep)
        try:
            yield lines
        finally:
            lines.end()


def _live(options: Options) -> bool:
    """Whether a display that redraws itself makes sense: log lines would tear it apart."""
    dumb = os.environ.get("TERM", "") in ("", "dumb")
    return sys.stderr.isatty() and not dumb and not options.verbose and not options.debug
