from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from infometis_sdk.machine import Listener, Machine, listeners

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a machine whose kernel says what the test writes."""
    for name, value in (
        ("proc/sys/fs/inotify/max_user_instances", 8192),
        ("proc/sys/fs/inotify/max_user_watches", 1_048_576),
        ("proc/sys/vm/max_map_count", 1_048_576),
    ):
        _write(tmp_path / name, value)
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    return tmp_path


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{value}\n")


def test_a_taken_port_names_its_process() -> None:
    """Who holds a port is told by name and number, on any of the machine's addresses."""
    for address in ("127.0.0.1", "0.0.0.0"):  # noqa: S104 - nothing is served on it
        with socket.socket() as taken:
            taken.bind((address, 0))
            taken.listen()
            port = taken.getsockname()[1]
            (finding,) = Machine().ports([port])
            assert finding.level == "error"
            assert f"127.0.0.1:{port} is taken by " in finding.detail
            assert f"(process {os.getpid()})" in finding.detail
            assert finding.cure
        (finding,) = Machine().ports([port])
        assert finding.level == "ok"


def test_a_port_taken_on_ipv6_counts() -> None:
    """A listener on all addresses of IPv6 mostly takes those of IPv4 too."""
    with socket.socket(socket.AF_INET6) as taken:
        try:
            taken.bind(("::", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        taken.listen()
        (found,) = listeners({taken.getsockname()[1]})
        assert (found.address, found.pid) == ("::", os.getpid())
        assert found.takes("127.0.0.1")


def test_a_socket_of_somebody_else_is_told_by_its_user(tmp_path: Path) -> None:
    """Where we may not look, the user's number is all that can be told, and it is told."""
    _write(
        tmp_path / "net/tcp",
        "  sl  local_address rem_address   st tx rx tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 0 33 0 4711 1 x\n"
        "   1: 0100007F:0051 00000000:0000 01 00000000:00000000 00:00000000 0 33 0 4712 1 x",
    )
    assert listeners({80, 81}, tmp_path) == (Listener(address="127.0.0.1", port=80, uid=33),)
    assert "user 33" in str(listeners({80}, tmp_path)[0])


def test_other_addresses_do_not_conflict() -> None:
    """Who listens on one address leaves the others to us."""
    assert not Listener(address="127.0.0.2", port=80).takes("127.0.0.1")
    assert Listener(address="::", port=80).takes("::1")


def test_cgroup_versions(root: Path) -> None:
    """Version 1 is an error with its cure; version 2 is well."""
    machine = Machine(root=root)
    assert machine.cgroup().level == "error"
    assert "wsl" in machine.cgroup().cure
    _write(root / "sys/fs/cgroup/cgroup.controllers", "cpu memory")
    assert machine.cgroup().level == "ok"


def test_limits_of_the_kernel(root: Path) -> None:
    """A limit that is too low is told with the command that raises it; unknown ones are not."""
    machine = Machine(root=root)
    assert (machine.inotify().level, machine.map_count().level) == ("ok", "ok")
    _write(root / "proc/sys/fs/inotify/max_user_instances", 128)
    _write(root / "proc/sys/vm/max_map_count", 65530)
    found = machine.inotify(instances=1024)
    assert found.level == "warning"
    assert "fs.inotify.max_user_instances is 128, below 1024" in found.detail
    assert "sudo sysctl -w fs.inotify.max_user_instances=1024" in found.cure
    assert "65530" in machine.map_count().detail
    assert machine.map_count().level == "warning"
    assert Machine(root=root / "nowhere").map_count().level == "ok"


def test_room_on_the_disk(tmp_path: Path) -> None:
    """Too little room is an error; a folder that is not made yet is on its parent's disk."""
    path = tmp_path / "not" / "yet"
    assert Machine().disk(path, percent=0, gib=0).level == "ok"
    assert Machine().disk(path, percent=101).level == "error"
    assert Machine().disk(path, percent=0, gib=1 << 30).level == "error"


def test_clocks() -> None:
    """Clocks further apart than certificates and leases bear are an error."""
    assert Machine().clock().level == "ok"
    assert Machine().clock(time.time() - 5).level == "ok"
    assert Machine().clock(time.time() - 300).level == "error"


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"Driver": "overlay2", "DriverStatus": [["Backing Filesystem", "extfs"]]}, "overlay2"),
        (
            {
                "Driver": "overlayfs",
                "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
            },
            "containerd",
        ),
        ({}, "not known"),
    ],
)
def test_image_stores(info: dict[str, object], expected: str) -> None:
    """The store is read from what Docker tells of itself."""
    assert Machine().image_store(info).detail == expected
