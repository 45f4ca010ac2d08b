"""The daemon of the tests themselves: whole, apart, and gone without a trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.docker_daemon import DockerDaemon

pytestmark = pytest.mark.integration

_PROGRAM = """
import sys
from tests.docker_daemon import docker_daemon

with docker_daemon() as daemon:
    print(daemon.root, flush=True)
    sys.stdin.read()
"""


def test_nothing_is_left_when_the_tests_are_killed(dockerd: DockerDaemon) -> None:
    """SIGKILL of the process that asked for a daemon ends the daemon and removes its files."""
    assert dockerd.root.exists()  # where none can be had, this test is skipped with that reason
    root = Path(__file__).parents[2]
    asking = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    with asking:
        assert asking.stdout is not None
        folder = Path(asking.stdout.readline().decode().strip())
        assert (folder / "docker.sock").is_socket()
        asking.send_signal(signal.SIGKILL)
    end = time.monotonic() + 60
    while (folder.exists() or _of(folder)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not folder.exists()
    assert _of(folder) == []


def _of(folder: Path) -> list[str]:
    """Return the command lines of all processes that name the folder."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            lines.append(line)
    return lines
