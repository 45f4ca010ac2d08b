"""What Docker may be, or not be: refused with the reason and the cure, before anything is made."""

from __future__ import annotations

import json
import socketserver
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import pytest

from infometis_platform_k0s_docker import K0sDocker
from infometis_platform_k0s_docker.engine import Done, open_engine
from infometis_platform_k0s_docker.nodes import Nodes
from infometis_platform_k0s_docker.plan import Plan
from infometis_platform_k0s_docker.platform import K0sDockerPlatform
from infometis_platform_k0s_docker.preflight import check_docker
from infometis_platform_k0s_docker.troubles import explained, explaining
from infometis_sdk.errors import PlatformError
from infometis_sdk.machine import Machine
from infometis_sdk.model.run import Run
from infometis_sdk.ports.platform import PlatformContext

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

# What the genuine ones answer to /version, shortened to what is looked at.
DOCKER_20 = {
    "Version": "20.10.24",
    "ApiVersion": "1.41",
    "MinAPIVersion": "1.12",
    "Components": [{"Name": "Engine"}, {"Name": "containerd"}, {"Name": "runc"}],
}
DOCKER_19 = {"Version": "19.03.15", "ApiVersion": "1.40", "Components": [{"Name": "Engine"}]}
PODMAN = {
    "Version": "4.3.1",
    "ApiVersion": "1.41",
    "Components": [{"Name": "Podman Engine"}, {"Name": "Conmon"}, {"Name": "OCI Runtime (crun)"}],
}
INFO = {
    "ServerVersion": "20.10.24",
    "OSType": "linux",
    "Architecture": "x86_64",
    "CgroupVersion": "2",
    "Driver": "overlay2",
    "DockerRootDir": "/var/lib/docker-of-nobody",
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=default"],
}


@contextmanager
def answering(folder: Path, version: Mapping[str, Any], info: Mapping[str, Any]) -> Iterator[str]:
    """Answer as that engine does, on a socket of its own; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = version if self.path.endswith("/version") else info
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            del words

        def address_string(self) -> str:
            return "a socket"

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    path = folder / "engine.sock"
    with Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown()
            thread.join()


def _platform(folder: Path, host: str) -> K0sDockerPlatform:
    context = PlatformContext(cluster="c", state_dir=folder / "state", cache_dir=folder)
    return K0sDockerPlatform(K0sDocker(host=host, ports=()), context, environ={})


def test_podman_and_an_old_docker_are_refused_with_the_reason(tmp_path: Path) -> None:
    """Podman speaks Docker's language and is none; a Docker before 20.10 lacks what nodes need."""
    with answering(tmp_path, PODMAN, INFO) as host, pytest.raises(PlatformError) as podman:
        _platform(tmp_path, host).ensure(Run.within(30))
    assert "is Podman" in podman.value.message
    assert "KIND_EXPERIMENTAL_PROVIDER=podman" in podman.value.hint
    (tmp_path / "engine.sock").unlink()
    with answering(tmp_path, DOCKER_19, INFO) as host, pytest.raises(PlatformError) as old:
        _platform(tmp_path, host).ensure(Run.within(30))
    assert "Docker 19.03.15 is too old" in old.value.message
    assert "upgrade" in old.value.hint
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("changes", "check", "cure"),
    [
        ({"SecurityOptions": ["name=rootless"]}, "rootless", "docker context use default"),
        ({"CgroupVersion": "1"}, "cgroup", "unified_cgroup_hierarchy"),
        ({"OSType": "windows"}, "containers", "Linux containers"),
    ],
)
def test_what_nodes_cannot_live_with_is_an_error(
    tmp_path: Path, changes: Mapping[str, Any], check: str, cure: str
) -> None:
    """Docker without root, with cgroup v1 or with Windows containers is refused, with the cure."""
    with (
        answering(tmp_path, DOCKER_20, {**INFO, **changes}) as host,
        open_engine(host, timeout=10) as engine,
    ):
        found = {each.check: each for each in check_docker(engine, Machine(root=tmp_path))}
    assert found[check].level == "error"
    assert cure in found[check].cure
    assert {each.level for name, each in found.items() if name != check} <= {"ok"}


def test_a_docker_that_is_not_there_is_told_apart_from_one_that_does_not_run(
    tmp_path: Path,
) -> None:
    """No socket, nobody behind it, and no answer are three troubles with three cures."""
    import socket

    absent = f"unix://{tmp_path}/none.sock"
    with pytest.raises(PlatformError, match="Docker is not here: it has no socket") as nowhere:
        _platform(tmp_path, absent).ensure(Run.within(30))
    assert "install Docker" in nowhere.value.hint
    [finding] = _platform(tmp_path, absent).preflight()
    assert (finding.level, finding.check) == ("error", "docker")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    with pytest.raises(PlatformError, match="Docker does not run") as stopped:
        _platform(tmp_path, f"unix://{tmp_path}/dead.sock").ensure(Run.within(30))
    assert "systemctl start docker" in stopped.value.hint
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute.sock"))
        mute.listen()
        with (
            pytest.raises(PlatformError, match="does not answer in time"),
            open_engine(f"unix://{tmp_path}/mute.sock", timeout=0.2),
        ):
            pass


def test_a_docker_that_lets_nobody_in_says_how_to_get_in() -> None:
    """Permission denied on the socket is told with the group that opens it."""
    import errno

    denied = ("Connection aborted.", PermissionError(errno.EACCES, "Permission denied"))
    with (
        pytest.raises(PlatformError, match="does not let this user in at unix:///x") as refused,
        explaining("listing", "unix:///x"),
    ):
        raise ConnectionError(*denied)
    assert "usermod -aG docker" in refused.value.hint


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("dial tcp: lookup registry-1.docker.io: no such host", "docker load"),
        ("manifest for k0sproject/k0s:v9 not found: manifest unknown", "mend `version`"),
        ("Bind for 127.0.0.1:80 failed: port is already allocated", "choose other `ports`"),
        ("write /var/lib/docker/x: no space left on device", "make room"),
        ("no matching manifest for linux/arm64/v8 in the manifest list", "architecture"),
        ("error during apply caps: operation not permitted", "may not grant privileges"),
        ("something new", "docker"),
    ],
)
def test_each_word_of_docker_has_its_cure(said: str, cure: str) -> None:
    """What Docker says when it refuses comes with what to do about it."""
    error = explained("Docker cannot do it", said)
    assert cure.lower() in error.hint.lower()
    assert said in error.message


def test_no_password_of_a_proxy_gets_into_a_message() -> None:
    """Docker repeats the address of its proxy, with the password in it."""
    error = explained("pulling", "proxyconnect tcp: http://me:hunter2@proxy:3128: refused")
    assert "hunter2" not in str(error)


class _Losing:
    """Runs programs in containers and loses what they print, as Docker does at times."""

    def __init__(self, *printed: str) -> None:
        self.printed = list(printed)
        self.asked: list[str] = []

    def run_in(self, container: str, argv: Sequence[str], run: Run, seconds: float = 0) -> Done:
        run.check(f"running for {seconds}")
        self.asked.append(f"{container}: {' '.join(argv)}")
        return Done(code=0, stdout=self.printed.pop(0) if self.printed else "", stderr="")


def test_a_token_that_docker_lost_is_made_again() -> None:
    """What ends well without the output that it always has is run again, and not for ever."""
    plan = Plan(cluster="c", id="1", version="v1.36.3+k0s.2", reference="r", single=False)
    engine: Any = _Losing("", "\n", "H4sI\n")
    nodes = Nodes(engine, plan, "127.0.0.1", Run.within(60))
    assert nodes.printed("c-0", "token", "create") == "H4sI"
    assert engine.asked == ["c-0: k0s token create"] * 3
    with pytest.raises(PlatformError, match="k0s token on c-0 printed nothing"):
        nodes.printed("c-0", "token", "create")
