"""Official downloads: each file is checked against the checksum that its makers publish."""

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

from infometis_sdk.model.run import Event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infometis_sdk.model.run import Run

__all__ = ("DownloadError", "Downloads", "Source", "published_digest")

_CONNECT = 1.2  # seconds, name look-up included
_READ = 30.0
_CHUNK = 1 << 18
_STEP = 1 << 20  # bytes between two events
_SHA256 = re.compile(r"\b[0-9a-fA-F]{64}\b")


class DownloadError(Exception):
    """A file cannot be downloaded; the message says why."""


@frozen(kw_only=True)
class Source:
    """Where a file is published.

    Attributes:
        url: of the file or archive.
        checksum: address of what holds its SHA-256: a bare digest, a list of digests and names,
            or the forge's record of a release.
        member: name of what is wanted in the archive; empty when the file itself is.

    """

    url: str
    checksum: str
    member: str = ""

    @property
    def file(self) -> str:
        """The name of the file, as lists of checksums have it."""
        return urllib.parse.unquote(self.url.rpartition("/")[2])


class Downloads:
    """The downloads of one search, which remembers the sites that did not answer.

    A site that cannot be reached costs about a second, once.

    Args:
        run: deadline, events, cancel token.

    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._sites: dict[str, str] = {}

    def get(self, found: Source, path: Path, *, subject: str, mode: int = 0o755) -> None:
        """Put a file, or a member of an archive, at a path; what is there is replaced at the end.

        Args:
            found: where it is published.
            path: where it goes; its folder is there.
            subject: what it is, for events.
            mode: permissions of the file.

        Raises:
            DownloadError: it cannot be had, or is not what its makers published.
            CancelledError, DeadlineError: from ``run``.

        """
        try:
            for url in (found.checksum, found.url):
                self._check_site(url)
            self._fetch(found, path, subject, mode)
        except (OSError, http.client.HTTPException, tarfile.TarError) as error:
            raise DownloadError(str(error)) from error

    def _check_site(self, url: str) -> None:
        site = urllib.parse.urlsplit(url)
        key = f"{site.scheme}://{site.netloc}"
        if key not in self._sites:
            self._sites[key] = _unreachable(site)
        if self._sites[key]:
            raise DownloadError(self._sites[key])

    def _fetch(self, found: Source, path: Path, subject: str, mode: int) -> None:
        wanted = published_digest(_read(found.checksum), found)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            digest = self._load(subject, found, temporary)
            if digest != wanted:
                msg = f"its SHA-256 is {digest}, and {found.checksum} says {wanted}"
                raise DownloadError(msg)
            if found.member:
                _unpack(temporary, found.member)
            temporary.chmod(mode)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        self._tell(subject, found, "finished")

    def _load(self, subject: str, found: Source, file: Path) -> str:
        digest = hashlib.sha256()
        self._tell(subject, found, "started")
        with _open(found.url) as answer, file.open("wb") as out:
            total = int(answer.headers.get("Content-Length") or 0)
            done = told = 0
            while chunk := answer.read(_CHUNK):
                self._run.check(f"downloading {subject}")
                out.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if done - told >= _STEP or done == total:
                    told = done
                    self._tell(subject, found, "progress", done, total)
            if done < total:
                msg = f"the connection ended after {done} of {total} bytes"
                raise DownloadError(msg)
        return digest.hexdigest()

    def _tell(self, subject: str, found: Source, state: str, done: int = 0, total: int = 0) -> None:
        self._run.emit(
            Event(
                name="download",
                subject=subject,
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
        raise DownloadError(msg) from None
    return answer


def _read(url: str) -> str:
    with _open(url) as answer:
        return answer.read(4 << 20).decode(errors="replace")


def published_digest(text: str, found: Source) -> str:
    """Find the SHA-256 of a file in any of the three forms in which makers publish it.

    Example:
        >>> found = Source(url="https://x/kind", checksum="https://x/kind.sha256sum")
        >>> published_digest("ab" * 32 + "  kind", found) == "ab" * 32
        True

    """
    ways: tuple[Callable[[str, str], str], ...] = (_from_record, _from_list)
    for way in ways:
        digest = way(text, found.file)
        if digest:
            return digest.lower()
    msg = f"{found.checksum} holds no SHA-256 of {found.file}"
    raise DownloadError(msg)


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
                raise DownloadError(msg)
            with file, inner.open("wb") as out:
                while chunk := file.read(_CHUNK):
                    out.write(chunk)
        inner.replace(archive)
    finally:
        inner.unlink(missing_ok=True)
