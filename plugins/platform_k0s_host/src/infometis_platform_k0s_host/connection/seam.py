"""What a connection offers, and what can go wrong with any of them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from infometis_sdk.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from infometis_sdk.machine import Done
    from infometis_sdk.model.run import Run

__all__ = ("AS_ROOT", "PATIENCE", "Connection", "HostError", "as_root", "privilege_fault")

# One round trip whoever we are: root at once, others by sudo or doas, which must not ask.
AS_ROOT = (
    'if [ "$(id -u)" = 0 ]; then exec "$@"; fi; '
    'if command -v sudo >/dev/null 2>&1; then exec sudo -n -- "$@"; fi; '
    'exec doas -n -- "$@"'
)

# Seconds for a command that takes a moment: a busy host is slow and not dead,
# and a dead one is noticed by SSH itself within fifteen seconds.
PATIENCE = 120.0

_ASKS = re.compile(r"sudo:.*(a password|terminal|no tty)|doas:.*auth", re.IGNORECASE)
_BARRED = re.compile(r"(not in the sudoers file|not allowed to (execute|run)|doas:.*not permitted)")
_MISSING = re.compile(r"doas: (not found|No such file)|doas.*command not found", re.IGNORECASE)


class HostError(PlatformError):
    """Something failed on one host; ``host`` names it."""

    def __init__(self, message: str, *, host: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.host = host


def as_root(argv: Sequence[str]) -> list[str]:
    """Return the command that runs ``argv`` as root, without ever asking for a password.

    Example:
        >>> as_root(["id"])[-2:]
        ['sh', 'id']

    """
    return ["sh", "-c", AS_ROOT, "sh", *argv]


def privilege_fault(host: str, stderr: str) -> HostError | None:
    """Return the error where a command failed because we may not act as root there."""
    if _ASKS.search(stderr):
        msg = f"{host}: sudo asks for a password"
        cure = "allow it without: a file in /etc/sudoers.d with 'USER ALL=(ALL) NOPASSWD: ALL'"
        return HostError(msg, host=host, hint=cure)
    if _BARRED.search(stderr):
        msg = f"{host}: the user may not act as root: {stderr.strip().splitlines()[-1]}"
        cure = "name a `user` that may use sudo without a password, or root"
        return HostError(msg, host=host, hint=cure)
    if _MISSING.search(stderr):
        msg = f"{host}: the user is not root, and there is neither sudo nor doas"
        return HostError(msg, host=host, hint="install sudo there, or log in as root")
    return None


class Connection(ABC):
    """One host, as commands reach it; safe to share between threads.

    Attributes:
        name: how messages call the host.

    """

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def run(
        self, argv: Sequence[str], run: Run, *, stdin: bytes | Path = b"", timeout: float = PATIENCE
    ) -> Done:
        """Run a command as root and return how it ended; a bad exit code is no error here.

        Args:
            argv: program and arguments, taken literally; no secret, since users there can read it.
            run: deadline and cancel token of the verb.
            stdin: what it reads; secrets go here.
            timeout: seconds that this command may take.

        Raises:
            HostError: the host is not reached, or we may not act as root there,
                or the command took longer.

        """

    @abstractmethod
    def fetch(self, argv: Sequence[str], target: Path, run: Run, *, timeout: float = 600.0) -> None:
        """Write what a command prints, byte for byte, to a file of mode 0600 here.

        Raises:
            HostError: as with :meth:`run`, or the command failed.

        """

    def put(
        self,
        content: bytes | Path,
        target: str,
        run: Run,
        *,
        mode: str = "0600",
        timeout: float = PATIENCE,
    ) -> None:
        """Write a file there in one step, with its folder; it never has a wider mode.

        Raises:
            HostError: as with :meth:`run`, or it cannot be written; a full disk is named.

        """
        script = (
            'set -eu; umask 077; folder=${1%/*}; mkdir -p -- "$folder"; draft=$1.infometis; '
            'trap \'rm -f -- "$draft"\' EXIT; cat >"$draft"; chmod "$2" "$draft"; '
            'mv -f -- "$draft" "$1"'
        )
        argv = ["sh", "-c", script, "sh", target, mode]
        done = self.run(argv, run, stdin=content, timeout=timeout)
        if not done.ok:
            msg = f"{self.name}: {target} cannot be written: {done.tail(1)}"
            hint = "make room on that disk" if "No space left" in done.stderr else ""
            raise HostError(msg, host=self.name, hint=hint)

    @abstractmethod
    def close(self) -> None:
        """Let go of what the connection keeps open."""
