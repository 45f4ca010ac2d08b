"""Starts, watches and ends the supervisor of one cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING, Any

from infometis_platform_embedded.api import is_ready
from infometis_platform_embedded.layout import Layout, read_json
from infometis_platform_embedded.locks import is_held
from infometis_platform_embedded.processes import Identity, kill, wait_gone
from infometis_sdk.errors import PlatformError
from infometis_sdk.model.run import Event, Run

if TYPE_CHECKING:
    from infometis_platform_embedded.plan import Plan

__all__ = (
    "WANTED",
    "PortTakenError",
    "end",
    "full_disk",
    "parts",
    "spawn",
    "supervisor",
    "wait_ready",
)

_TAIL = 4000
_GIVE_UP = 4  # deaths of one part in a row
_ENDING = 12.0
_TAKEN = "address already in use"
_NO_SPACE = "no space left on device"  # strerror(ENOSPC), as Go writes it
_RUNS = 64 * 1024  # of a log: the last words of a few runs, stack traces among them
_LEAST = 1024 * 1024
WANTED = 200
"""MB: etcd sets 64 MB aside for each of two log files before it writes the first entry."""

# The write ends of the pipes whose closing tells supervisors of ephemeral clusters of our death.
_LIFELINES: dict[Path, int] = {}


class PortTakenError(Exception):
    """Somebody took a port between our choice and the start of the part."""


def supervisor(layout: Layout, run: Run | None = None) -> Identity | None:
    """Return the supervisor that runs, or ``None``.

    A pid file may be stale, torn or absent while a supervisor lives;
    that one holds its lock and mends the file within a second, for which we wait.
    """
    while True:
        found = Identity.from_dict(read_json(layout.pid))
        if found is not None and found.alive and is_held(layout.alive):
            return found
        if run is None or not is_held(layout.alive):
            return None
        run.sleep(0.1, "waiting for the supervisor to write its pid file")


def parts(layout: Layout) -> dict[str, dict[str, Any]]:
    """Return what the supervisor last said of each part."""
    found = read_json(layout.parts).get("parts", {})
    return found if isinstance(found, dict) else {}


def spawn(plan: Plan, layout: Layout) -> None:
    """Start the supervisor as nobody's child; return once its pid file is there."""
    main = Path(__file__).with_name("daemon") / "__main__.py"
    command = [sys.executable, "-I", "-S", "-B", str(main), "supervisor", str(layout.state_dir)]
    lifeline, ours = (-1, -1)
    if plan.ephemeral:
        lifeline, ours = os.pipe()
        command.append(str(os.getpid()))
    try:
        with layout.open_log("supervisor") as log:
            done = subprocess.run(  # noqa: S603
                command,
                stdin=lifeline if plan.ephemeral else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
                timeout=30,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        _close(ours)
        msg = f"the supervisor of cluster {plan.cluster!r} cannot be started: {error}"
        raise PlatformError(msg, hint=f"see {layout.log('supervisor')}") from error
    finally:
        _close(lifeline)
    if done.returncode:
        _close(ours)
        msg = f"the supervisor of cluster {plan.cluster!r} ended with code {done.returncode}"
        raise PlatformError(msg, hint=_tail(layout.log("supervisor")))
    if plan.ephemeral:
        _close(_LIFELINES.pop(layout.state_dir, -1))
        _LIFELINES[layout.state_dir] = ours


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def wait_ready(plan: Plan, layout: Layout, run: Run) -> None:
    """Wait until the API server answers ``/readyz``.

    Raises:
        PortTakenError: other ports are worth a try.
        PlatformError: a part dies again and again.

    """
    seen: set[str] = set()
    while not is_ready(plan.ports["api"], layout.pki / "ca.crt", timeout=2.0):
        for name, part in parts(layout).items():
            if part.get("running") and name not in seen:
                seen.add(name)
                run.emit(Event(name="start part", subject=name, state="finished"))
            if part.get("deaths", 0) >= _GIVE_UP:
                _raise_dead(plan, layout, name, str(part.get("exit", "")))
        if supervisor(layout) is None:
            raise _dead(plan, layout, "supervisor", "has ended")
        run.sleep(0.03, "waiting for the API server")
    run.emit(Event(name="start part", subject="kube-apiserver", state="info", detail="ready"))


def _raise_dead(plan: Plan, layout: Layout, part: str, why: str) -> None:
    if _TAKEN in _tail(layout.log(part)):
        raise PortTakenError(part)
    raise _dead(plan, layout, part, f"{why} {_GIVE_UP} times in a row")


def _dead(plan: Plan, layout: Layout, part: str, how: str) -> PlatformError:
    """Make the error for a part that will not live; a full disk is told as one."""
    log = layout.log(part)
    msg = f"{part} of cluster {plan.cluster!r} {how}"
    for folder in (Path(plan.data), layout.state_dir):
        little = folder.exists() and disk_usage(folder).free < _LEAST
        if little or (folder == Path(plan.data) and _NO_SPACE in _end(log, _RUNS)):
            return full_disk(folder, msg)
    return PlatformError(msg, hint=f"the end of {log} says:\n{_tail(log)}")


def full_disk(folder: Path, what: str) -> PlatformError:
    """Make the error for what went wrong since a folder's disk has no room left."""
    room = disk_usage(next(each for each in (folder, *folder.parents) if each.exists()))
    left = f"{room.free / 1e6:.0f} of {room.total / 1e6:.0f} MB are free"
    return PlatformError(
        f"the disk of {folder} is full ({left}): {what}",
        hint=f"make {WANTED} MB free there, then run the same command again; "
        "what the cluster holds is kept",
    )


def _end(log: Path, size: int) -> str:
    try:
        return log.read_bytes()[-size:].decode(errors="replace")
    except OSError:
        return ""


def _tail(log: Path) -> str:
    lines = _end(log, _TAIL).splitlines()
    return "\n".join(lines[-8:]) or f"(nothing: {log})"


def end(layout: Layout, *, gently: bool) -> None:
    """End the supervisor and all parts, and return when they are gone."""
    children = [Identity.from_dict(part) for part in parts(layout).values()]
    known = [each for each in children if each is not None]
    found = Identity.from_dict(read_json(layout.pid))
    if found is not None:
        kill(found, signal.SIGTERM if gently else signal.SIGUSR1)
        if wait_gone([found], _ENDING):
            kill(found, signal.SIGKILL)
            wait_gone([found], 1.0)
    for each in wait_gone(known, 0.5):
        kill(each, signal.SIGKILL)
    wait_gone(known, 2.0)
    _close(_LIFELINES.pop(layout.state_dir, -1))
