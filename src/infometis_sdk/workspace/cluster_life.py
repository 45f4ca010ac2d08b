"""What a platform may be able to do with its cluster besides making and removing it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from infometis_sdk.errors import InfometisError, PlatformError, UnreachableError
from infometis_sdk.ports.platform import ClusterBackup, DryRun, ExportImages, LoadImages, Upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from infometis_sdk.model.run import Run
    from infometis_sdk.workspace.stack import Stack

__all__ = (
    "BACKUP",
    "backup_cluster",
    "export_images",
    "load_images",
    "restore_cluster",
    "steps",
    "telling_how_it_is",
    "upgrade_cluster",
)

BACKUP = "backup"
"""The verb of the record of a backup, by which the gate ``backup`` knows it."""


def steps(stack: Stack) -> tuple[str, ...]:
    """Return what ``up`` would do to make or start the cluster, one line a step.

    Raises:
        PlatformError: the platform cannot say, or something stands in the way.

    """
    platform = stack.platform
    if not isinstance(platform, DryRun):
        hint = "'infometis doctor' looks for what is in the way, 'infometis up' does it"
        raise _unable(stack, "say beforehand what it would do", hint)
    return platform.steps()


@contextmanager
def telling_how_it_is(stack: Stack) -> Iterator[None]:
    """Say of a cluster that does not answer what its platform knows of it, and the cure.

    Raises:
        UnreachableError: it does not answer.

    """
    try:
        yield
    except UnreachableError as error:
        try:
            status = stack.platform.status()
        except InfometisError:
            raise error from None  # the platform knows no more
        if status.phase in ("ready", "starting"):
            raise
        said = ": ".join(filter(None, (status.phase, status.detail)))
        msg = f"the cluster of {stack.name} does not answer, and is {said}"
        hint = error.hint
        if stack.platform.owned and status.phase != "failed":
            hint = f"'infometis up -e {stack.name}' brings it back"
        raise UnreachableError(msg, status=error.status, ref=error.ref, hint=hint) from error


def load_images(stack: Stack, images: Sequence[str | Path], run: Run) -> None:
    """Put images that are here on every node.

    Args:
        stack: on whose cluster.
        images: names in the local container engine, or paths of archives.
        run: deadline, events, cancel token.

    Raises:
        PlatformError: the platform cannot, or an image is not there.

    """
    platform = stack.platform
    if not isinstance(platform, LoadImages):
        raise _unable(stack, "load images")
    platform.load_images(images, run)


def export_images(stack: Stack, images: Sequence[str], folder: Path, run: Run) -> tuple[Path, ...]:
    """Write images of the local container engine into a folder, with their checksums.

    Args:
        stack: whose platform knows the engine.
        images: names in that engine.
        folder: where the archives go, and ``SHA256SUMS``.
        run: deadline, events, cancel token.

    Raises:
        PlatformError: the platform cannot, or an image is not there.

    """
    platform = stack.platform
    if not isinstance(platform, ExportImages):
        raise _unable(stack, "export images")
    return platform.export_images(images, folder, run)


def upgrade_cluster(stack: Stack, run: Run, *, confirm_name: str = "", reason: str = "") -> None:
    """Bring the cluster to the version that the environment names.

    Raises:
        PlatformError: the platform cannot, or the way is too far.
        ProtectedError: the environment is protected and its name was not given.

    """
    platform = stack.platform
    if not isinstance(platform, Upgrade):
        raise _unable(stack, "upgrade its cluster")
    with stack.ending("cluster upgrade", confirm_name=confirm_name, reason=reason):
        platform.upgrade(run)


def backup_cluster(stack: Stack, folder: Path, run: Run) -> Path:
    """Write an archive of the control plane into a folder; what pods wrote is not in it.

    It is recorded, since the gate ``backup`` of a promotion goes by the audit.

    Raises:
        PlatformError: the platform cannot.
        AuditError: it cannot be recorded.

    """
    platform = stack.platform
    if not isinstance(platform, ClusterBackup):
        raise _unable(stack, "back up its cluster")
    with stack.audit.ending(BACKUP):
        return platform.backup_cluster(folder, run)


def restore_cluster(
    stack: Stack, archive: Path, run: Run, *, confirm_name: str = "", reason: str = ""
) -> None:
    """Bring the control plane back as it was when the archive was written.

    Raises:
        PlatformError: the platform cannot, or the archive is not of this cluster.
        ProtectedError: the environment is protected and its name was not given.

    """
    platform = stack.platform
    if not isinstance(platform, ClusterBackup):
        raise _unable(stack, "restore its cluster")
    with stack.ending("cluster restore", confirm_name=confirm_name, reason=reason):
        platform.restore_cluster(archive, run)


def _unable(stack: Stack, what: str, hint: str = "") -> PlatformError:
    return PlatformError(f"platform {stack.chosen.name} cannot {what}", hint=hint)
