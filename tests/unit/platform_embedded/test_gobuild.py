from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from infometis_platform_embedded.binaries.gobuild import build, toolchains
from infometis_platform_embedded.binaries.versions import BUILDABLE, PARTS
from infometis_sdk.errors import CancelledError
from infometis_sdk.model.run import CancelToken, Event, Run

# Says what the real command says, in the same places; the real one takes minutes.
GO = """#!/bin/sh
case "$1" in
  env) echo go{version} ;;
  list) echo "go: downloading k8s.io/api v0.36.3" >&2; echo fmt; echo k8s.io/api ;;
  build)
    {act}
    while [ "$1" != -o ]; do shift; done
    echo fmt >&2; echo k8s.io/api >&2
    printf '#!/bin/sh\\n' > "$2"; chmod +x "$2" ;;
esac
"""


def _go(folder: Path, version: str = "1.26.0", act: str = "true") -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "go"
    file.write_text(GO.format(version=version, act=act))
    file.chmod(0o755)
    return file


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Give the folder of the cache."""
    folder = tmp_path / "cache" / "version"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(autouse=True)
def _only_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Find Go commands below the test's folder only."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.setattr("shutil.which", lambda _name: _existing(tmp_path / "path" / "go"))
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path / "wheel"))


def _existing(file: Path) -> str | None:
    return str(file) if file.exists() else None


def test_a_build_tells_how_far_it_is(tmp_path: Path, cache: Path) -> None:
    """A build says what it fetches and how many packages of how many are done."""
    _go(tmp_path / "path")
    told: list[Event] = []
    assert build(BUILDABLE, PARTS, cache, Run(emit=told.append)) == []
    assert all(os.access(cache / part, os.X_OK) for part in PARTS)
    steps = [(event.done, event.total) for event in told if event.name == "build"]
    assert steps[1:] == [(1, 2), (2, 2), (2, 2)]
    assert [event.detail for event in told if event.name == "download"] == ["k8s.io/api v0.36.3"]
    assert [each.name for each in cache.parent.iterdir()] == [cache.name]


def test_the_wheel_is_tried_after_the_path(tmp_path: Path, cache: Path) -> None:
    """A Go on PATH that is too old is told, and the one of the wheel is used."""
    _go(tmp_path / "path", version="1.19.8")
    wheel = _go(tmp_path / "wheel")
    found = list(toolchains())
    assert "too old" in found[0][1]
    assert found[1] == (str(wheel), "")
    assert build(BUILDABLE, PARTS, cache, Run()) == []


def test_a_failed_build_says_why(tmp_path: Path, cache: Path) -> None:
    """The last words of a failed build are the reason, and nothing half-built is left."""
    _go(tmp_path / "path", act="echo no space left on device >&2; exit 1")
    (why,) = [why for why in build(BUILDABLE, PARTS, cache, Run()) if "wheel" not in why]
    assert "no space left on device" in why
    assert list(cache.iterdir()) == []
    assert [each.name for each in cache.parent.iterdir()] == [cache.name]


def _runs(pid: str) -> bool:
    """Whether a process is there, and not only the entry of one that has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def test_a_build_can_be_cancelled(tmp_path: Path, cache: Path) -> None:
    """A cancelled build ends at once, with all processes that it started."""
    pid = tmp_path / "pid"
    _go(tmp_path / "path", act=f"sleep 600 & echo $! > {pid}; echo begun >&2; wait")
    cancel = CancelToken()

    def emit(event: Event) -> None:
        if (event.name, event.state) == ("build", "progress"):
            cancel.cancel()

    with pytest.raises(CancelledError):
        build(BUILDABLE, PARTS, cache, Run(emit=emit, cancel=cancel))
    end = time.monotonic() + 60
    while _runs(pid.read_text().strip()):
        assert time.monotonic() < end, "a process of the build goes on"
        time.sleep(0.05)
    assert [each.name for each in cache.parent.iterdir()] == [cache.name]
