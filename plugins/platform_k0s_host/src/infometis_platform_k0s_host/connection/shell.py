"""The two connections: this machine, and another one by the system's OpenSSH client."""

from __future__ import annotations

import hashlib
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from infometis_platform_k0s_host.connection.refusals import ssh_fault
from infometis_platform_k0s_host.connection.seam import (
    PATIENCE,
    Connection,
    HostError,
    as_root,
    privilege_fault,
)
from infometis_platform_k0s_host.connection.streams import run_to_file
from infometis_sdk.errors import DeadlineError
from infometis_sdk.machine import Done, private_folder, run_command
from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infometis_platform_k0s_host.settings import Host, K0sHost

__all__ = ("LocalConnection", "SshConnection", "connect")

_SSH_FAILED = 255  # ssh(1): "exits with 255 if an error occurred"
_KEEP = 60  # seconds that a connection stays open after its last command
_CONNECT = 10  # seconds in which a host must answer


class _ShellConnection(Connection):
    """Runs commands by a program of this machine, with one way to say what went wrong."""

    def run(
        self, argv: Sequence[str], run: Run, *, stdin: bytes | Path = b"", timeout: float = PATIENCE
    ) -> Done:
        with_limit = _limited(run, timeout)
        try:
            done = run_command(self._argv(argv), with_limit, stdin=stdin, env={"LC_ALL": "C"})
        except DeadlineError as error:
            raise self._late(argv, run, timeout) from error
        return self._checked(done)

    def fetch(self, argv: Sequence[str], target: Path, run: Run, *, timeout: float = 600.0) -> None:
        with_limit = _limited(run, timeout)
        try:
            done = run_to_file(self._argv(argv), target, with_limit)
        except DeadlineError as error:
            raise self._late(argv, run, timeout) from error
        if not self._checked(done).ok:
            msg = f"{self.name}: {argv[0]} failed: {done.tail(2)}"
            raise HostError(msg, host=self.name)

    def _argv(self, argv: Sequence[str]) -> list[str]:
        return as_root(argv)

    def _checked(self, done: Done) -> Done:
        if not done.ok and (fault := privilege_fault(self.name, done.stderr)) is not None:
            raise fault
        return done

    def _late(self, argv: Sequence[str], run: Run, timeout: float) -> Exception:
        run.check(f"running {Path(argv[0]).name} on {self.name}")
        msg = f"{self.name}: no answer within {timeout:.0f} s"
        return HostError(msg, host=self.name, hint="look at the load and the journal of that host")


class LocalConnection(_ShellConnection):
    """Runs commands on this very machine."""

    def close(self) -> None:
        """Nothing is kept open."""


class SshConnection(_ShellConnection):
    """Runs commands on another machine by ``ssh``, which is the user's in all it does.

    Its configuration, agent, jump hosts and known hosts count; it never asks anything.
    One connection is kept open for a minute and shared, where ``sockets`` is given.
    """

    def __init__(self, host: Host, *, config: str = "", sockets: Path | None = None) -> None:
        super().__init__(host.name)
        self._host = host
        self._config = config
        self._sockets = sockets

    def close(self) -> None:
        """End the shared connection."""
        if self._sockets is not None and (self._sockets / self._socket).exists():
            argv = [*self._ssh(), "-O", "exit", "--", self._host.address]
            run_command(argv, Run.within(_CONNECT), env={"LC_ALL": "C"})

    @property
    def _socket(self) -> str:
        who = f"{self._config}|{self._host.user}|{self._host.name}|{self._host.key}"
        return hashlib.sha256(who.encode()).hexdigest()[:10]

    def _ssh(self) -> list[str]:
        # A path of a socket has about 100 characters at most, so its folder is entered first.
        argv = ["ssh", "-T", "-a", "-x"]
        if self._sockets is not None:
            argv = ["sh", "-c", 'cd -- "$1" && shift && exec "$@"', "sh", str(self._sockets), *argv]
        if self._config:
            argv += ["-F", str(Path(self._config).expanduser().absolute())]
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            # The user's file of known hosts is read, and never written.
            "UpdateHostKeys": "no",
            "CheckHostIP": "no",
            "ClearAllForwardings": "yes",
            "ConnectTimeout": str(_CONNECT),
            "LogLevel": "ERROR",
            "RemoteCommand": "none",
            # A host that dies is noticed within fifteen seconds.
            "ServerAliveInterval": "5",
            "ServerAliveCountMax": "3",
            "ControlMaster": "auto" if self._sockets is not None else "no",
            "ControlPath": f"./{self._socket}" if self._sockets is not None else "none",
            "ControlPersist": str(_KEEP),
        }
        for name, value in options.items():
            argv += ["-o", f"{name}={value}"]
        if self._host.port:
            argv += ["-p", str(self._host.port)]
        if self._host.user:
            argv += ["-l", self._host.user]
        if self._host.key:
            argv += ["-i", str(Path(self._host.key).expanduser().absolute())]
        return argv

    def _argv(self, argv: Sequence[str]) -> list[str]:
        if self._sockets is not None:
            private_folder(self._sockets)
        # sshd hands one string to the login shell, so each word is quoted for it.
        return [*self._ssh(), "--", self._host.address, shlex.join(as_root(argv))]

    def _checked(self, done: Done) -> Done:
        if done.code == _SSH_FAILED:
            raise ssh_fault(self._host, done.stderr)
        return super()._checked(done)


def connect(host: Host, settings: K0sHost, sockets: Path | None) -> Connection:
    """Return the connection to a host; nothing is opened before its first command.

    Args:
        host: where to.
        settings: of the cluster.
        sockets: folder for shared connections; ``None`` to open one for each command.

    """
    if host.connection == "local":
        return LocalConnection(host.name)
    return SshConnection(host, config=settings.ssh_config, sockets=sockets)


def _limited(run: Run, seconds: float) -> Run:
    deadline = min(run.deadline, time.monotonic() + seconds)
    return Run(deadline=deadline, cancel=run.cancel)
