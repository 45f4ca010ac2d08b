"""Where the makers of each part publish it, with a checksum beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_platform_embedded.binaries.versions import ETCD, KUBERNETES_PARTS, KWOK, target
from infometis_sdk.machine import DownloadError, Downloads, Source

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ("download", "source")

_RELEASES = "https://github.com"
_RECORDS = "https://api.github.com/repos"


def source(part: str, kubernetes: str, mirror: str = "") -> Source:
    """Return where a part is published for this machine; a mirror has the makers' file names."""
    system, architecture = target()
    mirror = mirror.rstrip("/")
    if part in KUBERNETES_PARTS:
        base = mirror + "/kubernetes" if mirror else "https://dl.k8s.io/release"
        url = f"{base}/{kubernetes}/bin/{system}/{architecture}/{part}"
        return Source(url=url, checksum=f"{url}.sha256")
    if part == "etcd":
        base = mirror + "/etcd" if mirror else f"{_RELEASES}/etcd-io/etcd/releases/download"
        stem = f"etcd-{ETCD}-{system}-{architecture}"
        return Source(
            url=f"{base}/{ETCD}/{stem}.tar.gz",
            checksum=f"{base}/{ETCD}/SHA256SUMS",
            member=f"{stem}/etcd",
        )
    file = f"kwok-{system}-{architecture}"
    if mirror:
        url = f"{mirror}/kwok/{KWOK}/{file}"
        return Source(url=url, checksum=f"{url}.sha256")
    return Source(
        url=f"{_RELEASES}/kubernetes-sigs/kwok/releases/download/{KWOK}/{file}",
        # kwok publishes no checksum file; the forge records the digest of each file of a release
        checksum=f"{_RECORDS}/kubernetes-sigs/kwok/releases/tags/{KWOK}",
    )


def download(downloads: Downloads, part: str, kubernetes: str, mirror: str, cache: Path) -> str:
    """Put a part into the cache; return why that was not possible, or nothing."""
    system, _ = target()
    if system != "linux" and not mirror:
        return f"official download: nothing is published for {system}"
    found = source(part, kubernetes, mirror)
    try:
        downloads.get(found, cache / part, subject=part)
    except DownloadError as error:
        return f"official download of {part} from {found.url}: {error}"
    return ""
