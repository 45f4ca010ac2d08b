"""The embedded platform survives what happens to processes, ports and files."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from tests.integration.platform_embedded.helpers import (
    eventually,
    make,
    maker,
    processes,
    supervisors,
)

from infometis_platform_embedded import Embedded
from infometis_platform_embedded.life import parts
from infometis_sdk.errors import PlatformError
from infometis_sdk.model.run import Run
from infometis_sdk.testing.platform_contract import cluster_uid, get_note, put_note

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infometis_platform_embedded.platform import EmbeddedPlatform

pytestmark = pytest.mark.integration


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """Give the state directory of a cluster, which is destroyed at the end."""
    folder = tmp_path / "cluster"
    yield folder
    make(folder).destroy(Run.within(300))
    assert processes(folder) == {}


@pytest.fixture
def running(state_dir: Path, embedded_access: object) -> EmbeddedPlatform:
    """Give a running detached cluster with a note in it."""
    del embedded_access  # where it cannot be had, nor can this
    platform = make(state_dir)
    put_note(platform.ensure(Run.within(300)), "kept")
    return platform


@pytest.mark.parametrize(
    "part",
    [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kwok",
        "provisioner",
    ],
)
def test_a_killed_part_comes_back(running: EmbeddedPlatform, state_dir: Path, part: str) -> None:
    """The supervisor restarts a part that was killed, and the data is there."""
    pid = parts(running._layout)[part]["pid"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: parts(running._layout)[part].get("pid", pid) != pid)
    eventually(lambda: running.status().phase == "ready")
    assert get_note(running.connect()) == "kept"
    assert len(supervisors(state_dir)) == 1


def test_a_killed_supervisor_takes_its_parts_along(
    running: EmbeddedPlatform, state_dir: Path
) -> None:
    """No part outlives a killed supervisor, and ensure brings the same cluster back."""
    uid = cluster_uid(running.connect())
    os.kill(supervisors(state_dir)[0], signal.SIGKILL)
    eventually(lambda: processes(state_dir) == {})
    assert running.status().phase == "stopped"
    with pytest.raises(PlatformError, match="stopped"):
        running.connect()
    access = running.ensure(Run.within(300))
    assert cluster_uid(access) == uid
    assert get_note(access) == "kept"


@pytest.mark.parametrize("victims", ["parent", "parent and supervisor"])
def test_an_ephemeral_cluster_dies_with_its_parent(
    state_dir: Path, embedded_access: object, victims: str
) -> None:
    """Nothing of an ephemeral cluster runs on after its parent was killed."""
    del embedded_access
    with maker(state_dir, "ephemeral") as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline()
        data = json.loads((state_dir / "plan.json").read_text())["data"]
        alone = supervisors(state_dir)
        parent.kill()
        if victims != "parent":
            os.kill(alone[0], signal.SIGKILL)
    eventually(lambda: processes(state_dir) == {})
    if victims == "parent":
        eventually(lambda: not state_dir.exists())
        assert not os.path.lexists(os.path.dirname(data))  # noqa: PTH120
    else:
        platform = make(state_dir, Embedded(lifetime="ephemeral"))
        platform.ensure(Run.within(300))
        platform.destroy(Run.within(300))
        assert not os.path.lexists(os.path.dirname(data))  # noqa: PTH120


def test_an_ephemeral_cluster_ends_with_a_parent_that_ends_well(
    state_dir: Path, embedded_access: object
) -> None:
    """Nothing of an ephemeral cluster is left when its parent just ends."""
    del embedded_access
    with maker(state_dir, "ephemeral", after="end"):
        pass
    eventually(lambda: processes(state_dir) == {} and not state_dir.exists())


def test_two_processes_end_with_one_cluster(state_dir: Path, embedded_access: object) -> None:
    """Two processes that ensure one cluster at once both get it, and one supervisor runs."""
    del embedded_access
    with maker(state_dir, "detached", "end") as one, maker(state_dir, "detached", "end") as other:
        assert one.stdout is not None
        assert other.stdout is not None
        assert one.stdout.read() == other.stdout.read() != ""
    assert len(supervisors(state_dir)) == 1


def test_an_ensure_killed_at_any_time_can_be_repeated(
    state_dir: Path, embedded_access: object
) -> None:
    """SIGKILL in the middle of ensure leaves nothing that the next ensure cannot complete."""
    del embedded_access
    for seconds in (0.4, 0.7, 1.5, 3.0):
        with maker(state_dir, "detached") as process:
            time.sleep(seconds)
            process.kill()
    platform = make(state_dir)
    assert cluster_uid(platform.ensure(Run.within(300)))
    assert len(supervisors(state_dir)) == 1


def test_a_taken_port_is_left_to_its_owner(running: EmbeddedPlatform, state_dir: Path) -> None:
    """A cluster whose port was taken while it was stopped goes on, with its data, on another."""
    ports = json.loads((state_dir / "plan.json").read_text())["ports"]
    running.stop(Run.within(300))
    with socket.create_server(("127.0.0.1", ports["api"])):
        access = running.ensure(Run.within(300))
        assert get_note(access) == "kept"
        assert json.loads((state_dir / "plan.json").read_text())["ports"]["api"] != ports["api"]


def test_a_taken_fixed_port_is_an_error(state_dir: Path, embedded_access: object) -> None:
    """A port that the user chose and another program has is named in the error, with the program.

    Doctor finds the same, and nothing is left behind.
    """
    del embedded_access
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        platform = make(state_dir, Embedded(port=port))
        who = rf"127\.0\.0\.1:{port} is taken by .* \(process {os.getpid()}\)"
        with pytest.raises(PlatformError, match=who) as refused:
            platform.ensure(Run.within(300))
        assert "`port: 0`" in refused.value.hint
        found = {each.check: each for each in platform.preflight()}
        assert re.fullmatch(who, found[f"port {port}"].detail)
    assert platform.status().phase == "absent"


@pytest.mark.parametrize("content", ["", "garbage", "[1]", '{"pid": 1, "start": "1", "boot": ""}'])
def test_a_spoilt_pid_file_is_mended(
    running: EmbeddedPlatform, state_dir: Path, content: str
) -> None:
    """A pid file that somebody spoilt neither hides the cluster nor makes a second one."""
    uid = cluster_uid(running.connect())
    before = supervisors(state_dir)
    (state_dir / "supervisor.pid").write_text(content)
    assert cluster_uid(running.ensure(Run.within(300))) == uid
    assert supervisors(state_dir) == before


@pytest.mark.parametrize("changed", ["start", "boot"])
def test_a_number_of_another_process_is_not_ours(
    running: EmbeddedPlatform, state_dir: Path, changed: str
) -> None:
    """A pid that another process has now, or had before a restart, is neither trusted nor hurt."""
    with subprocess.Popen(["sleep", "60"]) as stranger:
        old = json.loads((state_dir / "supervisor.pid").read_text())
        running.stop(Run.within(300))
        forged = old | {"pid": stranger.pid, changed: "1"}
        (state_dir / "supervisor.pid").write_text(json.dumps(forged))
        assert running.status().phase == "stopped"
        assert get_note(running.ensure(Run.within(300))) == "kept"
        running.destroy(Run.within(300))
        assert stranger.poll() is None
        stranger.kill()


def test_a_removed_state_directory_ends_the_cluster(
    running: EmbeddedPlatform, state_dir: Path
) -> None:
    """Who removes the directory by hand leaves no processes behind."""
    assert running.status().phase == "ready"
    subprocess.run(["rm", "-rf", str(state_dir)], check=False)
    eventually(lambda: processes(state_dir) == {})


def test_a_state_directory_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    """A file where a directory is needed is a PlatformError that names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(PlatformError, match="file"):
        make(tmp_path / "file" / "cluster").ensure(Run.within(10))


def test_a_part_that_dies_again_and_again_is_named(
    state_dir: Path, tmp_path: Path, embedded_access: object
) -> None:
    """Ensure gives up on a part that cannot run, with its last words."""
    del embedded_access
    broken = tmp_path / "bin" / "etcd"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho out of luck\nexit 3\n")
    broken.chmod(0o755)
    platform = make(state_dir, Embedded(assets=str(broken.parent)))
    with pytest.raises(PlatformError, match=r"etcd .* code 3") as caught:
        platform.ensure(Run.within(300))
    assert "out of luck" in caught.value.hint
    assert platform.status().phase == "failed"
