from __future__ import annotations

import shutil
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from infometis_sdk.errors import DeadlineError
from infometis_sdk.machine import hold, private_folder, write_private
from infometis_sdk.model.run import Event, Run

if TYPE_CHECKING:
    from pathlib import Path


def test_one_at_a_time(tmp_path: Path) -> None:
    """Whoever comes second waits, says so once, and goes on when the first is done."""
    lock = tmp_path / "state" / "lock"
    events: list[Event] = []
    order: list[str] = []
    told = threading.Event()

    def note(event: Event) -> None:
        events.append(event)
        told.set()

    def second() -> None:
        with hold(lock, Run.within(60, emit=note), "cluster"):
            order.append("second")

    with hold(lock, Run.within(60), "cluster"):
        thread = threading.Thread(target=second)
        thread.start()
        assert told.wait(60)
        order.append("first")
        with pytest.raises(DeadlineError), hold(lock, Run.within(0.1), "cluster"):
            raise AssertionError
    thread.join()
    assert order == ["first", "second"]
    assert [(e.name, e.subject) for e in events] == [("wait", "cluster")]
    assert stat.S_IMODE(lock.parent.stat().st_mode) == 0o700


def test_the_holder_may_remove_the_lock(tmp_path: Path) -> None:
    """After the folder is gone with the lock, the next one locks a file that has a name."""
    lock = tmp_path / "state" / "lock"
    with hold(lock, Run.within(60), "cluster"):
        shutil.rmtree(lock.parent)
        with (
            hold(lock, Run.within(60), "cluster"),
            pytest.raises(DeadlineError),
            hold(lock, Run.within(0.1), "cluster"),
        ):
            raise AssertionError


def test_private_files_never_have_another_mode(tmp_path: Path) -> None:
    """Files are 0600 and folders 0700, also those that were there with other modes."""
    folder = tmp_path / "a"
    folder.mkdir(mode=0o755)
    path = folder / "kubeconfig"
    path.write_text("old")
    path.chmod(0o644)
    assert private_folder(folder) == folder
    write_private(path, b"new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.iterdir()) == [path]
