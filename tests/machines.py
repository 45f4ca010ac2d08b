"""Machines for tests of platforms that work over SSH: namespaces of this kernel, with a true sshd.

Each has a root folder of its own (an overlay over this machine's, so that nothing here is
changed), its own processes, host name and network, and may be switched off and on again.
They talk over a bridge of addresses that no one else uses (RFC 2544), all of them this machine's.
Needs root; nothing stands in for anything here.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ("Machine", "Machines", "missing_parts")

_SSHD = "/usr/sbin/sshd"
_PATIENCE = 60.0

# The first process of a machine: it mounts, starts what is installed as a service, and sshd.
_INIT = """
set -eu
root=$1 name=$2; shift 2
mount -t overlay overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" "$root/merged"
cd "$root/merged"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
[ -d sys/fs/cgroup ] && mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount -t tmpfs -o mode=0755 tmpfs run
mkdir -p run/sshd run/lock
for bind; do mkdir -p ".$bind"; mount --bind "$bind" ".$bind"; done
hostname "$name"
exec chroot . /bin/sh -c '
  sysctl -qw net.ipv4.ping_group_range="0 0" 2>/dev/null || true
  rm -f /var/run/*.pid
  for service in /etc/rc2.d/S*k0s*; do [ -x "$service" ] && "$service" start; done
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
    /usr/sbin/sshd -D -e -f /etc/ssh/test_config 2>/var/log/sshd.log &
  while :; do wait; sleep 0.2; done
' </dev/null >/dev/null 2>>"$root/init.log"
"""

_SSHD_CONFIG = """
Port 22
HostKey /etc/ssh/test_host_key
AuthorizedKeysFile /etc/ssh/test_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
MaxStartups 100
MaxSessions 100
PidFile none
"""


def missing_parts() -> str:
    """Return why no machine can be made here; empty where they can."""
    if os.geteuid() != 0:
        return "namespaces with overlays need root"
    for program in (_SSHD, "ssh", "ssh-keygen", "unshare", "ip", "service"):
        if shutil.which(program) is None:
            return f"there is no {program}; Debian: openssh-server, openssh-client, iproute2"
    tried = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--uts", "--fork", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"no namespaces: {tried.stderr.strip()}" if tried.returncode else ""


def _run(*argv: str | Path) -> str:
    done = subprocess.run([str(each) for each in argv], capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"{shlex.join(str(each) for each in argv)}: {done.stderr.strip()}"
        raise RuntimeError(msg)
    return done.stdout


class Machine:
    """One machine.

    Attributes:
        name: its host name.
        address: its IP address.

    """

    def __init__(self, name: str, address: str, folder: Path, farm: Machines) -> None:
        self.name = name
        self.address = address
        self._folder = folder
        self._farm = farm
        self._network = f"im{farm.id}-{address.rpartition('.')[2]}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> Path:
        """What the machine wrote, as seen from outside."""
        return self._folder / "upper"

    def make(self) -> None:
        """Give it disk and network; once."""
        for name in ("upper/etc/ssh", "upper/root", "work", "merged"):
            (self._folder / name).mkdir(parents=True)
        etc = self.root / "etc"
        (etc / "ssh/test_config").write_text(_SSHD_CONFIG)
        shutil.copy(self._farm.key.with_suffix(".pub"), etc / "ssh/test_keys")
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        (etc / "hostname").write_text(self.name + "\n")
        (etc / "machine-id").write_text(secrets.token_hex(16) + "\n")
        self.new_host_key()
        index = self.address.rpartition(".")[2]
        inner, outer = f"im{self._farm.id}i{index}", f"im{self._farm.id}o{index}"
        _run("ip", "netns", "add", self._network)
        _run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner)
        _run("ip", "link", "set", outer, "master", self._farm.bridge, "up")
        _run("ip", "link", "set", inner, "netns", self._network)
        inside = ("ip", "-n", self._network)
        _run(*inside, "link", "set", inner, "name", "eth0")
        _run(*inside, "addr", "add", f"{self.address}/24", "dev", "eth0")
        _run(*inside, "link", "set", "eth0", "up")
        _run(*inside, "link", "set", "lo", "up")

    def new_host_key(self) -> None:
        """Give it another SSH identity, as one that was installed anew has."""
        path = self.root / "etc/ssh/test_host_key"
        for each in (path, path.with_suffix(".pub")):
            each.unlink(missing_ok=True)
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", path)

    @property
    def host_key(self) -> str:
        """Its line for a file of known hosts."""
        words = (self.root / "etc/ssh/test_host_key.pub").read_text().split()
        return f"{self.address} {words[0]} {words[1]}"

    def on(self) -> None:
        """Switch it on, and wait until its sshd answers."""
        # It dies with this process, however that ends.
        argv = ["setpriv", "--pdeathsig", "KILL"]
        argv += ["ip", "netns", "exec", self._network, "unshare", "--mount", "--uts", "--ipc"]
        argv += ["--pid", "--fork", "--kill-child=KILL", "--propagation", "private"]
        argv += ["sh", "-c", _INIT, "sh", str(self._folder), self.name, *self._farm.binds]
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + _PATIENCE
        while self.ssh("true", check=False).returncode:
            if time.monotonic() > end or self._process.poll() is not None:
                log = self._folder / "init.log"
                msg = f"{self.name} does not start: {log.read_text() if log.exists() else ''}"
                raise RuntimeError(msg)
            time.sleep(0.1)

    def off(self) -> None:
        """Pull its plug: every process of it dies at once, its disk stays."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            # The kernel ends the others of the namespace before its first process is gone.
            end = time.monotonic() + _PATIENCE
            while _run("ip", "netns", "pids", self._network).strip() and time.monotonic() < end:
                time.sleep(0.05)

    def reboot(self) -> None:
        """Switch it off and on again."""
        self.off()
        self.on()

    def ssh(
        self, command: str, *, user: str = "root", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there, past the plugin under test."""
        argv = ["ssh", "-F", str(self._farm.config), "-l", user, "-o", "LogLevel=ERROR"]
        argv += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        argv += ["--", self.address, command]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if check and done.returncode:
            msg = f"{self.name}: {command}: {done.stderr.strip()}"
            raise RuntimeError(msg)
        return done

    def files(self) -> dict[str, str]:
        """Return every file that it wrote, with its type: what a clean machine must not keep."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "file"
            found[str(path.relative_to(self.root))] = kind
        return found

    def wipe(self) -> None:
        """Give it an empty disk and another identity."""
        self.off()
        for name in ("upper", "work", "merged"):
            shutil.rmtree(self._folder / name, ignore_errors=True)
        with contextlib.suppress(RuntimeError):
            _run("ip", "netns", "del", self._network)
        self.make()


class Machines:
    """A handful of machines on one bridge; use it as a context.

    Args:
        folder: where their disks are, which must not lie on an overlay: a tmpfs is mounted there.
        binds: folders of this machine that they see too.

    Attributes:
        key: the private key that they accept.
        config: an SSH configuration that knows the key and the hosts.

    """

    def __init__(self, folder: Path, binds: Sequence[Path] = ()) -> None:
        self.id = os.getpid()
        self.folder = folder
        self.binds = tuple(str(each) for each in binds)
        self.bridge = f"im{self.id}"
        self.key = folder / "key"
        self.config = folder / "ssh_config"
        self._known = folder / "known_hosts"
        self._subnet = f"198.18.{self.id % 256}"
        self._machines: list[Machine] = []

    def __enter__(self) -> Self:
        _sweep()
        self.folder.mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", self.folder)
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
        self.config.write_text(
            f"Host *\n  IdentityFile {self.key}\n  IdentitiesOnly yes\n  User root\n"
            f"  UserKnownHostsFile {self._known}\n  GlobalKnownHostsFile /dev/null\n"
        )
        _run("ip", "link", "add", self.bridge, "type", "bridge")
        _run("ip", "addr", "add", f"{self._subnet}.1/24", "dev", self.bridge)
        _run("ip", "link", "set", self.bridge, "up")
        return self

    def __exit__(self, *_: object) -> None:
        for machine in self._machines:
            machine.off()
        _sweep(self.id)
        _run("umount", "-l", self.folder)

    def add(self, name: str) -> Machine:
        """Make a machine and switch it on."""
        address = f"{self._subnet}.{len(self._machines) + 10}"
        machine = Machine(name, address, self.folder / name, self)
        self._machines.append(machine)
        machine.make()
        self.trust()
        machine.on()
        return machine

    def trust(self) -> None:
        """Know the host keys that the machines have now."""
        self._known.write_text("".join(f"{each.host_key}\n" for each in self._machines))


def _sweep(only: int = 0) -> None:
    """Remove bridges and networks of test runs that are over."""
    for line in _run("ip", "-o", "link", "show", "type", "bridge").splitlines():
        found = re.match(r"\d+: (im(\d+)):", line)
        if found and _is_over(int(found[2]), only):
            _run("ip", "link", "del", found[1])
    for line in _run("ip", "netns", "list").splitlines():
        found = re.match(r"(im(\d+)-\d+)\b", line)
        if found and _is_over(int(found[2]), only):
            _run("ip", "netns", "del", found[1])


def _is_over(pid: int, only: int) -> bool:
    return pid == only if only else not Path(f"/proc/{pid}").exists()


@contextlib.contextmanager
def machines(folder: Path, binds: Sequence[Path] = ()) -> Iterator[Machines]:
    """Give machines that are gone at the end of the context."""
    with Machines(folder, binds) as farm:
        yield farm
