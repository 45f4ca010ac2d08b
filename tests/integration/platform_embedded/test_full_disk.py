"""A disk that is full is named, and the cluster goes on once there is room again."""

from __future__ import annotations

import subprocess
from shutil import disk_usage
from typing import TYPE_CHECKING

import pytest
from tests.integration.platform_embedded.helpers import eventually, make, processes

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk._adapters.transport import Patience
from infometis_sdk.errors import ClusterError, PlatformError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write
from infometis_sdk.testing.platform_contract import cluster_uid, get_note, put_note

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infometis_sdk.ports.cluster import Cluster

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


class Disk:
    """A file system of its own, whose size can be changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def mount(self, size: str, *options: str) -> bool:
        """Make it, or with ``remount`` change its size."""
        words = ",".join((f"size={size}", *options))
        command = ("mount", "-t", "tmpfs", "-o", words, "tmpfs", str(self.path))
        return not subprocess.run(command, check=False, capture_output=True).returncode

    def fill(self) -> None:
        """Leave no byte."""
        with (self.path / "ballast").open("wb", buffering=0) as ballast:
            while disk_usage(self.path).free:
                ballast.write(bytes(min(1 << 20, disk_usage(self.path).free)))

    def free(self) -> None:
        """Give the room back."""
        (self.path / "ballast").unlink()


@pytest.fixture
def disk(tmp_path: Path, embedded_access: object) -> Iterator[Disk]:
    """A small disk; only root may have one."""
    del embedded_access  # where it cannot be had, nor can this
    small = Disk(tmp_path / "disk")
    if not small.mount("24m"):
        pytest.skip("this user may not mount a small file system")
    yield small
    make(small.path / "cluster").destroy(Run.within(300))
    assert processes(small.path) == {}
    subprocess.run(("umount", str(small.path)), check=True)


def test_a_full_disk_is_named_and_nothing_is_lost(disk: Disk) -> None:
    """Too little room to begin with, or none left later: the error names the disk and the cure."""
    platform = make(disk.path / "cluster")
    with pytest.raises(PlatformError) as caught:
        platform.ensure(Run.within(300))
    told = str(caught.value)
    assert told.startswith(f"the disk of {disk.path}/cluster"), told
    assert "of 25 MB are free" in told
    assert "make 200 MB free there, then run the same command again" in told

    assert disk.mount("300m", "remount")
    access = platform.ensure(Run.within(300))
    put_note(access, "kept")
    uid = cluster_uid(access)

    disk.fill()
    door = open_cluster(access, Patience(established=1.0))
    with pytest.raises(ClusterError):
        write_megabytes(door, 200)
    with pytest.raises(PlatformError, match=rf"^the disk of {disk.path}\S* is full \(0 of 315 MB"):
        platform.ensure(Run.within(300))
    assert platform.status().phase != "ready"

    disk.free()
    again = platform.ensure(Run.within(300))
    assert cluster_uid(again) == uid
    assert get_note(again) == "kept"
    eventually(lambda: platform.status().phase == "ready")


def write_megabytes(door: Cluster, count: int) -> None:
    """Write ConfigMaps that are nearly as large as one may be."""
    for number in range(count):
        meta = {"name": f"filler-{number}", "namespace": "default"}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
        body |= {"data": {"x": "x" * 900_000}}
        write = Write(verb="create", ref=ObjectRef.of(body), body=body, manager="test")
        door.write(write, Run.within(300))
