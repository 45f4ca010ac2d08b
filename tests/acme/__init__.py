"""A genuine ACME server for tests: Pebble, from the Go modules in ``gosrc``, beside a Traefik.

It validates for real: it looks names up, at a name server of the test which sends every name to
the host where all of this runs, and asks Traefik there for what it had it promise.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import trustme
from tests.traefik_outside import eventually

from infometis_platform_embedded.binaries.gobuild import toolchains
from infometis_platform_embedded.locks import hold

if TYPE_CHECKING:
    from tests.neighbours import Neighbour

__all__ = ("Pebble", "pebble")

_SOURCE = Path(__file__).with_name("gosrc")
_PORT, _MANAGEMENT, _NAMES = 14000, 15000, 8053
# Answers every question for an A record with the loopback address of the host it runs on;
# over TCP, which is how Pebble asks: each message has its length in front (RFC 1035, 4.2.2).
_NAME_SERVER = f"""
import socket, socketserver

class Names(socketserver.StreamRequestHandler):
    def handle(self):
        while length := int.from_bytes(self.rfile.read(2)):
            asked = self.rfile.read(length)
            end = asked.index(b"\\0", 12) + 5
            known = asked[end - 4:end - 2] == b"\\0\\1"
            answer = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\0\\0\\4\\x7f\\0\\0\\1" if known else b""
            counts = b"\\0\\1" + (b"\\0\\1" if known else b"\\0\\0") + b"\\0\\0\\0\\0"
            told = asked[:2] + b"\\x85\\x80" + counts + asked[12:end] + answer
            self.wfile.write(len(told).to_bytes(2) + told)

socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", {_NAMES}), Names).serve_forever()
"""


def pebble(cache_dir: Path) -> Path:
    """Return the program, built the first time; the cache is shared by all test runs.

    Raises:
        RuntimeError: there is no Go toolchain, or a module cannot be had.

    """
    files = sorted(path for path in _SOURCE.iterdir() if path.is_file())
    content = b"\0".join(path.read_bytes() for path in files)
    folder = cache_dir / "tests" / f"pebble-{hashlib.sha256(content).hexdigest()[:16]}"
    with hold(folder.with_name(f".{folder.name}.lock"), lambda _: None):
        if not folder.exists():
            _build(folder)
    return folder / "pebble"


def _build(folder: Path) -> None:
    go = next((go for go, why in toolchains() if not why), None)
    if go is None:
        msg = "no Go toolchain; install infometis-platform-embedded[go]"
        raise RuntimeError(msg)
    with tempfile.TemporaryDirectory(prefix=".pebble-", dir=folder.parent) as made:
        out = Path(made, "bin")
        words = ["build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", "-s -w"]
        done = subprocess.run(
            [str(go), *words, "-o", f"{out}/", "tool"],
            cwd=_SOURCE,
            env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            msg = f"{go} build of pebble: {done.stderr[-2000:]}"
            raise RuntimeError(msg)
        out.rename(folder)


class Pebble:
    """One ACME server on a host; use it as a context.

    Args:
        program: from :func:`pebble`.
        folder: for its configuration and its log.
        host: where it runs, and where what it validates answers.
        http, https: ports at which it asks for what it had promised.

    Attributes:
        directory: URL for clients on the host.
        authority: PEM file that signs the server's own certificate.

    """

    directory = f"https://127.0.0.1:{_PORT}/dir"

    def __init__(
        self, program: Path, folder: Path, host: Neighbour, *, http: int, https: int
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.authority = folder / "server-ca.pem"
        self._program, self._folder, self._host = program, folder, host
        self._ports = {"httpPort": http, "tlsPort": https}
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        signer = trustme.CA()
        signer.cert_pem.write_to_path(str(self.authority))
        own = signer.issue_cert("127.0.0.1")
        own.private_key_pem.write_to_path(str(self._folder / "server.key"))
        own.cert_chain_pems[0].write_to_path(str(self._folder / "server.crt"))
        config = {
            "listenAddress": f"127.0.0.1:{_PORT}",
            "managementListenAddress": f"127.0.0.1:{_MANAGEMENT}",
            "certificate": str(self._folder / "server.crt"),
            "privateKey": str(self._folder / "server.key"),
            **self._ports,
        }
        (self._folder / "config.json").write_text(json.dumps({"pebble": config}))
        # Without these it would wait at random, and refuse at random what is right.
        environ = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
        names = [sys.executable, "-I", "-c", _NAME_SERVER]
        self._running.append(self._host.start(names, self._folder / "names.log", environ))
        words = ["-config", str(self._folder / "config.json")]
        words += ["-dnsserver", f"127.0.0.1:{_NAMES}", "-strict=false"]
        served = self._host.start(
            [str(self._program), *words], self._folder / "pebble.log", environ
        )
        self._running.append(served)
        for port in (_NAMES, _PORT):
            eventually(partial(self._listens, port), bool, f"nobody listens on {port}")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.kill()
            process.wait()

    def log(self) -> str:
        """Return what it said."""
        return (self._folder / "pebble.log").read_text(errors="replace")

    def _listens(self, port: int) -> bool:
        try:
            self._host.connect(("127.0.0.1", port)).close()
        except OSError:
            return False
        return True
