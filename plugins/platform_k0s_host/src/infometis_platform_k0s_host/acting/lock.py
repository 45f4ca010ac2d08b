"""One writer for all hosts: a lock file on each, refreshed while we work, with who holds it.

A lock that nobody refreshed for a minute is stale, by the clock of its own host.
One whose holder was a process of this machine that is dead is replaced at once.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infometis_platform_k0s_host.acting.together import together
from infometis_platform_k0s_host.connection import PATIENCE, HostError
from infometis_platform_k0s_host.scripts import script
from infometis_sdk.errors import InfometisError, LockedError
from infometis_sdk.model.run import CancelToken, Event, Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_platform_k0s_host.connection import Connection

__all__ = ("Lock", "locked")

_STALE = 60
_REFRESH = 15.0
_HELD = 75  # EX_TEMPFAIL, as the script ends
_PATIENCE = _STALE + 15.0  # longer than the lock of a dead one counts


class Lock:
    """The lock as it is held; :meth:`check` is called before each step.

    Args:
        connections: to the hosts, by name.
        patience: seconds that we wait for another operator to finish.

    """

    def __init__(
        self, connections: Mapping[str, Connection], *, patience: float = _PATIENCE
    ) -> None:
        self._connections = connections
        self._patience = patience
        self._token = secrets.token_hex(8)
        self._held: list[str] = []
        self._lost = ""
        self._seen = _now()

    def acquire(self, run: Run) -> None:
        """Take it on every host, the first one first, so that two operators never block each other.

        Raises:
            LockedError: another operator works on a host; holder and age are told.
            HostError: a host cannot be reached any more.

        """
        for name, connection in self._connections.items():
            self._acquire(name, connection, run)
            self._held.append(name)
        self._seen = _now()

    def _acquire(self, name: str, connection: Connection, run: Run) -> None:
        end, dead, told = time.monotonic() + self._patience, "", False
        while True:
            run.check(f"locking {name}")
            words = ["sh", "-c", _SCRIPT, "sh", "acquire", self._token, str(_STALE), dead]
            done = connection.run(words, run, stdin=json.dumps(_me()).encode())
            if done.ok:
                return
            if done.code != _HELD:
                msg = f"{name}: the lock cannot be taken: {done.tail(1)}"
                raise HostError(msg, host=name)
            age, token, who = _holder(done.stdout)
            if _is_dead(who) and token != dead:
                dead = token
                continue
            if time.monotonic() > end:
                raise _locked(name, who, age)
            if not told:
                detail = f"{_words(who)} works on it, since {age:.0f} s without a sign"
                run.emit(Event(name="wait", subject=name, state="progress", detail=detail))
                told = True
            run.sleep(1.0, f"waiting for {_words(who)} to finish with {name}")

    def refresh(self) -> None:
        """Say on every host that we are alive, and notice where somebody took the lock."""
        run = Run.within(_REFRESH)

        def touch(name: str, within: Run) -> None:
            words = ["sh", "-c", _SCRIPT, "sh", "refresh", self._token]
            if self._connections[name].run(words, within, timeout=_REFRESH).code == _HELD:
                self._lost = name

        if not together(self._held, touch, run).failures:
            self._seen = _now()

    def check(self) -> None:
        """Stop where somebody else took the lock meanwhile, as after a long sleep of our machine.

        Raises:
            LockedError: it is lost.

        """
        if _now() - self._seen > _STALE / 2:
            self.refresh()
        if self._lost:
            msg = f"{self._lost}: another operator took the lock, since we were silent too long"
            hint = "run the same command again when that one has finished"
            raise LockedError(msg, holder="another operator", hint=hint)

    def release(self) -> None:
        """Let go on every host that still answers."""

        def drop(name: str, within: Run) -> None:
            words = ["sh", "-c", _SCRIPT, "sh", "release", self._token]
            self._connections[name].run(words, within)

        held, self._held = self._held, []
        # One that stays is in the way of our own next verb, so that a busy host gets its time.
        together(held, drop, Run.within(PATIENCE))


@contextmanager
def locked(connections: Mapping[str, Connection], run: Run) -> Iterator[Lock]:
    """Hold the lock on all hosts for the life of the context."""
    lock = Lock(connections)
    stop = CancelToken()

    def keep() -> None:
        waiting = Run(cancel=stop)
        try:
            while True:
                waiting.sleep(_REFRESH, "keeping the lock")
                lock.refresh()
        except InfometisError:
            return  # the context has ended, or all hosts are gone: `check` finds out

    thread = threading.Thread(target=keep, daemon=True)
    try:
        lock.acquire(run)
        thread.start()
        yield lock
    finally:
        stop.cancel()
        lock.release()


def _now() -> float:
    """Return a clock that counts on while the machine is suspended."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


def _me() -> dict[str, Any]:
    return {
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "boot": _first_line("/proc/sys/kernel/random/boot_id"),
        "space": _process_space(),
        "pid": os.getpid(),
        "start": _start(os.getpid()),
    }


def _process_space() -> str:
    """Return what tells process numbers of containers apart."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _start(pid: int) -> str:
    """Return when a process began, in ticks since boot; empty where there is none."""
    stat = _first_line(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return stat[19] if len(stat) > 19 and stat[0] not in "ZX" else ""  # noqa: PLR2004 - proc(5)


def _holder(text: str) -> tuple[float, str, dict[str, Any]]:
    lines = [*text.splitlines(), "", "", ""]
    try:
        who = json.loads(lines[2])
    except ValueError:
        who = {}
    age = lines[0].lstrip("-")
    return float(age) if age.isdigit() else 0.0, lines[1], who if isinstance(who, dict) else {}


def _is_dead(who: Mapping[str, Any]) -> bool:
    """Whether the holder was a process of this machine, and is none any more."""
    me = _me()
    here = bool(me["boot"]) and all(who.get(key) == me[key] for key in ("host", "boot", "space"))
    pid = who.get("pid")
    return here and isinstance(pid, int) and _start(pid) != who.get("start")


def _words(who: Mapping[str, Any]) -> str:
    if not who:
        return "somebody"
    return f"{who.get('user')}@{who.get('host')} (process {who.get('pid')})"


def _locked(name: str, who: Mapping[str, Any], age: float) -> LockedError:
    msg = f"{name}: {_words(who)} holds the lock, which was refreshed {age:.0f} s ago"
    hint = f"wait until that one has finished; a lock of a dead one is free after {_STALE} s"
    return LockedError(msg, holder=_words(who), age=age, hint=hint)


_SCRIPT = script("lock").decode()
