"""Keeps one node for a test run; started by ``tests.real_node.node`` and by nobody else.

It outlives pytest by a moment: when the pipe on its standard input closes, for whatever reason,
``SIGKILL`` of pytest included, it ends the node and removes every trace.
The node lives in namespaces of its own: killing its first process ends every other,
drops all mounts and takes interfaces, addresses and packet filters with it.
What such a death leaves are control groups and one folder, which carry a name of our own.

Standard library only.  Commands, one a line, each answered by one line of JSON: ``start``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_CGROUPS = Path("/sys/fs/cgroup")
_CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
_READY = 60.0
_NAMESPACES = ("--mount", "--net", "--pid", "--uts", "--ipc")


class Keeper:
    """The node's first process, and everything that has to go with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._spec: dict[str, Any] = json.loads((folder / "spec.json").read_text())
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> dict[str, Any]:
        """Start the node's first process and connect its network; return its process id."""
        self._make_cgroups()
        # The kernel ends all of it should even this process be killed.
        self._process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL"),
                *("unshare", *_NAMESPACES, "--fork", "--kill-child=KILL", "--mount-proc"),
                *("--propagation", "private"),
                *(sys.executable, "-I", str(Path(__file__).with_name("init.py"))),
                str(self._folder / "spec.json"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self._folder / "log" / "init.log").open("ab"),
            text=True,
        )
        if self._process.stdout is None or self._process.stdin is None:
            raise AssertionError
        if self._process.stdout.readline().strip() != "mounted":
            msg = (self._folder / "log" / "init.log").read_text()
            raise RuntimeError(msg)
        first = self._first()
        self._connect(first)
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return {"pid": first}

    def clean(self) -> None:
        """End everything at once and remove every trace."""
        if self._process is not None:
            if self._process.poll() is None:
                self._kill()
            self._process.wait(_READY)
        # The kernel takes a network namespace apart when it finds the time: some seconds later.
        subprocess.run(["ip", "link", "delete", self._name], check=False, capture_output=True)
        for tree in (*_CGROUPS.glob(self._name), *_CGROUPS.glob(f"*/{self._name}")):
            for folder, _, _ in os.walk(tree, topdown=False):
                _rmdir(Path(folder))
        shutil.rmtree(self._folder, ignore_errors=True)

    # ------------------------------------------------------------------------------------ parts

    def _kill(self) -> None:
        """Kill the node's first process; the kernel kills the others before it is gone."""
        try:
            os.kill(self._first(), signal.SIGKILL)
        except (IndexError, OSError):
            return  # it has ended by itself

    @property
    def _name(self) -> str:
        return str(self._spec["name"])

    def _first(self) -> int:
        """Return the first process of the node, as this machine numbers it."""
        if self._process is None:
            raise AssertionError
        pid = self._process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def _connect(self, first: int) -> None:
        """Join this machine and the node by one cable; nothing is routed beyond it."""
        ours, theirs = self._spec["gateway"], self._spec["address"]
        inside = ("nsenter", "-t", str(first), "-n", "ip")
        end = ("peer", "name", "eth0", "netns", str(first))
        _run("ip", "link", "add", self._name, "type", "veth", *end)
        _run("ip", "addr", "add", f"{ours}/30", "dev", self._name)
        _run("ip", "link", "set", self._name, "up")
        _run(*inside, "addr", "add", f"{theirs}/30", "dev", "eth0")
        for device in ("lo", "eth0"):
            _run(*inside, "link", "set", device, "up")
        # Where a service's address is sent before kube-proxy's rules take it.
        _run(*inside, "route", "add", self._spec["services"], "dev", "eth0")

    def _make_cgroups(self) -> None:
        """Make the group below which the kubelet puts its own, in each hierarchy of the kernel."""
        if (_CGROUPS / "cgroup.controllers").exists():  # version 2: a single one
            wanted = " ".join(f"+{name}" for name in _CONTROLLERS)
            (_CGROUPS / "cgroup.subtree_control").write_text(wanted)
            (_CGROUPS / self._name).mkdir()
            (_CGROUPS / self._name / "cgroup.subtree_control").write_text(wanted)
            return
        for hierarchy in _CGROUPS.iterdir():
            if hierarchy.is_dir() and not hierarchy.is_symlink():
                group = hierarchy / self._name
                group.mkdir()
                # A new cpuset is empty, and nothing can run in it.
                for name in ("cpuset.cpus", "cpuset.mems"):
                    if (hierarchy / name).exists():
                        (group / name).write_text((hierarchy / name).read_text())


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)


def _rmdir(folder: Path) -> None:
    end = time.monotonic() + _READY
    while folder.exists():
        try:
            folder.rmdir()
        except OSError:
            # a task that just died is counted for a moment longer
            if time.monotonic() > end:
                return
            time.sleep(0.05)


def main(folder: str) -> None:
    """Serve commands until the pipe closes, then clean up."""
    # A Ctrl-C in the terminal is for pytest; we end when it does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    keeper = Keeper(Path(folder))
    try:
        for _ in sys.stdin:
            try:
                answer = keeper.start()
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                answer = {"error": f"{error} {getattr(error, 'stderr', '') or ''}"}
            try:
                print(json.dumps(answer), flush=True)  # noqa: T201 - the other end of the pipe
            except OSError:
                break
    finally:
        keeper.clean()


if __name__ == "__main__":
    main(sys.argv[1])
