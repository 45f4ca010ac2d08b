"""What will not work here, with the cure, before the first part is started."""

from __future__ import annotations

from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING

from infometis_platform_embedded.binaries import lacking_parts
from infometis_platform_embedded.life import WANTED, full_disk
from infometis_sdk.machine import Machine
from infometis_sdk.ports.platform import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_platform_embedded.settings import Embedded
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.platform import PlatformContext

__all__ = ("check",)


def check(
    settings: Embedded, context: PlatformContext, run: Run, *, running: bool
) -> Iterator[Finding]:
    """Look for the binaries, at the disk and the clock, and at the port unless it is ours.

    Containers are simulated, so that nothing is asked of the kernel.
    """
    version = settings.kubernetes
    if lacking := lacking_parts(settings, context.cache_dir, run):
        detail = f"{', '.join(lacking)} of Kubernetes {version} not here yet"
        cure = "`infometis up` downloads or builds what lacks, once for all clusters"
        yield Finding(check="control plane", level="warning", detail=detail, cure=cure)
    else:
        yield Finding(check="control plane", level="ok", detail=f"Kubernetes {version} is here")
    yield _disk(Path(settings.data_dir).expanduser() if settings.data_dir else context.state_dir)
    yield Machine().clock()
    if settings.port and not running:
        yield from Machine().ports([settings.port])


def _disk(folder: Path) -> Finding:
    there = next(each for each in (folder, *folder.parents) if each.exists())
    free = disk_usage(there).free / 1e6
    if free >= WANTED:
        return Finding(check="disk", level="ok", detail=f"{free:.0f} MB free at {there}")
    lack = full_disk(there, f"etcd wants {WANTED} MB")
    return Finding(check="disk", level="error", detail=lack.message, cure=lack.hint)
