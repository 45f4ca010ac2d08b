"""What the tests of the embedded platform share."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conftest import cache_dir

from infometis_platform_embedded import Embedded
from infometis_platform_embedded.platform import EmbeddedPlatform
from infometis_sdk.ports.platform import PlatformContext

if TYPE_CHECKING:
    from collections.abc import Callable

# A program that ensures a cluster, says so, and waits for its end.
MAKER = """
import pathlib, sys, time
from infometis_platform_embedded import Embedded
from infometis_platform_embedded.platform import EmbeddedPlatform
from infometis_sdk.model.run import Run
from infometis_sdk.ports.platform import PlatformContext
state, cache, lifetime, after = sys.argv[1:]
context = PlatformContext(
    cluster="other", state_dir=pathlib.Path(state), cache_dir=pathlib.Path(cache)
)
access = EmbeddedPlatform(Embedded(lifetime=lifetime), context).ensure(Run.within(300))
print(access.kubeconfig, flush=True)
if after == "wait":
    time.sleep(300)
"""


def make(state_dir: Path, settings: Embedded | None = None) -> EmbeddedPlatform:
    """Return the platform of a cluster of that state directory."""
    context = PlatformContext(cluster="other", state_dir=state_dir, cache_dir=cache_dir())
    return EmbeddedPlatform(settings or Embedded(), context)


def maker(state_dir: Path, lifetime: str, after: str = "wait") -> subprocess.Popen[str]:
    """Start :data:`MAKER`."""
    command = [sys.executable, "-c", MAKER, str(state_dir), str(cache_dir()), lifetime, after]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def processes(state_dir: Path) -> dict[int, list[str]]:
    """Return the command line of each process that names the state directory."""
    found = {}
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            continue
        runs = folder.name.isdigit() and state not in "ZX" and MAKER not in words
        if runs and any(str(state_dir) in word for word in words):
            found[int(folder.name)] = words
    return found


def supervisors(state_dir: Path) -> list[int]:
    """Return the supervisors among those processes."""
    return [pid for pid, words in processes(state_dir).items() if "supervisor" in words]


def eventually(check: Callable[[], object], seconds: float = 240.0) -> None:
    """Wait until the check holds."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)
