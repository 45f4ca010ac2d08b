"""The programs of the node: built once for a machine from the Go modules in ``gosrc``.

The control plane is the embedded platform's own.  ``gosrc/go.mod`` names the versions
of every module that the two builds share, so that the second compiles only what the first did not.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from infometis_platform_embedded import Embedded
from infometis_platform_embedded.binaries import find
from infometis_platform_embedded.binaries.gobuild import toolchains
from infometis_platform_embedded.binaries.versions import BUILDABLE
from infometis_platform_embedded.locks import hold
from infometis_sdk.errors import PlatformError
from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("BuildError", "binaries")

_SOURCE = Path(__file__).with_name("gosrc")
_OWN = ("kube", "coredns", "provisioner")
_CONTAINERD = ("containerd", "containerd-shim-runc-v2", "ctr")
_MINUTES = 30 * 60
_TAIL = 2000


class BuildError(Exception):
    """The programs cannot be had on this machine; the message says why."""


def binaries(cache_dir: Path) -> Mapping[str, Path]:
    """Return the path of each program by its name; build them the first time.

    Raises:
        BuildError: there is no Go toolchain, or a module cannot be had.

    """
    try:
        plane = find(Embedded(kubernetes=BUILDABLE), cache_dir, Run.within(_MINUTES))
    except PlatformError as error:
        msg = f"no control plane: {error}"
        raise BuildError(msg) from error
    # The name holds what the programs are made from, so that no stale one is ever taken.
    folder = cache_dir / "tests" / f"node-{_digest()}"
    with hold(folder.with_name(f".{folder.name}.lock"), lambda _: None):
        if not folder.exists():
            _build(folder)
    return {name: Path(path) for name, path in plane.items()} | {
        name: folder / name for name in (*_OWN, *_CONTAINERD)
    }


def _digest() -> str:
    files = sorted(path for path in _SOURCE.rglob("*") if path.is_file())
    content = b"\0".join(each.read_bytes() for each in files)
    return hashlib.sha256(BUILDABLE.encode() + content).hexdigest()[:16]


def _build(folder: Path) -> None:
    go = next((go for go, why in toolchains() if not why), None)
    if go is None:
        msg = "no Go toolchain; install infometis-platform-embedded[go]"
        raise BuildError(msg)
    with tempfile.TemporaryDirectory(prefix=".node-", dir=folder.parent) as made:
        out = Path(made, "bin")
        _compile(go, _SOURCE, out, *(f"./{name}" for name in _OWN))
        _compile(go, _SOURCE / "containerd", out, "tool")  # what its go.mod lists as tools
        out.rename(folder)


def _compile(go: str, module: Path, out: Path, *packages: str) -> None:
    major, minor, _ = BUILDABLE[1:].split(".")
    package = "k8s.io/component-base/version"
    linked = {"gitVersion": BUILDABLE, "gitMajor": major, "gitMinor": minor}
    flags = " ".join(["-s", "-w", *(f"-X {package}.{key}={says}" for key, says in linked.items())])
    done = subprocess.run(
        [
            *(go, "build", "-trimpath", "-buildvcs=false", "-mod=readonly"),
            *("-ldflags", flags, "-o", f"{out}/", *packages),
        ],
        cwd=module,
        # As the control plane is built: the cache is shared only where all settings are equal.
        env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        msg = f"{go} build in {module.name}: {done.stderr[-_TAIL:]}"
        raise BuildError(msg)
