"""What a platform can do with its cluster besides making it, and what is recorded of it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from attrs import frozen

import infometis_sdk as im
from infometis_sdk.engine.promoting.gates import backup_gate
from infometis_sdk.errors import PlatformError, UnreachableError
from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.model.run import Run
from infometis_sdk.ports.platform import Access, Platform, PlatformSpec, PlatformStatus
from infometis_sdk.workspace.cluster_life import backup_cluster, telling_how_it_is
from infometis_sdk.workspace.gates import newest_backup

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_sdk.workspace.stack import Stack


@frozen(kw_only=True)
class _Settings:
    full: bool = False
    phase: str = "ready"


class _Keeper(Platform):
    """A platform whose cluster is kept in an archive, as long as there is room for it."""

    def __init__(self, settings: _Settings) -> None:
        self._full = settings.full
        self._phase = settings.phase

    def ensure(self, run: Run) -> Access:
        run.check("making a cluster")
        return Access(kubeconfig=None)

    def status(self) -> PlatformStatus:
        if self._phase == "lost":
            msg = "the engine is gone"
            raise PlatformError(msg)
        return PlatformStatus(phase=self._phase, detail="its data is kept")

    @property
    def owned(self) -> bool:
        return True

    def connect(self) -> Access:
        return Access(kubeconfig=None)

    def destroy(self, run: Run) -> None:
        run.check("destroying")

    def backup_cluster(self, folder: Path, run: Run) -> Path:
        run.check("backing up")
        if self._full:
            msg = "no space left"
            raise PlatformError(msg)
        archive = folder / "archive"
        archive.write_bytes(b"etcd")
        return archive

    def restore_cluster(self, archive: Path, run: Run) -> Access:
        run.check(f"restoring {archive}")
        return Access(kubeconfig=None)


class _Plugin:
    @hookimpl
    def infometis_platforms(self) -> tuple[PlatformSpec, ...]:
        return (
            PlatformSpec(
                name="keeper",
                summary="keeps",
                settings=_Settings,
                factory=lambda settings, _: _Keeper(settings),
            ),
        )


def stack(tmp_path: Path, **settings: object) -> Stack:
    """Return a stack on a platform that can back up."""
    environment = im.Environment("uat", platform={"type": "keeper", **settings})
    project = im.Project(name="demo", environments={"uat": environment})
    return im.Workspace(project, plugins=[_Plugin()], state_dir=tmp_path / "state")["uat"]


def test_a_cluster_that_does_not_answer_is_explained_by_its_platform(tmp_path: Path) -> None:
    """What is stopped is told so, with the verb that brings it back; what runs is not made up."""
    refused = UnreachableError("connection refused")
    with (
        pytest.raises(UnreachableError, match="uat does not answer, and is stopped: its") as caught,
        telling_how_it_is(stack(tmp_path, phase="stopped")),
    ):
        raise refused
    assert caught.value.hint == "'infometis up -e uat' brings it back"
    with (
        pytest.raises(UnreachableError, match="connection refused") as kept,
        telling_how_it_is(stack(tmp_path, phase="ready")),
    ):
        raise refused
    assert kept.value is refused
    unknown = UnreachableError("no answer", hint="look at the network")
    with (
        pytest.raises(UnreachableError, match="and is failed: its") as failed,
        telling_how_it_is(stack(tmp_path, phase="failed")),
    ):
        raise unknown
    assert failed.value.hint == unknown.hint  # 'up' may not help here
    with (
        pytest.raises(UnreachableError, match="no answer") as kept,
        telling_how_it_is(stack(tmp_path, phase="lost")),
    ):
        raise unknown
    assert kept.value is unknown


def test_a_backup_opens_its_gate(tmp_path: Path) -> None:
    """What `infometis cluster backup` wrote is on record, and the gate of a promotion sees it."""
    uat = stack(tmp_path)
    assert newest_backup(uat) == ""
    assert backup_cluster(uat, tmp_path, Run.within(60)).read_bytes() == b"etcd"
    newest = newest_backup(uat)
    now = dt.datetime.fromisoformat(newest)
    assert backup_gate(newest, "1h", "uat", now).opened
    assert [e.phase for e in uat.audit.timeline(kind="write").events] == ["begin", "end"]


def test_a_backup_that_failed_opens_nothing(tmp_path: Path) -> None:
    """It is on record as failed."""
    uat = stack(tmp_path, full=True)
    with pytest.raises(PlatformError, match="no space"):
        backup_cluster(uat, tmp_path, Run.within(60))
    assert newest_backup(uat) == ""
    assert uat.audit.timeline().events[-1].result == "failed"
