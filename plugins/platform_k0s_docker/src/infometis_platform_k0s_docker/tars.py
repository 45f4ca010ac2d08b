"""Tars made piece by piece, so that no archive has to fit into memory."""

from __future__ import annotations

import tarfile
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ("one_file",)

_CHUNK = 1 << 20
_BLOCK = 512


def one_file(name: str, path: Path) -> Iterator[bytes]:
    """Yield the tar that holds one file under a name, readable by root alone.

    Example:
        >>> import io, tempfile; from pathlib import Path
        >>> path = Path(tempfile.mkdtemp()) / "a"; _ = path.write_bytes(b"content")
        >>> tarfile.open(fileobj=io.BytesIO(b"".join(one_file("b", path)))).getnames()
        ['b']

    """
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = path.stat().st_size, 0o600, int(time.time())
    yield info.tobuf()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
    yield bytes(-info.size % _BLOCK + 2 * _BLOCK)
