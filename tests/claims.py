"""What only one test run of this machine may have at a time: numbers of networks and bridges."""

from __future__ import annotations

import contextlib
import fcntl
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("claimed",)

_LOCKS = Path("/run/lock/infometis-tests")


@contextlib.contextmanager
def claimed(name: str) -> Iterator[bool]:
    """Claim a name while the context lasts; false where somebody has it, be it this process.

    The kernel lets go when the holder dies, however that dies.
    """
    _LOCKS.mkdir(parents=True, exist_ok=True)
    with (_LOCKS / name).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
