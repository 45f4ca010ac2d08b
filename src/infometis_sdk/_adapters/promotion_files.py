"""What this machine remembers of the last promotion into each stack, and the lock around one."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infometis_sdk._serde import structure
from infometis_sdk.errors import InfometisError, LockedError
from infometis_sdk.model.promotion import PromotionReport
from infometis_sdk.model.report import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ("PromotionFiles",)


class PromotionFiles:
    """One file a stack, 0600, replaced as a whole at every step.

    Args:
        root: the folder; made when it is first written to.

    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, stack_id: str) -> PromotionReport | None:
        """Return the last promotion into a stack; ``None`` where there was none.

        Raises:
            InfometisError: the file cannot be read.

        """
        path = self._path(stack_id)
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._unreadable(path, error) from error
        found, faults = structure(PromotionReport, data)
        if faults or found is None:
            raise self._unreadable(path, faults[0] if faults else "no promotion")
        return found

    @staticmethod
    def _unreadable(path: Path, why: object) -> InfometisError:
        msg = f"the last promotion cannot be read: {path}: {why}"
        return InfometisError(msg, hint="remove the file, and the promotion begins anew")

    def write(self, stack_id: str, report: PromotionReport) -> None:
        """Remember, so that a crash at any moment leaves the old or the new state."""
        path = self._path(stack_id)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(plain(report), stream)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)

    @contextmanager
    def alone(self, stack_id: str) -> Iterator[None]:
        """Hold the lock of promotions into a stack; the kernel gives it back when we die.

        Raises:
            LockedError: another process of this machine holds it.

        """
        path = self._path(stack_id).with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                msg = f"another promotion into {stack_id} is under way"
                raise LockedError(
                    msg, holder="another process of this machine", hint="wait for it to end"
                ) from error
            yield
        finally:
            os.close(descriptor)

    def _path(self, stack_id: str) -> Path:
        return self._root / f"{stack_id}.json"
