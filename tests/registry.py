"""A genuine container registry on loopback, and images made by hand."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest
from tests.conftest import required

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAMS = ("docker-registry", "registry")
OCI = "application/vnd.oci.image"
PATIENCE = 60.0


def registry_program() -> str:
    """Return the registry's program; ``INFOMETIS_REGISTRY`` names one that is elsewhere."""
    for name in (os.environ.get("INFOMETIS_REGISTRY", ""), *PROGRAMS):
        found = shutil.which(name) if name else None
        if found:
            return found
    reason = f"no container registry: none of {', '.join(PROGRAMS)} is installed"
    if required():
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def serving(folder: Path, **config: Any) -> Iterator[str]:
    """Run a registry with its data below ``folder``; yield ``127.0.0.1:PORT``."""
    program = registry_program()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    http = {"addr": f"127.0.0.1:{port}", **config.pop("http", {})}
    data = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": http,
        **config,
    }
    file = folder / "config.yml"
    file.write_text(json.dumps(data))  # JSON is YAML
    log = (folder / "registry.log").open("wb")
    process = subprocess.Popen(
        [program, "serve", str(file)], stdout=log, stderr=log, env={"PATH": os.environ["PATH"]}
    )
    try:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
            except OSError:
                assert process.poll() is None, (folder / "registry.log").read_text()
                assert time.monotonic() < end, "the registry does not start"
                threading.Event().wait(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)
        log.close()


def htpasswd(folder: Path, user: str, password: str) -> dict[str, Any]:
    """Return the configuration by which a registry wants basic authentication."""
    line = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    (folder / "htpasswd").write_text(f"{user}:{line}\n")
    return {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}


def _send(
    method: str, url: str, data: bytes | None, headers: dict[str, str]
) -> tuple[int, dict[str, str]]:
    request = urllib.request.Request(url, data=data, method=method, headers=headers)  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=PATIENCE) as answer:
        return answer.status, {key.lower(): value for key, value in answer.headers.items()}


class Pusher:
    """Pushes images by hand, through the API."""

    def __init__(self, host: str, authorization: str = "") -> None:
        self.base = f"http://{host}/v2"
        self.headers = {"Authorization": authorization} if authorization else {}

    def blob(self, repository: str, data: bytes, kind: str) -> dict[str, Any]:
        """Push a blob, and return its descriptor."""
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        _, told = _send("POST", f"{self.base}/{repository}/blobs/uploads/", b"", self.headers)
        place = told["location"]
        url = place if place.startswith("http") else self.base.removesuffix("/v2") + place
        joiner = "&" if "?" in url else "?"
        octets = {**self.headers, "Content-Type": "application/octet-stream"}
        _send("PUT", f"{url}{joiner}digest={digest}", data, octets)
        return {"mediaType": kind, "digest": digest, "size": len(data)}

    def manifest(self, repository: str, name: str, document: Any) -> dict[str, Any]:
        """Push a manifest or an index, and return its descriptor."""
        data = json.dumps(document).encode()
        kind = document["mediaType"]
        headers = {**self.headers, "Content-Type": kind}
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        _send("PUT", f"{self.base}/{repository}/manifests/{name or digest}", data, headers)
        return {"mediaType": kind, "digest": digest, "size": len(data)}

    def image(self, repository: str, tag: str, text: str, arch: str = "amd64") -> dict[str, Any]:
        """Push an image of one small layer, and return its descriptor; ``text`` makes it unique."""
        layer = self.blob(repository, text.encode(), f"{OCI}.layer.v1.tar")
        config = {"os": "linux", "architecture": arch, "rootfs": {"type": "layers", "diff_ids": []}}
        described = self.blob(repository, json.dumps(config).encode(), f"{OCI}.config.v1+json")
        document = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": described,
            "layers": [layer],
        }
        return self.manifest(repository, tag, document)

    def index(self, repository: str, tag: str, text: str, *archs: str) -> dict[str, Any]:
        """Push an image for several platforms, and return the descriptor of its index."""
        entries = [
            {
                **self.image(repository, "", f"{text} {arch}", arch),
                "platform": {"os": "linux", "architecture": arch},
            }
            for arch in archs
        ]
        document = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.index.v1+json",
            "manifests": entries,
        }
        return self.manifest(repository, tag, document)
