"""The live tree: one branch for each kind of step, below it what is going on and what failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infometis_sdk.cli.options import Options
from infometis_sdk.cli.steps import GROUPS, Step, amount, span

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

    from infometis_sdk.model.run import Event

__all__ = ("Tree", "live_tree")

_MARKS = {
    "finished": ("✔", "green"),
    "failed": ("✘", "bold red"),
    "skipped": ("-", "yellow"),
    "info": ("·", "dim"),
}
_ASCII = {"✔": "+", "✘": "x", "·": ".", "├─": "|-", "└─": "`-", "│ ": "| "}
_SPIN = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_SPIN_ASCII = "|/-\\"
_PER_SECOND = 8
_ROWS = 6
"""Steps shown below one branch; the rest is counted."""
_FULL = ("services",)
"""Branches whose steps all stay in sight: people wait for them by name."""


@contextmanager
def live_tree(options: Options, title: str) -> Iterator[Tree]:
    """Draw the tree on stderr while the verb runs; what was done stays when it ends."""
    from rich.live import Live

    from infometis_sdk.cli.results import stderr_console

    console = stderr_console(options)
    if console is None:  # pragma: no cover - the caller looked
        msg = "stderr is no terminal"
        raise RuntimeError(msg)
    tree = Tree(title=title)
    with Live(
        tree,
        console=console,
        refresh_per_second=_PER_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=True,
    ):
        yield tree
    tree.over = True
    if not tree.empty:
        console.print(tree)


class Tree:
    """Adds events up and draws them; safe to draw from another thread."""

    def __init__(self, *, title: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.title = title
        self.over = False
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._branches: dict[str, dict[tuple[str, str], Step]] = {}
        self._notes: list[str] = []

    @property
    def empty(self) -> bool:
        """Whether nothing happened that is worth a line."""
        return not self._branches and not self._notes

    def take(self, event: Event) -> None:
        """Add an event."""
        now = self._clock()
        with self._lock:
            branch = self._branches.setdefault(GROUPS.get(event.name, event.name), {})
            step = branch.setdefault((event.name, event.subject), Step.of(event, now))
            step.take(event, now)

    def note(self, message: str) -> None:
        """Show a message below the tree."""
        with self._lock:
            self._notes.append(message)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        ascii_only = options.ascii_only
        with self._lock:
            lines = self._lines(options.max_width, console.size.height)
        for line in lines:
            if ascii_only:
                line.plain = _plain(line.plain)
            yield line

    def _lines(self, width: int, height: int) -> list[Text]:
        from rich.text import Text

        now = self._clock()
        spin = " " if self.over else _SPIN[int(now * _PER_SECOND) % len(_SPIN)]
        lines = [self._row(f"{spin} ", "bold cyan", self.title, "", now - self._began, width)]
        names = list(self._branches)
        room = max(1, min(_ROWS, (height - len(names) - 2) // max(1, len(names))))
        for number, name in enumerate(names):
            last = number == len(names) - 1
            steps = list(self._branches[name].values())
            lines.append(self._head(name, steps, "└─ " if last else "├─ ", now, width))
            indent = "   " if last else "│  "
            lines += [self._leaf(step, indent, now, width) for step in self._shown(name, steps, room)]
        lines += [Text(note, style="yellow") for note in self._notes]
        return lines

    def _shown(self, name: str, steps: list[Step], room: int) -> list[Step]:
        """Choose the steps that stand below a branch."""
        if name in _FULL:
            return steps[-max(room, _ROWS) :]
        failed = [step for step in steps if step.state == "failed"]
        if self.over or not any(step.active for step in steps):
            return failed[-room:]
        active = [step for step in steps if step.active]
        return (failed + active)[-room:]

    def _head(self, name: str, steps: list[Step], stem: str, now: float, width: int) -> Text:
        active = any(step.active for step in steps) and not self.over
        failed = sum(step.state == "failed" for step in steps)
        state = "failed" if failed else "finished"
        mark, style = self._mark("progress" if active else state, now)
        detail = self._sum(name, steps, failed)
        end = now if active else max((step.ended or now) for step in steps)
        began = min(step.began for step in steps)
        return self._row(f"{stem}{mark} ", style, name, detail, end - began, width)

    def _sum(self, name: str, steps: list[Step], failed: int) -> str:
        good = sum(step.state == "finished" for step in steps)
        if name in _FULL:
            return f"{good} of {len(steps)} ready"
        last = steps[-1]
        if len(steps) == 1:
            return " ".join(word for word in (last.subject, last.detail) if word)
        tail = f", {failed} failed" if failed else ""
        return f"{good} done{tail}" if good or failed else last.detail

    def _leaf(self, step: Step, indent: str, now: float, width: int) -> Text:
        mark, style = self._mark("info" if self.over and step.active else step.state, now)
        words = [word for word in (amount(step, now), step.detail) if word]
        seconds = (step.ended or now) - step.began
        return self._row(
            f"{indent}{mark} ", style, step.subject or step.name, "  ".join(words), seconds, width
        )

    def _mark(self, state: str, now: float) -> tuple[str, str]:
        found = _MARKS.get(state)
        return found or (_SPIN[int(now * _PER_SECOND) % len(_SPIN)], "cyan")

    def _row(self, stem: str, style: str, name: str, detail: str, seconds: float, width: int) -> Text:
        """One line that never wraps: stem, name, detail as far as it fits, time at the right."""
        from rich.cells import cell_len
        from rich.text import Text

        clock = span(seconds)
        line = Text(no_wrap=True, overflow="ellipsis", end="\n")
        line.append(stem, style)
        line.append(name, "bold" if not stem.startswith((" ", "│")) else "")
        if detail:
            line.append(f"  {' '.join(detail.split())}", "dim")
        room = max(10, width - cell_len(clock) - 2)
        line.truncate(room, overflow="ellipsis", pad=True)
        line.append(f" {clock}", "dim")
        return line


def _plain(text: str) -> str:
    for fancy, simple in _ASCII.items():
        text = text.replace(fancy, simple)
    return "".join(_SPIN_ASCII[_SPIN.index(c) % 4] if c in _SPIN else c for c in text)


