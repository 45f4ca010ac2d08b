"""Where the files of one cluster are, and how they are written.

Standard library only: the supervisor imports this.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ("Layout", "read_json", "write_json", "write_private")


def write_private(path: Path, content: bytes | str) -> None:
    """Write a file of mode 0600 whole or not at all, whoever reads it meanwhile."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401
    """Write a value as JSON, whole or not at all."""
    write_private(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON mapping; an absent, torn or foreign file is an empty one."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


class Layout:
    """The paths of one cluster below its state directory; nothing else there is ours."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.lock = state_dir / "lock"
        self.plan = state_dir / "plan.json"
        self.pki = state_dir / "pki"
        self.kubeconfig = state_dir / "kubeconfig"
        self.config = state_dir / "config"
        self.logs = state_dir / "log"
        self.data = state_dir / "data"
        self.pid = state_dir / "supervisor.pid"
        self.alive = state_dir / "supervisor.lock"
        self.parts = state_dir / "parts.json"

    def make(self) -> None:
        """Make the directories, for this user only."""
        self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.state_dir.chmod(0o700)
        for folder in (self.config, self.logs):
            folder.mkdir(exist_ok=True, mode=0o700)

    def log(self, part: str) -> Path:
        """Return the log file of a part."""
        return self.logs / f"{part}.log"

    def open_log(self, part: str) -> BinaryIO:
        """Open the log file of a part, readable by this user only, to add to it."""
        descriptor = os.open(self.log(part), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "ab")

    def remove(self) -> None:
        """Remove what is ours, the lock last, and the directory if that leaves it empty.

        The plan goes before the lock and after everything else:
        a removal that is cut short is one that can be repeated.
        """
        if not self.state_dir.is_dir():
            return
        for folder in (self.pki, self.config, self.logs, self.data):
            shutil.rmtree(folder, ignore_errors=not folder.exists())
        for leftover in self.state_dir.glob(".*.tmp"):
            _discard(leftover)
        for file in (self.kubeconfig, self.pid, self.alive, self.parts, self.plan, self.lock):
            file.unlink(missing_ok=True)
        try:
            self.state_dir.rmdir()
        except OSError:
            return


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
