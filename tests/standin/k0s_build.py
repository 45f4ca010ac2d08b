"""Builds the stand-in for k0s: the program, and a Docker image of it.

``tests/standin/README.md`` says what it is, what it can do, and what it proves.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infometis_platform_embedded.binaries.gobuild import toolchains

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = (
    "BASE",
    "REPOSITORY",
    "VERSION",
    "build_image",
    "build_program",
    "load_base",
    "parts_of_host",
)

VERSION = "v1.36.3+k0s.0"
REPOSITORY = "standin.invalid/k0sproject/k0s"
BASE = "standin.invalid/base:1"
_PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
_LIBEXEC = "usr/libexec/k0s-standin"
_STAGES = Path("plugins/platform_embedded/src/infometis_platform_embedded/data/stages.yaml")
_ROOT = Path(__file__).parents[2]
_APPLETS = (
    "umount",
    "sh",
    "cat",
    "cp",
    "rm",
    "mkdir",
    "ls",
    "head",
    "sleep",
    "stat",
    "timeout",
    "mount",
)

# What the entry point of the genuine image does that can be seen from outside: it takes the role
# from the very words, and where they name no worker, pods do not work afterwards.
_ENTRYPOINT = """#!/bin/sh
if [ -n "${K0S_CONFIG-}" ]; then
  mkdir -p /etc/k0s
  printf %s "$K0S_CONFIG" >/etc/k0s/config.yaml
fi
export K0S_STANDIN_UNFIXED=1
for word in "$@"; do
  case $word in worker | --single | --enable-worker) unset K0S_STANDIN_UNFIXED ;; esac
done
exec "$@"
"""


def build_program(
    folder: Path,
    *,
    version: str = VERSION,
    parts: Path | str = f"/{_LIBEXEC}",
    stages: Path | str = f"/{_LIBEXEC}/stages.yaml",
) -> Path:
    """Build the program ``k0s`` into a folder and return its path.

    Args:
        folder: gets the file ``k0s``.
        version: what it says it is.
        parts: where its Kubernetes parts are, where neither PATH nor its data directory has them;
            ``parts_of_host()`` for a program that runs on this machine.
        stages: the stages of KWOK, which stands for the kubelet.

    """
    go = next((go for go, why in toolchains() if not why), None)
    if go is None:
        msg = "no Go toolchain; install infometis-platform-embedded[go]"
        raise FileNotFoundError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    linked = {"version": version, "parts": str(parts), "stages": str(stages)}
    flags = " ".join(["-s", "-w", *(f"-X main.{key}={value}" for key, value in linked.items())])
    command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags", flags]
    subprocess.run(
        [*command, "-o", str(folder / "k0s"), "."],
        cwd=Path(__file__).with_name("k0s"),
        env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"},
        check=True,
        capture_output=True,
    )
    return folder / "k0s"


def parts_of_host(cache_dir: Path) -> tuple[Path, Path]:
    """Return where this machine has the Kubernetes parts, and the stages of KWOK."""
    found = sorted((cache_dir / "embedded").glob("v*/kube-apiserver"))
    if not found:
        msg = f"no Kubernetes parts below {cache_dir}; start an embedded cluster once"
        raise FileNotFoundError(msg)
    return found[-1].parent, _ROOT / _STAGES


def load_base(client: Any, cache_dir: Path) -> None:
    """Import the image that holds everything but the program ``k0s``, unless it is there."""
    if client.images.list(name=BASE):
        return
    parts, stages = parts_of_host(cache_dir)
    busybox = shutil.which("busybox") or "/bin/busybox"
    files: dict[str, Path] = {
        "bin/busybox": Path(busybox),
        "sbin/tini": Path("/usr/bin/tini-static"),
        f"{_LIBEXEC}/controlplane": (parts / "kube-apiserver").resolve(),
        f"{_LIBEXEC}/stages.yaml": stages,
    }
    links = {f"bin/{name}": "busybox" for name in _APPLETS}
    links |= {f"{_LIBEXEC}/{name}": "controlplane" for name in _PARTS}
    texts = {"entrypoint.sh": _ENTRYPOINT, "etc/passwd": "root:x:0:0:root:/:/bin/sh\n"}
    changes = [
        'ENTRYPOINT ["/sbin/tini", "--", "/entrypoint.sh"]',
        'CMD ["k0s", "controller", "--enable-worker"]',
        "ENV KUBECONFIG=/var/lib/k0s/pki/admin.conf",
        "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]
    repository, _, tag = BASE.rpartition(":")
    tree = _tar(files, links, texts)
    client.api.import_image_from_data(tree, repository=repository, tag=tag, changes=changes)


def build_image(client: Any, folder: Path, *, version: str = VERSION) -> str:
    """Build the image of one version on the base; return its name."""
    name = f"{REPOSITORY}:{version.replace('+', '-')}"
    if client.images.list(name=name):
        return name
    program = build_program(folder / version, version=version)
    context = _tar({"k0s": program}, {}, {"Dockerfile": f"FROM {BASE}\nCOPY k0s /usr/local/bin/\n"})
    client.images.build(fileobj=io.BytesIO(context), custom_context=True, tag=name, rm=True)
    return name


def _tar(files: Mapping[str, Path], links: Mapping[str, str], texts: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("etc", "run", "tmp", "var/lib", "var/log", "etc/ssl/certs", "root"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
        for name, path in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = path.stat().st_size, 0o755
            with path.open("rb") as file:
                archive.addfile(info, file)
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
        for name, text in texts.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text), 0o755
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()
