"""One process that the supervisor keeps running."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from infometis_platform_embedded.processes import identity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ("Child",)

_BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_SETTLED = 30.0  # seconds of life after which earlier deaths are forgiven
_LOG_LIMIT = 10 * 1024 * 1024
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> Callable[[], None] | None:
    """Return what a child calls before exec, so that it never outlives the supervisor."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel knew of our wish
            os._exit(1)

    return prepare


class Child:
    """A child process with its log, its deaths and the time of its next start."""

    def __init__(
        self, name: str, command: list[str], log: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.deaths = 0
        self._command = command
        self._log = log
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._due = 0.0
        self._last_exit = ""

    @property
    def running(self) -> bool:
        """Whether it runs, as far as the last :meth:`reap` knows."""
        return self._process is not None

    def due_in(self) -> float:
        """Return the seconds until it may be started again."""
        return max(0.0, self._due - time.monotonic())

    def start(self) -> None:
        """Start it; a failure to do so counts as a death."""
        self._rotate()
        self._started = time.monotonic()
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=dict(self._environment),
                    preexec_fn=_die_with_parent(),  # noqa: PLW1509 - there are no threads
                    start_new_session=True,
                )
        except OSError as error:
            self._bury(f"cannot start: {error}")

    def reap(self) -> bool:
        """Notice a death; return whether there was one."""
        if self._process is None or self._process.poll() is None:
            return False
        code = self._process.returncode
        self._bury(f"killed by signal {-code}" if code < 0 else f"ended with code {code}")
        return True

    def _bury(self, why: str) -> None:
        settled = time.monotonic() - self._started > _SETTLED
        self.deaths = 1 if settled else self.deaths + 1
        self._due = time.monotonic() + _BACKOFF[min(self.deaths, len(_BACKOFF)) - 1]
        self._process = None
        self._last_exit = why

    def end(self, number: signal.Signals) -> None:
        """Send it a signal if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; return whether it has ended."""
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        self._process = None
        return True

    def report(self) -> dict[str, Any]:
        """Return its state as a mapping for JSON."""
        who = identity(self._process.pid) if self._process else None
        named = who.to_dict() if who else {}
        return named | {"running": self.running, "deaths": self.deaths, "exit": self._last_exit}

    def _rotate(self) -> None:
        try:
            if self._log.stat().st_size > _LOG_LIMIT:
                self._log.replace(self._log.with_suffix(".old.log"))
        except FileNotFoundError:
            return
