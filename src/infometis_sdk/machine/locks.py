"""A lock between processes of one machine, which the kernel drops when its holder dies."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infometis_sdk.machine.files import private_folder
from infometis_sdk.model.run import Event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infometis_sdk.model.run import Run

__all__ = ("hold",)

_PAUSE = 0.05


@contextmanager
def hold(path: Path, run: Run, subject: str) -> Iterator[None]:
    """Hold the lock file for the life of the context; wait for it as long as ``run`` allows.

    The holder may remove the file, with the folder it lies in, while it holds the lock.
    Folders above it are made with mode 0700.

    Args:
        path: the lock file; it is made, and stays.
        run: deadline, events, cancel token.
        subject: what is locked, for the event that says that we wait.

    Raises:
        CancelledError, DeadlineError: somebody else still has it.

    """
    told = False
    while (descriptor := _try(path)) is None:
        run.check(f"waiting for another process to finish with {subject!r}")
        if not told:
            detail = "another process works on this"
            run.emit(Event(name="wait", subject=subject, state="progress", detail=detail))
            told = True
        run.sleep(_PAUSE, f"waiting for another process to finish with {subject!r}")
    try:
        yield
    finally:
        os.close(descriptor)


def _try(path: Path) -> int | None:
    """Take the lock and return its descriptor, or ``None`` where another process has it."""
    while True:
        private_folder(path.parent)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # the folder went away in between, with its holder's work
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        # Who holds a lock on a file without a name holds nothing.
        if _is_named(descriptor, path):
            return descriptor
        os.close(descriptor)


def _is_named(descriptor: int, path: Path) -> bool:
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), named)
