"""Where etcd keeps its data: in folders that are certain to be ours."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from infometis_platform_embedded.daemon.supervisor import EPHEMERAL_PREFIX
from infometis_platform_embedded.layout import Layout, read_json, write_json
from infometis_sdk.errors import PlatformError

if TYPE_CHECKING:
    from infometis_platform_embedded.settings import Embedded

__all__ = ("make", "remove")

_OWNER = "owner.json"


def make(layout: Layout, settings: Embedded, cluster: str) -> str:
    """Make the folder around the data; return the path of the data itself."""
    chosen = Path(settings.data_dir).expanduser() if settings.data_dir else None
    if settings.lifetime == "ephemeral":
        return str(Path(tempfile.mkdtemp(prefix=EPHEMERAL_PREFIX, dir=chosen)) / "etcd")
    if chosen is None:
        layout.data.mkdir(exist_ok=True, mode=0o700)
        return str(layout.data / "etcd")
    folder = chosen / cluster
    if folder.exists() and not _is_marked(folder, layout):
        msg = f"data_dir: {folder} is there already and belongs to another cluster"
        raise PlatformError(msg, hint="choose another data_dir, or remove that folder")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_json(folder / _OWNER, _mark(layout))
    return str(folder / "etcd")


def remove(layout: Layout, data: str) -> None:
    """Remove the data, and the folder around it if that was made for it."""
    folder = Path(data).parent
    if folder.name.startswith(EPHEMERAL_PREFIX) or _is_marked(folder, layout):
        shutil.rmtree(folder, ignore_errors=not folder.exists())


def _mark(layout: Layout) -> dict[str, str]:
    return {"state_dir": str(layout.state_dir)}


def _is_marked(folder: Path, layout: Layout) -> bool:
    return read_json(folder / _OWNER) == _mark(layout)
