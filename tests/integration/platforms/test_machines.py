"""The machines of these tests: several farms at once, and nothing left of any."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import machines
from tests.k0s_hosts import needs_machines
from tests.machines import Machines

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

_ROOT = Path(__file__).parents[3]
_HOLDER = """
import sys, time
from pathlib import Path
from tests.machines import Machines
with Machines(Path(sys.argv[1])) as farm:
    farm.add("left")
    print(farm.number, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _needed() -> None:
    needs_machines()


def _traces(number: int) -> Iterator[str]:
    """Yield what there is of a farm of that number."""
    for argv in (["ip", "-o", "link"], ["ip", "netns", "list"], ["cat", "/proc/mounts"]):
        shown = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        for line in shown.splitlines():
            words = {word.rstrip(":") for word in line.split()}
            ours = {f"im{number}", f"infometis-tests-{number}"}
            if words & ours or any(word.startswith(f"im{number}-") for word in words):
                yield line


def test_two_farms_at_once(tmp_path: Path) -> None:
    """One process may have several farms: neither name nor address of one is the other's."""
    with Machines(tmp_path / "one") as one, Machines(tmp_path / "two") as two:
        first, second = one.add("first"), two.add("second")
        assert first.address != second.address
        assert first.ssh("hostname").stdout == "first\n"
        assert second.ssh("hostname").stdout == "second\n"
        numbers = (one.number, two.number)
        assert all(list(_traces(each)) for each in numbers)
    assert [list(_traces(each)) for each in numbers] == [[], []]


def test_a_farm_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made before the fault is removed, and so is a machine that never came up."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("ip", "mount", "umount", "cat"):
        (tools / name).symlink_to(str(shutil.which(name)))
    before = Path("/proc/mounts").read_text()
    farm = Machines(tmp_path / "farm")
    with monkeypatch.context() as lacking:
        lacking.setenv("PATH", str(tools))
        with pytest.raises(FileNotFoundError, match="ssh-keygen"), farm:
            pass
    assert farm.number >= 0
    assert Path("/proc/mounts").read_text() == before

    with Machines(tmp_path / "farm", [Path("/is/not/there")]) as farm:
        with pytest.raises(RuntimeError, match="does not start"):
            farm.add("never")
        assert list(_traces(farm.number))
    assert list(_traces(farm.number)) == []


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    """Machines die with their process; their bridge, networks and disk go with the next run."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path / "farm")],
        cwd=_ROOT,
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    number = int(holder.stdout.readline())
    machines.sweep()
    assert list(_traces(number)), "a farm whose process lives was swept"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert list(_traces(number)), "nothing was left that could be swept"
    machines.sweep()
    assert list(_traces(number)) == []
