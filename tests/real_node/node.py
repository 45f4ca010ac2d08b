"""A genuine node for tests: started here, kept by ``keeper.py``, and gone without a trace."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.real_node import system
from tests.real_node.binaries import BuildError, binaries
from tests.real_node.parts import Addresses, write_spec

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.errors import ClusterError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write
from infometis_sdk.ports.platform import Access

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.real_node.images import Image

    from infometis_sdk.ports.cluster import Cluster

__all__ = ("MissingNodeError", "RealNode", "node_required", "running_node")

_KEEPER = Path(__file__).with_name("keeper.py")
_PROGRAMS = {
    "busybox": "busybox-static",
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "runc": "runc",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
_PLUGIN = Path("/usr/lib/cni/ptp")
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_PREFIX = "imn"
_PATIENCE = 240.0
_PAUSE = 0.1
_TAIL = 1500
_NEWNET = 0x40000000  # CLONE_NEWNET, see sched.h


class MissingNodeError(Exception):
    """A node cannot be had on this machine; the message says why and what to do."""


def node_required() -> bool:
    """Whether a missing node is an error, not a skip."""
    return bool(os.environ.get("CI")) or os.environ.get("INFOMETIS_REQUIRE_NODE") == "1"


class RealNode:
    """One running node with a control plane of its own.

    Attributes:
        address: its IP address, as this machine sees it.
        kubeconfig: of its administrator; the one context is ``context``.
        programs: path of each program of it, by name.

    """

    def __init__(
        self, folder: Path, name: str, address: str, pid: int, programs: Mapping[str, Path]
    ) -> None:
        self.address = address
        self.context = name
        self.kubeconfig = folder / "kubeconfig"
        self.programs = programs
        self._folder = folder
        self._pid = pid

    def cluster(self) -> Cluster:
        """Open its API."""
        return open_cluster(Access(kubeconfig=self.kubeconfig, context=self.context))

    def command(self, *words: str | Path) -> list[str]:
        """Return the command line that runs a program on the node: ``localhost`` is the node's."""
        inside = ("nsenter", "-t", str(self._pid), "-m", "-n", "-p", "-u", "-i", "--")
        return [*inside, *map(str, words)]

    def run(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program on the node and return what it said."""
        return subprocess.run(
            self.command(*words), capture_output=True, text=True, check=check, env=_environ()
        )

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Let what this thread opens within the block be opened on the node's network."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(path: str) -> None:
            with Path(path).open("rb") as file:
                if libc.setns(file.fileno(), _NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number), path)

        with Path(f"/proc/self/task/{threading.get_native_id()}/ns/net").open("rb") as home:
            enter(f"/proc/{self._pid}/ns/net")
            try:
                yield
            finally:
                libc.setns(home.fileno(), _NEWNET)

    def load(self, image: Image) -> None:
        """Give the node an image."""
        ctr = self.programs["ctr"]
        command = self.command(ctr, "-n", "k8s.io", "images", "import", "--local", "-")
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            if process.stdin is None or process.stdout is None:
                raise AssertionError
            with contextlib.suppress(BrokenPipeError):
                image.write(process.stdin)
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            said = process.stdout.read().decode(errors="replace")
        if process.returncode:
            msg = f"{image.name}: {said}"
            raise MissingNodeError(msg)

    def execute(self, container: str, *words: str) -> str:
        """Run a program in a container, without an input; return what it printed."""
        command = ("tasks", "exec", "--exec-id", secrets.token_hex(4), container, *words)
        done = subprocess.run(
            self.command(self.programs["ctr"], "-n", "k8s.io", *command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=_environ(),
        )
        if done.returncode:
            msg = f"{' '.join(words)}: {done.stdout[-_TAIL:]}{done.stderr[-_TAIL:]}"
            raise RuntimeError(msg)
        return done.stdout

    def kill(self, container: str) -> None:
        """Kill the first process of a container, as a lack of memory does."""
        self.run(self.programs["ctr"], "-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", container)

    def logs(self) -> str:
        """Return the end of what each part said."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-_TAIL:]}"
            for path in sorted((self._folder / "log").glob("*.log"))
        )

    def prepare(self) -> None:
        """Wait until pods can run on it, find each other by name, and have volumes.

        Raises:
            MissingNodeError: it did not get so far; the message holds the logs of its parts.

        """
        self._until("containerd", self._answers)
        for image in system.images(self.programs["coredns"]):
            self.load(image)
        cluster = self.cluster()
        self._until("the API server", lambda: bool(cluster.read("/readyz", Run.within(5))))
        for body in system.objects():
            self._until(body["kind"], lambda body=body: _apply(cluster, body))
        self._until("the node", lambda: _is_ready(cluster))
        self._until("DNS", lambda: _has_dns(cluster))

    def _answers(self) -> bool:
        return self.run(self.programs["ctr"], "version", check=False).returncode == 0

    def _until(self, what: str, condition: Any) -> None:
        end = time.monotonic() + _PATIENCE
        last = ""
        while time.monotonic() < end:
            try:
                if condition():
                    return
            except ClusterError as error:
                last = str(error)
            time.sleep(_PAUSE)
        msg = f"{what} is not ready after {_PATIENCE:.0f} s; {last}\n{self.logs()}"
        raise MissingNodeError(msg)


@contextlib.contextmanager
def running_node(cache_dir: Path) -> Iterator[RealNode]:
    """Run a node while the block runs.

    Args:
        cache_dir: where its programs are kept; they are built there the first time.

    Raises:
        MissingNodeError: this machine has no such node, or forbids it to run.

    """
    _check()
    try:
        programs = binaries(cache_dir)
    except BuildError as error:
        raise MissingNodeError(str(error)) from error
    _sweep()
    # Not below pytest's folder: the path of a socket may have no more than 107 letters.
    folder = Path(tempfile.mkdtemp(prefix="imt-node-", dir="/tmp"))
    name = f"{_PREFIX}{os.getpid()}"
    addresses = _free_addresses()
    write_spec(folder, name, addresses, programs)
    keeper = subprocess.Popen(
        [sys.executable, "-I", str(_KEEPER), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=_environ(),
    )
    try:
        answer = _tell(keeper, "start")
        node = RealNode(folder, name, addresses.node, int(answer["pid"]), programs)
        node.prepare()
        yield node
    finally:
        if keeper.stdin is not None:
            with contextlib.suppress(OSError):
                keeper.stdin.close()
        keeper.wait()
        if keeper.stdout is not None:
            keeper.stdout.close()


def _check() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        msg = "a node of the tests' own needs Linux and root; run `tox -e node` as root"
        raise MissingNodeError(msg)
    lacking = {package for name, package in _PROGRAMS.items() if not _which(name)}
    if not _PLUGIN.exists():
        lacking.add("containernetworking-plugins")
    if lacking:
        msg = f"a node needs the Debian packages {', '.join(sorted(lacking))}"
        raise MissingNodeError(msg)
    tried = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        msg = f"no namespaces: {tried.stderr.strip()}"
        raise MissingNodeError(msg)


def _which(name: str) -> str | None:
    return shutil.which(name, path=_environ()["PATH"])


def _environ() -> dict[str, str]:
    return {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:{_SBIN}"}


def _tell(keeper: subprocess.Popen[str], command: str) -> Mapping[str, Any]:
    if keeper.stdin is None or keeper.stdout is None:
        raise AssertionError
    keeper.stdin.write(command + "\n")
    keeper.stdin.flush()
    line = keeper.stdout.readline()
    answer: dict[str, Any] = json.loads(line) if line else {"error": "its keeper died"}
    if "error" in answer:
        raise MissingNodeError(answer["error"])
    return answer


def _free_addresses() -> Addresses:
    """Return two addresses of RFC 2544 that no interface of this machine has."""
    shown = subprocess.run(
        ["ip", "-json", "-4", "addr"], capture_output=True, check=True, env=_environ()
    )
    used = {
        each["local"].rpartition(".")[0]
        for link in json.loads(shown.stdout)
        for each in link.get("addr_info", ())
    }
    networks = [f"198.19.{number}" for number in range(1, 255)]
    network = random.choice([each for each in networks if each not in used])
    return Addresses(f"{network}.1", f"{network}.2")


def _sweep() -> None:
    """Remove what is left of test runs whose keeper was killed too: empty groups, loose cables."""
    shown = subprocess.run(
        ["ip", "-json", "link", "show", "type", "veth"],
        capture_output=True,
        check=True,
        env=_environ(),
    )
    for link in json.loads(shown.stdout or b"[]"):
        if _is_over(link.get("ifname", "")):
            command = ["ip", "link", "delete", link["ifname"]]
            subprocess.run(command, capture_output=True, check=False, env=_environ())
    root = Path("/sys/fs/cgroup")
    for group in (*root.glob(f"{_PREFIX}*"), *root.glob(f"*/{_PREFIX}*")):
        if _is_over(group.name):
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()


def _is_over(name: str) -> bool:
    number = name.removeprefix(_PREFIX)
    return name != number and number.isdecimal() and not Path(f"/proc/{number}").exists()


def _apply(cluster: Cluster, body: dict[str, Any]) -> bool:
    meta = body["metadata"]
    ref = ObjectRef(
        api_version=body["apiVersion"],
        kind=body["kind"],
        namespace=meta.get("namespace", ""),
        name=meta["name"],
    )
    write = Write(verb="apply", ref=ref, body=body, manager="tests", force=True)
    cluster.write(write, Run.within(10))
    return True


def _is_ready(cluster: Cluster) -> bool:
    nodes = cluster.list("v1", "Node", Run.within(10))
    conditions = [each for node in nodes for each in node["status"].get("conditions", ())]
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _has_dns(cluster: Cluster) -> bool:
    found = cluster.list("apps/v1", "Deployment", Run.within(10), namespace="kube-system")
    return any(each["status"].get("readyReplicas") for each in found)
