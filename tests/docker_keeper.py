"""Keeps one genuine dockerd for a test run; started by ``tests.docker_daemon`` and by nobody else.

It outlives pytest by a moment: when the pipe on its standard input closes, for whatever reason,
``SIGKILL`` of pytest included, it ends the daemon and removes every trace.
The daemon lives in a process and mount namespace of its own,
so that killing the first process there ends containerd, shims and containers, and drops all mounts.
What such a death leaves (bridges, control groups, files) carries a name or an address of our own.

Standard library only.  Commands, one a line, each answered by one line of JSON:
``start``, ``stop`` (as a service manager does it) and ``kill`` (as a power cut does it).
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

_READY = 60.0
_TAIL = 3000
_SYS_RESOURCE = 24  # CAP_SYS_RESOURCE, see capability.h
_CGROUPS = Path("/sys/fs/cgroup")

# Some machines grant no CAP_SYS_RESOURCE, which runc then cannot give to a privileged container.
_WRAPPER = '''#!{python} -I
"""Runs runc without what this machine does not grant."""
import json, os, sys

words = sys.argv[1:]
path = ""
if "--bundle" in words:
    path = os.path.join(words[words.index("--bundle") + 1], "config.json")
elif "--process" in words:
    path = words[words.index("--process") + 1]
if path:
    with open(path) as file:
        spec = json.load(file)
    process = spec["process"] if "process" in spec else spec
    process.pop("oomScoreAdj", None)
    process.pop("rlimits", None)
    for names in (process.get("capabilities") or {{}}).values():
        names[:] = [name for name in names if name != "CAP_SYS_RESOURCE"]
    with open(path, "w") as file:
        json.dump(spec, file)
os.execv({runc!r}, ["runc", *words])
'''


class Keeper:
    """The daemon, and everything that has to go with it."""

    def __init__(self, root: Path, network: str, *, egress: bool) -> None:
        self._root = root
        self._network = ipaddress.IPv4Network(network)
        self._egress = egress
        self._name = f"imt{self._network.network_address.packed[1]}"
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    # --------------------------------------------------------------------------------- commands

    def start(self) -> None:
        """Start the daemon; return once it answers."""
        if self._process is not None and self._process.poll() is None:
            return
        if not Path(f"/sys/class/net/{self._name}").exists():
            self._make_bridge()
        # As after a boot of the machine: what lies in /run is gone, and its pids mean nothing.
        (self._root / "pid").unlink(missing_ok=True)
        shutil.rmtree(self._root / "exec", ignore_errors=True)
        self._log = (self._root / "log").open("ab")
        self._process = subprocess.Popen(
            self._command(), stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        end = time.monotonic() + _READY
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                tail = (self._root / "log").read_text(errors="replace")[-_TAIL:]
                self.kill()
                msg = f"dockerd does not start:\n{tail}"
                raise RuntimeError(msg)
            time.sleep(0.05)

    def stop(self) -> None:
        """End the daemon and its containers in good order."""
        if (first := self._first()) is not None and self._process is not None:
            os.kill(first, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_READY)
        self.kill()

    def kill(self) -> None:
        """End everything at once; return when nothing of it runs any more."""
        if self._process is None:
            return
        if (first := self._first()) is not None:
            os.kill(first, signal.SIGKILL)
        try:
            self._process.wait(_READY)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self._log is not None:
            self._log.close()

    def clean(self) -> None:
        """Remove every trace."""
        self.kill()
        for name in self._bridges():
            _ip("link", "delete", name)
        for tree in (*_CGROUPS.glob(self._name), *_CGROUPS.glob(f"*/{self._name}")):
            for folder, _, _ in os.walk(tree, topdown=False):
                _rmdir(Path(folder))
        shutil.rmtree(self._root, ignore_errors=True)

    # ------------------------------------------------------------------------------------ parts

    def _command(self) -> list[str]:
        config: dict[str, Any] = {
            "data-root": str(self._root / "data"),
            "exec-root": str(self._root / "exec"),
            "pidfile": str(self._root / "pid"),
            "hosts": [f"unix://{self._root}/docker.sock"],
            "bridge": self._name,
            # Without egress nothing global is touched: what is published on loopback needs
            # docker-proxy only, and the rules of another daemon stay as they are.
            "iptables": self._egress,
            "ip-forward": self._egress,
            "cgroup-parent": f"/{self._name}",
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "default-address-pools": [
                {"base": str(list(self._network.subnets(1))[1]), "size": 24},
            ],
            "shutdown-timeout": 10,
        }
        if not _granted(_SYS_RESOURCE):
            wrapper = self._root / "runtime"
            runc = shutil.which("runc") or "/usr/sbin/runc"
            wrapper.write_text(_WRAPPER.format(python=sys.executable, runc=runc))
            wrapper.chmod(0o755)
            config |= {
                "runtimes": {"trimmed": {"path": str(wrapper)}},
                "default-runtime": "trimmed",
            }
        file = self._root / "daemon.json"
        file.write_text(json.dumps(config, indent=2))
        namespaces = ["unshare", "--pid", "--mount", "--fork", "--kill-child=KILL", "--mount-proc"]
        # The kernel ends all of it should even this process be killed.
        return [
            *("setpriv", "--pdeathsig", "KILL"),
            *namespaces,
            *("tini", "-s", "--", "dockerd", "--config-file", str(file)),
        ]

    def _make_bridge(self) -> None:
        network = next(self._network.subnets(new_prefix=24))
        _ip("link", "add", self._name, "type", "bridge", check=True)
        _ip("addr", "add", f"{network[1]}/24", "dev", self._name, check=True)
        _ip("link", "set", self._name, "up", check=True)

    def _bridges(self) -> list[str]:
        """Return the bridges whose address is one of ours: those of networks made by tests too."""
        found = subprocess.run(
            ["ip", "-json", "addr", "show", "type", "bridge"], capture_output=True, check=False
        )
        links = json.loads(found.stdout or b"[]")
        return [
            link["ifname"]
            for link in links
            if any(
                ipaddress.ip_address(each["local"]) in self._network
                for each in link.get("addr_info", ())
                if each.get("family") == "inet"
            )
        ]

    def _first(self) -> int | None:
        """Return the first process of the daemon's namespace."""
        if self._process is None or self._process.poll() is not None:
            return None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(2)
            try:
                door.connect(str(self._root / "docker.sock"))
                door.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in door.recv(200)
            except OSError:
                return False


def _granted(capability: int) -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> capability & 1)
    return True


def _ip(*words: str, check: bool = False) -> None:
    subprocess.run(["ip", *words], check=check, stderr=None if check else subprocess.DEVNULL)


def _rmdir(folder: Path) -> None:
    end = time.monotonic() + 5
    while folder.exists():
        try:
            folder.rmdir()
        except OSError:
            # a task that just died is counted for a moment longer
            if time.monotonic() > end:
                return
            time.sleep(0.05)


def main(root: str, network: str, egress: str) -> None:
    """Serve commands until the pipe closes, then clean up."""
    # A Ctrl-C in the terminal is for pytest; we end when it does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    keeper = Keeper(Path(root), network, egress=egress == "egress")
    commands = {"start": keeper.start, "stop": keeper.stop, "kill": keeper.kill}
    try:
        for line in sys.stdin:
            try:
                commands[line.strip()]()
                answer: dict[str, str] = {}
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                answer = {"error": str(error)}
            try:
                print(json.dumps(answer), flush=True)  # noqa: T201 - the other end of the pipe
            except OSError:
                break
    finally:
        keeper.clean()


if __name__ == "__main__":
    main(*sys.argv[1:])
