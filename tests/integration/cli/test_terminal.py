"""What a person sees: the live tree, the questions and Ctrl-C, through a real pseudo terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

pytestmark = pytest.mark.integration

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PATIENCE = 90.0


class Terminal:
    """The command with a terminal of some size as its stdin, stdout and stderr."""

    def __init__(
        self, words: tuple[str, ...], cwd: Path, env: Mapping[str, str], columns: int = 100
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = subprocess.Popen(
            words,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
        os.close(slave)
        self.raw = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)

    @property
    def text(self) -> str:
        """Everything that was written, without colours and cursor movements."""
        return _ESCAPES.sub("", self.raw).replace("\r\n", "\n").replace("\r", "\n")

    def read_until(self, pattern: str) -> None:
        """Read on until the text holds the pattern."""
        end = time.monotonic() + _PATIENCE
        while not re.search(pattern, self.text):
            if time.monotonic() > end or not self._read():
                pytest.fail(f"no {pattern!r} in:\n{self.text}")

    def end(self) -> int:
        """Read to the end, and return the exit code."""
        end = time.monotonic() + _PATIENCE
        while self._read() and time.monotonic() < end:
            pass
        return self.process.wait(timeout=_PATIENCE)

    def type(self, text: str) -> None:
        """Type."""
        os.write(self._master, text.encode())

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], 1.0)
        if not ready:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            return False
        self.raw += data.decode(errors="replace")
        return bool(data)


def _hold_up(project: Path) -> None:
    """Keep the environment from becoming ready, so that there is time to look at it."""
    file = project / "environments" / "dev.yaml"
    policy = "policies: {pod_security: restricted}\nvalues:"
    file.write_text(file.read_text().replace("values:", policy))


def test_live_tree(project: Path, environ: Mapping[str, str], command: tuple[str, ...]) -> None:
    """On a terminal a tree is drawn while it runs, in colour; what was done stays."""
    with Terminal((*command, "up"), project, environ) as screen:
        assert screen.end() == 0
    last = screen.text[screen.text.rindex("✔ up dev") :]
    assert re.search(r"├─ ✔ plan +dev: 8 to create, 0 unchanged", last)
    assert re.search(r"├─ ✔ objects +\d+ changed", last)
    assert re.search(r"└─ ✔ services +3 of 3 ready", last)
    assert re.search(r"SERVICE +VERSION +STATE", last)
    assert "\x1b[32m" in screen.raw
    assert screen.raw.count("\x1b[?25l") == screen.raw.count("\x1b[?25h")


def test_no_color(project: Path, environ: Mapping[str, str], command: tuple[str, ...]) -> None:
    """NO_COLOR and --no-color leave no colour, on a terminal too."""
    colours = re.compile(r"\x1b\[[0-9;]*3[0-7]")
    for words, extra in (
        ((*command, "up"), {"NO_COLOR": "1"}),
        ((*command, "up", "--no-color"), {}),
    ):
        with Terminal(words, project, {**environ, **extra}) as screen:
            assert screen.end() == 0
        assert not colours.search(screen.raw)
        assert "services ready" in screen.text


def test_quiet_and_verbose(
    project: Path, environ: Mapping[str, str], command: tuple[str, ...]
) -> None:
    """--quiet draws nothing; --verbose writes a line for every object."""
    with Terminal((*command, "up", "-v"), project, environ) as screen:
        assert screen.end() == 0
    assert "apply object Deployment/hello: changed" in screen.text
    assert "├─" not in screen.text
    with Terminal((*command, "-q", "up"), project, environ) as screen:
        assert screen.end() == 0
    assert screen.text.startswith("dev on existing: nothing to do")


@pytest.mark.parametrize("columns", [44, 60])
def test_a_narrow_terminal(
    columns: int, project: Path, environ: Mapping[str, str], command: tuple[str, ...]
) -> None:
    """On a narrow terminal long cells fold and no line is longer than the terminal is wide."""
    with Terminal((*command, "plan", "-e", "dev"), project, environ, columns) as screen:
        assert screen.end() == 0
    assert max(len(line) for line in screen.text.splitlines()) <= columns
    assert "Deployment" in screen.text


def test_first_ctrl_c_stops_at_a_safe_point(
    project: Path, environ: Mapping[str, str], command: tuple[str, ...]
) -> None:
    """One Ctrl-C: it says so, stops where it is safe, ends with 130, and can be run again."""
    _hold_up(project)
    with Terminal((*command, "up"), project, environ) as screen:
        screen.read_until(r"\d of \d objects")
        screen.process.send_signal(signal.SIGINT)
        assert screen.end() == 130
    assert "stopping at the next safe point; Ctrl-C again exits at once" in screen.text
    assert "error: cancelled while " in screen.text  # whichever safe point came first
    assert "Traceback" not in screen.text
    assert screen.raw.count("\x1b[?25l") == screen.raw.count("\x1b[?25h")


def test_a_question_before_a_large_prune(
    project: Path, environ: Mapping[str, str], command: tuple[str, ...]
) -> None:
    """On a terminal the plan is shown and asked about; no changes nothing, yes goes on."""
    with Terminal((*command, "-q", "up"), project, environ) as screen:
        assert screen.end() == 0
    for template in project.glob("services/*/templates/all.yaml.j2"):
        template.write_text(template.read_text().partition("---")[0])
    file = project / "environments" / "dev.yaml"
    policy = "policies: {prune: {max_count: 1, max_percent: 1}}\nvalues:"
    file.write_text(file.read_text().replace("values:", policy))
    with Terminal((*command, "up"), project, environ) as screen:
        screen.read_until(r"Apply this plan\? \[y/N\]")
        assert "ConfigMap/hello-settings" in screen.text
        screen.type("n\n")
        assert screen.end() == 3
    assert "needs confirmation" in screen.text
    with Terminal((*command, "up"), project, environ) as screen:
        screen.read_until(r"Apply this plan\? \[y/N\]")
        screen.type("y\n")
        assert screen.end() == 0
    assert "2 deleted" in screen.text


def test_a_protected_name_is_asked_for(
    project: Path, environ: Mapping[str, str], command: tuple[str, ...]
) -> None:
    """On a terminal the name of a protected environment is asked for; another one is refused."""
    file = project / "environments" / "dev.yaml"
    with Terminal((*command, "-q", "up"), project, environ) as screen:
        assert screen.end() == 0
    file.write_text(file.read_text().replace("values:", "protected: true\nvalues:"))
    with Terminal((*command, "-y", "down", "--delete-data"), project, environ) as screen:
        screen.read_until("type its name")
        screen.type("prod\n")
        assert screen.end() == 3
    with Terminal((*command, "-y", "down", "--delete-data"), project, environ) as screen:
        screen.read_until("type its name")
        screen.type("dev\n")
        assert screen.end() == 0
    assert "deleted in" in screen.text
