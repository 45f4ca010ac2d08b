"""The live tree: one branch for each kind of step, below it what is going on and what failed."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infometis_sdk.cli.steps import BRANCHES, MANY, PASSING, Step, amount, heading, outcome, span
from infometis_sdk.errors import CancelledError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

    from infometis_sdk.cli.options import Options
    from infometis_sdk.model.run import Event

__all__ = ("Tree", "live_tree")

_MARKS = {
    "finished": ("✔", "green"),
    "failed": ("✘", "bold red"),
    "skipped": ("-", "yellow"),
    "info": ("·", "dim"),
}
_ASCII = {"✔": "+", "✘": "x", "·": ".", "├─": "|-", "└─": "`-", "│": "|", "…": "~"}
_SPIN = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_SPIN_ASCII = "|/-\\"
_PER_SECOND = 8
_ROWS = 8
"""Steps shown below one branch; the rest is counted."""
_NAMED = ("services",)
"""Branches whose steps stay in sight when they are done: people wait for them by name."""


@contextmanager
def live_tree(options: Options, title: str, *, keep: bool) -> Iterator[Tree]:
    """Draw the tree on stderr while the verb runs; with ``keep``, what was done stays."""
    from rich.live import Live

    from infometis_sdk.cli.results import stderr_console

    console = stderr_console(options)
    if console is None:  # pragma: no cover - the caller looked
        msg = "stderr is no terminal"
        raise RuntimeError(msg)
    tree = Tree(title=title)
    try:
        with Live(
            tree,
            console=console,
            refresh_per_second=_PER_SECOND,
            transient=True,
            redirect_stdout=False,
        ):
            yield tree
    except (RefusedError, CancelledError):
        tree.state = "skipped"
        raise
    except BaseException:
        tree.state = "failed"
        raise
    else:
        tree.state = "finished"
    finally:
        if not tree.empty and (keep or tree.state != "finished"):
            console.print(tree)


class Tree:
    """Adds events up and draws them; safe to draw from another thread.

    Attributes:
        title: of the first line.
        state: ``progress`` until it is over, then ``finished`` or ``failed``.

    """

    def __init__(self, *, title: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.title = title
        self.state = "progress"
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._branches: dict[str, dict[tuple[str, str], Step]] = {}
        self._passing = ""
        self._notes: list[str] = []

    @property
    def empty(self) -> bool:
        """Whether nothing happened that is worth a line."""
        return not self._branches and not self._notes

    def take(self, event: Event) -> None:
        """Add an event."""
        now = self._clock()
        with self._lock:
            if event.name in PASSING:
                words = (heading(Step.of(event, now)), event.detail)
                self._passing = ": ".join(word for word in words if word)
                return
            self._passing = ""
            branch = self._branches.setdefault(BRANCHES.get(event.name, event.name), {})
            step = branch.setdefault((event.name, event.subject), Step.of(event, now))
            step.take(event, now)

    def note(self, message: str) -> None:
        """Show a message below the tree."""
        with self._lock:
            self._notes.append(message)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            lines = self._lines(options.max_width, console.size.height)
        for line in lines:
            if options.ascii_only:
                line.plain = _plain(line.plain)
            yield line

    @property
    def _over(self) -> bool:
        return self.state != "progress"

    def _lines(self, width: int, height: int) -> list[Text]:
        from rich.text import Text

        now = self._clock()
        mark, style = self._mark(self.state, now)
        detail = "" if self._over else self._passing
        lines = [_row((f"{mark} ", style), self.title, detail, now - self._began, width, bold=True)]
        count = len(self._branches)
        room = max(1, min(_ROWS, (height - count - 2) // max(1, count)))
        for number, (name, steps) in enumerate(self._branches.items()):
            last = number == count - 1
            found = list(steps.values())
            lines.append(self._head(name, found, "└─ " if last else "├─ ", now, width))
            indent = "   " if last else "│  "
            shown = self._shown(name, found)
            lines += [self._leaf(step, indent, now, width) for step in shown[-room:]]
        lines += [Text(note, style="yellow") for note in self._notes]
        if not self._over and len(lines) >= height:
            # Higher than the screen it could not be drawn over itself; the newest matters most.
            lines = [lines[0], *lines[-max(1, height - 2) :]]
        return lines

    def _shown(self, name: str, steps: list[Step]) -> list[Step]:
        """Choose the steps that stand below a branch."""
        failed = [step for step in steps if step.state == "failed"]
        if name in _NAMED:
            return steps
        if _alike(steps):
            return failed + [step for step in steps if step.active and not self._over]
        main = _main(steps)
        if main.state == "finished":
            return []
        return [step for step in steps if step is not main and step.state != "info"]

    def _head(self, name: str, steps: list[Step], stem: str, now: float, width: int) -> Text:
        state = _state(steps)
        active = state == "progress"
        if active and self._over:
            state = "info"
        mark, style = self._mark(state, now)
        end = now if active and not self._over else max((step.ended or now) for step in steps)
        began = min(step.began for step in steps)
        detail = self._sum(steps, now)
        return _row((f"{stem}{mark} ", style), name, detail, end - began, width, bold=True)

    def _sum(self, steps: list[Step], now: float) -> str:
        """Say in short how a branch stands."""
        first = steps[0]
        good = sum(step.state == "finished" for step in steps)
        bad = sum(step.state == "failed" for step in steps)
        if first.name in MANY:
            words = [f"{good} {outcome(first.name, 'finished')}"] if good else [steps[-1].detail]
            return ", ".join(words + ([f"{bad} failed"] if bad else []))
        if first.name == "wait service":
            simulated = any(step.state == "finished" and step.detail for step in steps)
            return f"{good} of {len(steps)} ready{' (simulated)' if simulated else ''}"
        main = _main(steps)
        return _joined(main.subject, *_details(main, now))

    def _leaf(self, step: Step, indent: str, now: float, width: int) -> Text:
        mark, style = self._mark("info" if self._over and step.active else step.state, now)
        detail = _joined(*_details(step, now))
        seconds = (step.ended or now) - step.began
        # The branch's own name says already what is done to each of many.
        name = step.subject if step.name in MANY else heading(step)
        return _row((f"{indent}{mark} ", style), name, detail, seconds, width)

    def _mark(self, state: str, now: float) -> tuple[str, str]:
        return _MARKS.get(state) or (_SPIN[int(now * _PER_SECOND) % len(_SPIN)], "cyan")


def _details(step: Step, now: float) -> tuple[str, ...]:
    return outcome(step.name, step.state), amount(step, now), " ".join(step.detail.split())


def _joined(*words: str) -> str:
    return "  ".join(word for word in words if word)


def _main(steps: list[Step]) -> Step:
    """Return the step that a branch is about: what began first, else what happened last.

    A cluster that starts is started part by part; but a download that fails is followed by a build,
    and only the last way counts.
    """
    return steps[0] if steps[0].active else max(steps, key=lambda step: step.touched)


def _alike(steps: list[Step]) -> bool:
    """Whether the steps stand side by side, so that all of them count."""
    return steps[0].name in (*MANY, "wait service")


def _state(steps: list[Step]) -> str:
    """Return how a branch stands, in one of the words of its steps."""
    if not _alike(steps):
        main = _main(steps)
        return "progress" if main.active else main.state
    states = {step.state for step in steps}
    if states & {"started", "progress"} and "failed" not in states:
        return "progress"
    return next((each for each in ("failed", "finished", "skipped") if each in states), "info")


def _row(
    stem: tuple[str, str], name: str, detail: str, seconds: float, width: int, *, bold: bool = False
) -> Text:
    """One line that never wraps: stem, name, detail as far as it fits, time at the right."""
    from rich.text import Text

    from infometis_sdk.model.table import visible

    clock = f" {span(seconds)}"
    line = Text(no_wrap=True)
    line.append(*stem)
    line.append(visible(" ".join(name.split())), "bold" if bold else "")
    if detail:
        line.append(visible(f"  {detail}"), "dim")
    # Room for the ^C that a terminal echoes: if that wrapped, the drawing would lose its place.
    line.truncate(max(8, width - len(clock) - 3), overflow="ellipsis", pad=True)
    line.append(clock, "dim")
    return line


def _plain(text: str) -> str:
    for fancy, simple in _ASCII.items():
        text = text.replace(fancy, simple)
    return "".join(_SPIN_ASCII[_SPIN.index(c) % 4] if c in _SPIN else c for c in text)
