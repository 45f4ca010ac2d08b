"""Files and folders that only their owner may read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ("private_folder", "write_private")


def private_folder(path: Path) -> Path:
    """Make a folder with mode 0700, with its parents; one that is there gets that mode.

    Example:
        >>> import tempfile; from pathlib import Path
        >>> oct(private_folder(Path(tempfile.mkdtemp()) / "a").stat().st_mode & 0o777)
        '0o700'

    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write_private(path: Path, content: str | bytes) -> Path:
    """Write a file with mode 0600 in one step: readers see the old content or the new one.

    It never has another mode, and what it holds is on the disk before its name is.

    Example:
        >>> import tempfile; from pathlib import Path
        >>> path = write_private(Path(tempfile.mkdtemp()) / "a", "text")
        >>> path.read_text(), oct(path.stat().st_mode & 0o777)
        ('text', '0o600')

    """
    data = content.encode() if isinstance(content, str) else content
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return path
