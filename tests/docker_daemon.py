"""A genuine dockerd for tests, apart from the Docker of the machine, and gone without a trace.

It has its own data root, exec root, socket, bridge, control group and pid file,
and needs root, ``dockerd``, ``runc``, ``tini`` (Debian: docker.io), iproute2 and util-linux.
``tests/docker_keeper.py`` says how it is kept and removed.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.claims import claimed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("DockerDaemon", "MissingDockerError", "docker_daemon", "docker_required", "printed")

_KEEPER = Path(__file__).with_name("docker_keeper.py")
_PROGRAMS = ("dockerd", "containerd", "runc", "tini", "ip", "unshare", "setpriv")
_GENUINE = ("INFOMETIS_K0S_IMAGE", "INFOMETIS_KIND_IMAGE")
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


class MissingDockerError(Exception):
    """A daemon cannot be had on this machine; the message says why and what to do."""


def docker_required() -> bool:
    """Whether a missing daemon is an error, not a skip."""
    return bool(os.environ.get("CI")) or os.environ.get("INFOMETIS_REQUIRE_DOCKER") == "1"


class DockerDaemon:
    """One running daemon.

    Attributes:
        root: its folder; everything of it lies below.
        url: what ``DOCKER_HOST`` names.

    """

    def __init__(self, root: Path, keeper: subprocess.Popen[str]) -> None:
        self.root = root
        self.url = f"unix://{root}/docker.sock"
        self._keeper = keeper

    def start(self) -> None:
        """Start it after :meth:`stop` or :meth:`kill`; containers return by restart policy."""
        self._tell("start")

    def stop(self) -> None:
        """Stop it as a service manager does: containers are told to end."""
        self._tell("stop")

    def kill(self) -> None:
        """End it and every container as a power cut does; what is on disk stays."""
        self._tell("kill")

    def restart(self) -> None:
        """Stop and start it."""
        self.stop()
        self.start()

    def client(self) -> Any:
        """Return a client of the docker SDK; the caller closes it."""
        import docker

        return docker.DockerClient(base_url=self.url, timeout=120)

    def environ(self) -> dict[str, str]:
        """Return this process's environment with the daemon named for the docker and kind CLIs."""
        clean = {key: value for key, value in os.environ.items() if key != "DOCKER_CONTEXT"}
        return clean | {"DOCKER_HOST": self.url, "PATH": _path()}

    def log(self) -> str:
        """Return what the daemon said."""
        return (self.root / "log").read_text(errors="replace")

    def _tell(self, command: str) -> None:
        if self._keeper.stdin is None or self._keeper.stdout is None:
            raise AssertionError
        self._keeper.stdin.write(command + "\n")
        self._keeper.stdin.flush()
        line = self._keeper.stdout.readline()
        answer = json.loads(line) if line else {"error": "its keeper died"}
        if "error" in answer:
            raise MissingDockerError(answer["error"])


def printed(container: Any, *argv: str) -> str:
    """Run a program in a container, and return what it prints, which must be something.

    Docker at times loses all that a short-lived program printed, and says that it ended well:
    https://github.com/docker/docker-py/issues/2042.
    """
    for _ in range(10):
        done = container.exec_run(list(argv))
        if done.exit_code or done.output.strip():
            break
    return str(done.output.decode())


@contextlib.contextmanager
def docker_daemon() -> Iterator[DockerDaemon]:
    """Run a daemon of our own while the block runs.

    Raises:
        MissingDockerError: this machine has no such daemon, or forbids it to run.

    """
    if os.geteuid() != 0:
        msg = "a dockerd of the tests' own needs root; run them as root"
        raise MissingDockerError(msg)
    if missing := [name for name in _PROGRAMS if not shutil.which(name, path=_path())]:
        msg = f"not found: {', '.join(missing)}; install docker.io, iproute2 and util-linux"
        raise MissingDockerError(msg)
    with _free_network() as network:
        yield from _kept(network)


def _kept(network: str) -> Iterator[DockerDaemon]:
    """Run a daemon in that network."""
    # Not below pytest's folder: the path of a socket may have no more than 107 letters.
    root = Path(tempfile.mkdtemp(prefix="imt-docker-", dir="/tmp"))
    # Genuine images pull more images from inside their containers.
    egress = "egress" if any(os.environ.get(name) for name in _GENUINE) else "none"
    keeper = subprocess.Popen(
        [sys.executable, "-I", str(_KEEPER), str(root), network, egress],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PATH": _path()},
    )
    try:
        daemon = DockerDaemon(root, keeper)
        daemon.start()
        yield daemon
    finally:
        if keeper.stdin is not None:
            with contextlib.suppress(OSError):
                keeper.stdin.close()
        keeper.wait()
        if keeper.stdout is not None:
            keeper.stdout.close()


def _path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:{_SBIN}"


@contextlib.contextmanager
def _free_network() -> Iterator[str]:
    """Give a /16 that no interface of this machine uses and no other test run is about to."""
    for number in range(128, 240):
        network = ipaddress.ip_network(f"10.{number}.0.0/16")
        with claimed(f"docker-{number}") as free:
            if free and network not in _used():
                yield str(network)
                return
    msg = "every network of 10.128.0.0 to 10.239.0.0 is taken"
    raise MissingDockerError(msg)


def _used() -> set[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    shown = subprocess.run(
        ["ip", "-json", "addr"], capture_output=True, check=True, env={"PATH": _path()}
    )
    return {
        ipaddress.ip_network(f"{each['local']}/16", strict=False)
        for link in json.loads(shown.stdout)
        for each in link.get("addr_info", ())
        if each.get("family") == "inet"
    }
