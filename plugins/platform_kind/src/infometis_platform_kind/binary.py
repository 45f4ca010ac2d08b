"""How the kind program is had: named, found in the cache or on PATH, downloaded, or built."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from infometis_platform_kind.releases import KIND
from infometis_sdk.errors import DeadlineError, MissingPartError
from infometis_sdk.machine import Command, DownloadError, Downloads, Source, hold
from infometis_sdk.model.run import Event, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_platform_kind.settings import Kind

__all__ = ("find_kind", "known_kind")

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_MODULE = f"sigs.k8s.io/kind@{KIND}"
_SECONDS = 60.0  # for a program to say its version


def known_kind(settings: Kind, cache_dir: Path, command: Command, run: Run) -> tuple[str, str]:
    """Return the program if it is here, and otherwise why none of those here will do."""
    tried = []
    for path, exact in _places(settings, cache_dir):
        why = _unfit(path, command, run, exact=exact)
        if not why:
            return path, ""
        tried.append(why)
        if path == settings.binary:
            break  # who names one wants that one
    return "", "; ".join(tried) or "no kind on PATH"


def find_kind(settings: Kind, cache_dir: Path, command: Command, run: Run) -> str:
    """Return the path of the program, getting it where it is not here.

    Raises:
        MissingPartError: every way failed; ``tried`` says why.

    """
    found, why = known_kind(settings, cache_dir, command, run)
    if found:
        return found
    if settings.binary:
        msg = f"the kind program that the settings name will not do: {why}"
        raise MissingPartError(msg, hint=f"name one of release {KIND}, or leave `binary` out")
    target = _cached(cache_dir)
    with hold(target.with_name(".lock"), run, f"kind {KIND}"):
        found, _ = known_kind(settings, cache_dir, command, run)
        if found:
            return found
        tried = [why]
        for way in (_download, _build):
            problem = way(target, command, run)
            if not problem:
                return str(target)
            run.emit(Event(name="find part", subject="kind", state="skipped", detail=problem))
            tried.append(problem)
    msg = f"kind {KIND} cannot be had on this machine"
    hint = f"put kind {KIND} on PATH, or name it with `binary`"
    raise MissingPartError(msg, tried=tuple(tried), hint=hint)


def _cached(cache_dir: Path) -> Path:
    return cache_dir / "kind" / KIND / "kind"


def _places(settings: Kind, cache_dir: Path) -> Iterator[tuple[str, bool]]:
    """Yield each program that may be here, and whether it must be the pinned release."""
    if settings.binary:
        yield str(Path(settings.binary).expanduser()), False
        return
    cached = _cached(cache_dir)
    if os.access(cached, os.X_OK):
        yield str(cached), True
    on_path = shutil.which("kind")
    if on_path:
        # The images that are pinned belong to one release; with an image of one's own any will do.
        yield on_path, not settings.image


def _unfit(path: str, command: Command, run: Run, *, exact: bool) -> str:
    """Return why a program cannot be taken; nothing if it can."""
    try:
        done = command([path, "version"], Run.within(run.remaining(_SECONDS), cancel=run.cancel))
    except MissingPartError as error:
        return error.message
    except DeadlineError:
        run.check("asking kind for its version")
        return f"{path} does not say its version"
    found = re.search(r"kind (v\d+\.\d+\.\d+\S*)", done.stdout)
    if not done.ok or found is None:
        return f"{path} does not say its version: {done.tail(1)}"
    if exact and found[1] != KIND:
        return f"{path} is {found[1]}, and node images are pinned for {KIND}"
    return ""


def _download(target: Path, command: Command, run: Run) -> str:
    del command
    machine = platform.machine().lower()
    name = f"kind-{platform.system().lower()}-{_ARCHITECTURES.get(machine, machine)}"
    url = f"https://github.com/kubernetes-sigs/kind/releases/download/{KIND}/{name}"
    try:
        source = Source(url=url, checksum=f"{url}.sha256sum")
        Downloads(run).get(source, target, subject=f"kind {KIND}")
    except DownloadError as error:
        return f"official download from {url}: {error}"
    return ""


def _build(target: Path, command: Command, run: Run) -> str:
    """Build it from its Go module, which the checksum database vouches for."""
    wheel = Path(sysconfig.get_path("scripts")) / "go"
    go = shutil.which("go") or (str(wheel) if wheel.exists() else "")
    if not go:
        return f"build of {_MODULE}: no go on PATH"
    run.emit(Event(name="build", subject=f"kind {KIND}", state="started", detail=go))
    environment = {"GOBIN": str(target.parent), "GOFLAGS": "", "CGO_ENABLED": "0", "GOWORK": "off"}
    done = command([go, "install", "-trimpath", _MODULE], run, env=environment)
    state = "finished" if done.ok else "failed"
    run.emit(Event(name="build", subject=f"kind {KIND}", state=state, detail=go))
    return "" if done.ok else f"build of {_MODULE}: {done.tail(2)}"
