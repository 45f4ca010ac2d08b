"""Machines for tests of platforms that work over SSH: namespaces of this kernel, with a true sshd.

Each has a root folder of its own (an overlay over this machine's, so that nothing here is
changed), its own processes, host name and network, and may be switched off and on again.
They talk over a bridge of addresses that no one else uses (RFC 2544), all of them this machine's.
Each farm of them has a number of its own, which names its bridge, networks, addresses and disk.
The number is held by a lock that the kernel lets go when its holder dies, however that dies:
what lies under a number whose lock is free was left behind, and is removed.
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

from tests.claims import claimed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ("Machine", "Machines", "missing_parts", "sweep")

_SSHD = "/usr/sbin/sshd"
_PATIENCE = 180.0  # seconds: a loaded machine is slow, not wrong
_DISK = "infometis-tests-"  # what a farm's tmpfs is called in the table of mounts
_FARMS = range(512)  # 198.18.0.0/15 has as many networks of 256 addresses
_FIRST, _LAST = 10, 254  # the last part of a machine's address

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
        self._network = f"im{farm.number}-{address.rpartition('.')[2]}"
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
        # Under sshd bash would read the ~/.bashrc of this machine, which may take seconds.
        users = Path("/etc/passwd").read_text(encoding="utf-8")
        (etc / "passwd").write_text(re.sub(r"(?m)^(root:.*:)[^:\n]*$", r"\1/bin/sh", users))
        self.new_host_key()
        index = self.address.rpartition(".")[2]
        inner, outer = f"im{self._farm.number}i{index}", f"im{self._farm.number}o{index}"
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

    def until(self, command: str) -> None:
        """Wait until a command ends well there."""
        end = time.monotonic() + _PATIENCE
        while (done := self.ssh(command, check=False)).returncode:
            if time.monotonic() > end:
                msg = f"{self.name}: {command} does not end well: {done.stderr.strip()}"
                raise RuntimeError(msg)
            time.sleep(0.1)

    def files(self) -> dict[str, str]:
        """Return every file that it wrote, with its type: what a clean machine must not keep."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "file"
            found[str(path.relative_to(self.root))] = kind
        return found

    def remove(self) -> None:
        """Take it away with its disk and its network; it may never have come up."""
        self.off()
        subprocess.run(["ip", "netns", "del", self._network], capture_output=True, check=False)
        shutil.rmtree(self._folder, ignore_errors=True)


class Machines:
    """A handful of machines on one bridge; use it as a context.

    Args:
        folder: where their disks are, which must not lie on an overlay: a tmpfs is mounted there.
        binds: folders of this machine that they see too.

    Attributes:
        number: what tells it from other farms on this machine while the context lasts.
        key: the private key that they accept.
        config: an SSH configuration that knows the key and the hosts.

    """

    def __init__(self, folder: Path, binds: Sequence[Path] = ()) -> None:
        self.number = -1
        self.folder = folder
        self.binds = tuple(str(each) for each in binds)
        self.key = folder / "key"
        self.config = folder / "ssh_config"
        self._known = folder / "known_hosts"
        self._machines: list[Machine] = []
        self._made = 0
        self._ending = contextlib.ExitStack()

    @property
    def bridge(self) -> str:
        """Name of the bridge that joins them."""
        return _bridge(self.number)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            sweep()
            self.number = stack.enter_context(_number())
            # In whatever way the rest fails: what was made goes, the number last of all.
            stack.callback(_remove, self.number)
            stack.callback(self._remove_machines)
            self.folder.mkdir(parents=True, exist_ok=True)
            _run("mount", "-t", "tmpfs", "-o", "mode=0700", _disk(self.number), self.folder)
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
            self.config.write_text(
                f"Host *\n  IdentityFile {self.key}\n  IdentitiesOnly yes\n  User root\n"
                f"  UserKnownHostsFile {self._known}\n  GlobalKnownHostsFile /dev/null\n"
            )
            _run("ip", "link", "add", self.bridge, "type", "bridge")
            _run("ip", "addr", "add", f"{_subnet(self.number)}.1/24", "dev", self.bridge)
            _run("ip", "link", "set", self.bridge, "up")
            self._ending = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def add(self, name: str) -> Machine:
        """Make a machine and switch it on."""
        # No address comes twice: for a while the kernel remembers who had it.
        last = _FIRST + self._made
        if last > _LAST:
            msg = f"a farm has room for {_LAST - _FIRST + 1} machines in its life"
            raise RuntimeError(msg)
        self._made += 1
        folder = self.folder / f"{last}-{name}"
        machine = Machine(name, f"{_subnet(self.number)}.{last}", folder, self)
        self._machines.append(machine)
        machine.make()
        self.trust()
        machine.on()
        return machine

    def remove(self, machine: Machine) -> None:
        """Take a machine away."""
        self._machines.remove(machine)
        machine.remove()
        self.trust()

    def trust(self) -> None:
        """Know the host keys that the machines have now."""
        self._known.write_text("".join(f"{each.host_key}\n" for each in self._machines))

    def _remove_machines(self) -> None:
        with contextlib.ExitStack() as stack:
            for machine in self._machines:
                stack.callback(machine.remove)


def sweep() -> None:
    """Remove what farms left behind whose process is dead."""
    left = {*_found(r"\d+: im(\d+)[:@]", "ip", "-o", "link", "show", "type", "bridge")}
    left |= {*_found(r"im(\d+)-\d+\b", "ip", "netns", "list")}
    left |= {*_found(rf"{_DISK}(\d+) ", "cat", "/proc/mounts")}
    for number in left:
        with claimed(f"farm-{number}") as free:
            if free:
                _remove(number)


def _found(pattern: str, *argv: str) -> Iterator[int]:
    for line in _run(*argv).splitlines():
        if match := re.match(pattern, line):
            yield int(match[1])


@contextlib.contextmanager
def _number() -> Iterator[int]:
    """Give a number that no farm has, and whose addresses nobody uses."""
    for number in _FARMS:
        with claimed(f"farm-{number}") as free:
            used = f" {_subnet(number)}." in _run("ip", "-4", "-o", "addr")
            if free and not used:
                yield number
                return
    msg = "every number of a farm is taken"
    raise RuntimeError(msg)


def _remove(number: int) -> None:
    """Remove all that a farm of that number made."""
    for line in _run("ip", "netns", "list").splitlines():
        name = line.partition(" ")[0]
        if name.startswith(f"im{number}-"):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    subprocess.run(["ip", "link", "del", _bridge(number)], capture_output=True, check=False)
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        source, folder, *_ = line.split(" ")
        if source == _disk(number):
            folder = folder.encode().decode("unicode_escape")
            subprocess.run(["umount", "-l", folder], capture_output=True, check=False)


def _bridge(number: int) -> str:
    return f"im{number}"


def _disk(number: int) -> str:
    return f"{_DISK}{number}"


def _subnet(number: int) -> str:
    return f"198.{18 + number // 256}.{number % 256}"
