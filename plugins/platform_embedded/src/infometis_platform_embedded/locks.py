"""File locks between processes, which the kernel drops when their holder dies.

Standard library only: the supervisor imports this.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ("hold", "is_held", "try_lock")

_PAUSE = 0.05


def try_lock(path: Path) -> int | None:
    """Take the lock and return its descriptor, or ``None`` if another process has it.

    The file may be removed by the holder before it lets go;
    who then holds a lock on a file without a name holds nothing, so the name is looked up again.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        if _is_named(descriptor, path):
            return descriptor
        os.close(descriptor)


def _is_named(descriptor: int, path: Path) -> bool:
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), named)


@contextmanager
def hold(path: Path, waiting: Callable[[float], None]) -> Iterator[None]:
    """Hold the lock; ``waiting`` is called with the seconds waited so far, and may raise."""
    began = time.monotonic()
    while True:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = try_lock(path)
        except FileNotFoundError:
            continue  # the folder went away in between, with the cluster
        if descriptor is not None:
            break
        waiting(time.monotonic() - began)
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether some process holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
