"""Official downloads: each file is checked against the checksum that its makers publish.

A site that cannot be reached costs about a second, once: it is not asked again in the same search.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import secrets
import socket
import tarfile
import threading
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING

from attrs import frozen

from infometis_platform_embedded.binaries.versions import ETCD, KUBERNETES_PARTS, KWOK, target
from infometis_sdk.model.run import Event, Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ("Downloads", "Source", "source")

_CONNECT = 1.2  # seconds, name look-up included
_READ = 30.0
_CHUNK = 1 << 18
_STEP = 1 << 20  # bytes between two events
_SHA256 = re.compile(r"\b[0-9a-fA-F]{64}\b")
_RELEASES = "https://github.com"
_RECORDS = "https://api.github.com/repos"


class _DownloadError(Exception):
    """One part cannot be downloaded; the message says why."""


@frozen(kw_only=True)
class Source:
    """Where one part is published.

    Attributes:
        url: of the file or archive.
        checksum: address of what holds its SHA-256: a bare digest, a list of digests and names,
            or the forge's record of a release.
        member: name of the part in the archive; empty when the file is the part.

    """

    url: str
    checksum: str
    member: str = ""

    @property
    def file(self) -> str:
        """The name of the file."""
        return self.url.rpartition("/")[2]


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


class Downloads:
    """The downloads of one search, which remembers the sites that did not answer."""

    def __init__(self, kubernetes: str, mirror: str, cache: Path, run: Run) -> None:
        self._kubernetes = kubernetes
        self._mirror = mirror
        self._cache = cache
        self._run = run
        self._sites: dict[str, str] = {}

    def get(self, part: str) -> str:
        """Put a part into the cache; return why that was not possible, or nothing."""
        system, _ = target()
        if system != "linux" and not self._mirror:
            return f"official download: nothing is published for {system}"
        found = source(part, self._kubernetes, self._mirror)
        try:
            for url in (found.checksum, found.url):
                self._check_site(url)
            self._fetch(part, found)
        except (_DownloadError, OSError, http.client.HTTPException, tarfile.TarError) as error:
            return f"official download of {part} from {found.url}: {error}"
        return ""

    def _check_site(self, url: str) -> None:
        site = urllib.parse.urlsplit(url)
        key = f"{site.scheme}://{site.netloc}"
        if key not in self._sites:
            self._sites[key] = _unreachable(site)
        if self._sites[key]:
            raise _DownloadError(self._sites[key])

    def _fetch(self, part: str, found: Source) -> None:
        wanted = _digest(_read(found.checksum), found)
        temporary = self._cache / f".{part}.{secrets.token_hex(4)}.tmp"
        try:
            digest = self._load(part, found, temporary)
            if digest != wanted:
                msg = f"its SHA-256 is {digest}, and {found.checksum} says {wanted}"
                raise _DownloadError(msg)
            if found.member:
                _unpack(temporary, found.member)
            temporary.chmod(0o755)
            temporary.replace(self._cache / part)
        finally:
            temporary.unlink(missing_ok=True)
        self._tell(part, found, "finished")

    def _load(self, part: str, found: Source, file: Path) -> str:
        digest = hashlib.sha256()
        self._tell(part, found, "started")
        with _open(found.url) as answer, file.open("wb") as out:
            total = int(answer.headers.get("Content-Length") or 0)
            done = told = 0
            while chunk := answer.read(_CHUNK):
                self._run.check(f"downloading {part}")
                out.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if done - told >= _STEP or done == total:
                    told = done
                    self._tell(part, found, "progress", done, total)
            if done < total:
                msg = f"the connection ended after {done} of {total} bytes"
                raise _DownloadError(msg)
        return digest.hexdigest()

    def _tell(self, part: str, found: Source, state: str, done: int = 0, total: int = 0) -> None:
        self._run.emit(
            Event(
                name="download",
                subject=part,
                state=state,
                detail=found.url,
                done=done,
                total=total,
                unit="bytes",
            )
        )


def _unreachable(site: urllib.parse.SplitResult) -> str:
    """Return why nothing listens at a site, or at the proxy on the way to it; nothing if it does.

    A look-up of a name cannot be given a time limit, so it happens in a thread that may be left.
    """
    host, port = site.hostname or "", site.port or (443 if site.scheme == "https" else 80)
    proxy = urllib.request.getproxies().get(site.scheme)
    if proxy and not urllib.request.proxy_bypass(host):
        way = urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}")
        host, port = way.hostname or "", way.port or 80
    failed: list[str] = ["no answer within a second"]

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=_CONNECT).close()
            failed.clear()
        except OSError as error:
            failed[:] = [error.strerror or str(error)]

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(_CONNECT)
    return f"{host} cannot be reached: {failed[0]}" if failed else ""


def _open(url: str) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": "infometis"})  # noqa: S310
    try:
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_READ)  # noqa: S310
    except urllib.error.HTTPError as error:
        with error:
            msg = f"{url} answers {error.code} {error.reason}"
        raise _DownloadError(msg) from None
    return answer


def _read(url: str) -> str:
    with _open(url) as answer:
        return answer.read(4 << 20).decode(errors="replace")


def _digest(text: str, found: Source) -> str:
    """Find the digest of the file in any of the three forms in which makers publish it."""
    ways: tuple[Callable[[str, str], str], ...] = (_from_record, _from_list)
    for way in ways:
        digest = way(text, found.file)
        if digest:
            return digest.lower()
    msg = f"{found.checksum} holds no SHA-256 of {found.file}"
    raise _DownloadError(msg)


def _from_record(text: str, file: str) -> str:
    try:
        record = json.loads(text)
        digests = {each["name"]: each.get("digest") or "" for each in record["assets"]}
    except (ValueError, KeyError, TypeError):
        return ""
    match = _SHA256.search(str(digests.get(file, "")))
    return match[0] if match else ""


def _from_list(text: str, file: str) -> str:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    for words in lines:
        if _SHA256.fullmatch(words[0]) and words[-1].lstrip("*") == file:
            return words[0]
    bare = len(lines) == 1 and len(lines[0]) == 1 and _SHA256.fullmatch(lines[0][0])
    return lines[0][0] if bare else ""


def _unpack(archive: Path, member: str) -> None:
    """Replace an archive by one of its files."""
    inner = archive.with_name(archive.name + ".part")
    try:
        with tarfile.open(archive) as tar:
            try:
                file = tar.extractfile(member)
            except KeyError:
                file = None
            if file is None:
                msg = f"the archive holds no {member}"
                raise _DownloadError(msg)
            with file, inner.open("wb") as out:
                while chunk := file.read(_CHUNK):
                    out.write(chunk)
        inner.replace(archive)
    finally:
        inner.unlink(missing_ok=True)
