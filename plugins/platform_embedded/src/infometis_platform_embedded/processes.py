"""Which process is which: a number alone is no name, since the kernel hands it out again.

A process is named by its number, its start time and the boot of the machine.
Standard library only: the supervisor imports this.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import signal

__all__ = ("Identity", "boot_id", "identity", "kill", "wait_gone")

_PROC = Path("/proc")
_STATE, _START = 0, 19  # fields of /proc/PID/stat after the command, which may hold blanks


class Identity(NamedTuple):
    """A process that can be told from every other one, also after a restart of the machine."""

    pid: int
    start: str
    boot: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a mapping for JSON."""
        return self._asdict()

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Identity | None:
        """Read what :meth:`to_dict` wrote; ``None`` where it is not that."""
        match value:
            case {"pid": int(pid), "start": str(start), "boot": str(boot)} if pid > 1:
                return cls(pid, start, boot)
            case _:
                return None

    @property
    def alive(self) -> bool:
        """Whether this very process runs; one that is dead but not yet reaped does not."""
        return identity(self.pid) == self


def boot_id() -> str:
    """Return what names the current boot of the machine; empty where nothing does."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def identity(pid: int) -> Identity | None:
    """Return the identity of a running process, or ``None`` if there is none of that number."""
    start = _start_from_proc(pid) if _PROC.joinpath("self").exists() else _start_from_ps(pid)
    return Identity(pid, start, boot_id()) if start else None


def _start_from_proc(pid: int) -> str:
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    if len(fields) <= _START or fields[_STATE] in "ZX":
        return ""
    return fields[_START]


def _start_from_ps(pid: int) -> str:
    command = ["/bin/ps", "-o", "state=,lstart=", "-p", str(pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    state, _, start = done.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else start.strip()


def kill(process: Identity, number: signal.Signals) -> None:
    """Send a signal to this very process; nothing happens if it is gone."""
    if process.alive:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return


def wait_gone(processes: list[Identity], seconds: float) -> list[Identity]:
    """Wait until the processes are gone; return those that are not."""
    end = time.monotonic() + seconds
    left = [each for each in processes if each.alive]
    while left and time.monotonic() < end:
        time.sleep(0.02)
        left = [each for each in left if each.alive]
    return left
