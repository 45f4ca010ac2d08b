"""The ledger on disk: append-only JSON lines, one chain per stack, safe for several processes.

A folder per stack holds ``records.jsonl``, ``head.json`` (the newest record, so that records
taken from the end are missed) and ``lock``.
Whoever rotates the file may: what is called ``records.jsonl.…`` is read before it,
and the chain goes on.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import json
import os
import secrets
import socket
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk._serde.audit_lines import audit_line, hash_of, read_audit_line, seal
from infometis_sdk.errors import AuditError
from infometis_sdk.model.audit import AuditEvent, AuditHead, AuditLine
from infometis_sdk.ports.audit import AuditLedger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ("AuditFile",)

_RECORDS = "records.jsonl"
_PATIENCE = 10.0
"""Seconds to wait for another process, which holds the lock for one write and one fsync."""
_TAIL = 1 << 16


class AuditFile(AuditLedger):
    """The chains of all stacks of a user below one folder, 0700, files 0600.

    Args:
        root: the folder; made when the first record is kept.

    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, stack_id: str) -> Path:
        """Return the file of a stack's records, whether it is there or not."""
        return self._root / stack_id / _RECORDS

    def ledger(self, stack_id: str) -> str:
        """Return a hash that names this place, and tells nothing about it."""
        place = f"{socket.gethostname()}:{self.path(stack_id).resolve()}"
        return hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def record(self, event: AuditEvent) -> AuditEvent:
        """See :meth:`AuditLedger.record`."""
        path = self.path(event.stack_id)
        try:
            with self._locked(path.parent):
                head, torn = self._newest(event.stack_id)
                sealed = seal(event, head, chain=secrets.token_hex(6), time=_now())
                _append(path, ("\n" if torn else "") + audit_line(sealed) + "\n")
                _keep(path.with_name("head.json"), sealed.head)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            msg = f"the audit of stack {event.stack_id} cannot be written: {path}: {reason}"
            raise AuditError(
                msg, hint="make room or set the rights, then run this again"
            ) from error
        return sealed

    def head(self, stack_id: str) -> AuditHead | None:
        """Return what ``head.json`` remembers; ``None`` where there is none.

        Raises:
            AuditError: it cannot be read.

        """
        path = self.path(stack_id).with_name("head.json")
        try:
            data = json.loads(path.read_text(encoding="ascii"))
            return AuditHead(**data)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            msg = f"the head of the audit of stack {stack_id} cannot be read: {path}: {error}"
            raise AuditError(msg, hint="'infometis audit verify' looks at the records") from error

    def read(self, stack_id: str) -> Iterator[AuditLine]:
        """Yield every line of all segments, oldest first.

        Raises:
            AuditError: a file cannot be read.

        """
        for path in self._segments(stack_id):
            try:
                with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
                    for number, text in enumerate(stream, 1):
                        yield AuditLine(where=f"{path.name}:{number}", text=text.rstrip("\n"))
            except OSError as error:
                msg = f"the audit of stack {stack_id} cannot be read: {path}: {error.strerror}"
                raise AuditError(msg) from error

    # --- the newest record --------------------------------------------------------------------

    def _newest(self, stack_id: str) -> tuple[AuditHead | None, bool]:
        """Return the record to go on from, and whether the file ends within a line.

        Where the head remembers more than the file holds, records were taken away:
        the chain goes on from the head, so that the gap stays for everybody to see.
        """
        last, torn = self._last(stack_id)
        remembered: AuditHead | None = None
        with suppress(AuditError):
            remembered = self.head(stack_id)
        if last is None or (remembered is not None and remembered.sequence > last.sequence):
            return remembered, torn
        return last, torn

    def _last(self, stack_id: str) -> tuple[AuditHead | None, bool]:
        torn = False
        for number, path in enumerate(reversed(self._segments(stack_id))):
            lines, whole = _ending(path)
            torn = torn or (number == 0 and not whole and path.name == _RECORDS)
            for line in reversed(lines):
                with suppress(ValueError):
                    event = read_audit_line(line)
                    return event.head, torn
        return None, torn

    def _segments(self, stack_id: str) -> list[Path]:
        """Return the files of a stack, oldest first: by their first record's number."""
        path = self.path(stack_id)
        found = [p for p in path.parent.glob(f"{_RECORDS}*") if p.is_file()]
        return sorted(found, key=lambda p: (p == path, _first(p), p.name))

    @contextmanager
    def _locked(self, folder: Path) -> Iterator[None]:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            end = time.monotonic() + _PATIENCE
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.005)
            yield
        finally:
            os.close(descriptor)  # which gives the lock back


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


def _append(path: Path, text: str) -> None:
    """Append all of it and reach the disk, or leave the file as it was."""
    data = text.encode("ascii")
    fresh = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        try:
            done = 0
            while done < len(data):
                done += os.write(descriptor, data[done:])
            os.fsync(descriptor)
        except OSError:
            # A full disk may have taken a part; what stays in spite of this is told as torn.
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
    if fresh:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _keep(path: Path, head: AuditHead) -> None:
    """Remember the head; the record is kept already, so trouble here must not undo the action."""
    with suppress(OSError):
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            json.dump(attrs.asdict(head), stream)
        draft.replace(path)


def _ending(path: Path) -> tuple[list[str], bool]:
    """Return the last whole lines of a file, at least one where there is one, and if it ends so."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        length = _TAIL
        while True:
            start = stream.seek(max(0, size - length))
            data = stream.read()
            lines = data.split(b"\n")
            if start == 0 or len(lines) > 3:  # noqa: PLR2004 - a cut one, a whole one, the end
                break
            length *= 4
    whole = not data or data.endswith(b"\n")
    kept = lines if start == 0 else lines[1:]
    return [line.decode("utf-8", "surrogateescape") for line in kept if line], whole


def _first(path: Path) -> int:
    """Return the number of a file's first record; 0 where nothing in it is one."""
    with suppress(OSError), path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            with suppress(ValueError):
                data: Any = json.loads(line)
                if isinstance(data, dict) and hash_of(data) == data.get("hash"):
                    return int(data["sequence"])
    return 0
