"""Checks before a cluster is made: what this machine lacks, and the cure.

Limits are those that the makers of Kubernetes distributions state;
each method names its source.
Every check returns a :class:`Finding` and changes nothing.
"""

from __future__ import annotations

import errno
import shutil
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from infometis_sdk.machine.listening import listeners
from infometis_sdk.ports.platform import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ("Machine",)

_GIB = 1 << 30
_SKEW = 30.0  # seconds, as k0sctl allows between hosts
_SANE = 1_735_689_600  # 2025-01-01: before this package was written


@frozen(kw_only=True)
class Machine:
    """This machine, as its kernel describes it.

    Attributes:
        root: where ``proc`` and ``sys`` are; another folder in tests.

    Example:
        >>> Machine().disk(Path("/"), percent=0, gib=0).level
        'ok'

    """

    root: Path = Path("/")

    def ports(self, ports: Iterable[int], address: str = "127.0.0.1") -> tuple[Finding, ...]:
        """Say which TCP ports are taken, and by whom.

        A port is tried by binding it; one below 1024, which only root may bind,
        is looked up in the kernel's tables.
        """
        wanted = tuple(dict.fromkeys(ports))
        held = listeners(set(wanted), self.root / "proc")
        findings = []
        for port in wanted:
            who = [str(each) for each in held if each.port == port and each.takes(address)]
            if not who and _may_bind(address, port):
                findings.append(Finding(check=f"port {port}", level="ok", detail="free"))
                continue
            detail = f"{address}:{port} is taken by {who[0] if who else 'another program'}"
            cure = "end that program, or choose another port in the platform's settings"
            findings.append(Finding(check=f"port {port}", level="error", detail=detail, cure=cure))
        return tuple(findings)

    def cgroup(self) -> Finding:
        """Say whether cgroup v2 is there: kubelet 1.35 and later refuse v1."""
        if (self.root / "sys/fs/cgroup/cgroup.controllers").exists():
            return Finding(check="cgroup", level="ok", detail="v2")
        cure = (
            "boot with systemd.unified_cgroup_hierarchy=1; under WSL put "
            "'kernelCommandLine = cgroup_no_v1=all' below [wsl2] in .wslconfig and run "
            "'wsl --shutdown'"
        )
        detail = "this machine has cgroup v1, which Kubernetes 1.35 and later refuse"
        return Finding(check="cgroup", level="error", detail=detail, cure=cure)

    def inotify(self, *, instances: int = 512, watches: int = 524_288) -> Finding:
        """Say whether pods can watch files; the defaults are those of kind's known issues.

        k0s asks for at least 1024 instances and recommends 8192.
        """
        low = []
        for name, least in (("instances", instances), ("watches", watches)):
            key = f"fs.inotify.max_user_{name}"
            found = self._sysctl(key)
            if found is not None and found < least:
                low.append((key, found, least))
        if not low:
            return Finding(check="inotify", level="ok", detail="enough instances and watches")
        return Finding(
            check="inotify",
            level="warning",
            detail="; ".join(f"{key} is {found}, below {least}" for key, found, least in low),
            cure=_set({key: least for key, _, least in low}),
        )

    def map_count(self) -> Finding:
        """Say whether Elasticsearch can map its files: it ends with exit code 78 below 262144."""
        key, least, advised = "vm.max_map_count", 262_144, 1_048_576
        found = self._sysctl(key)
        if found is None or found >= least:
            return Finding(check=key, level="ok", detail=f"{found or 'not known'}")
        return Finding(
            check=key,
            level="warning",
            detail=f"{found}, below the {least} that Elasticsearch asks for",
            cure=_set({key: advised}),
        )

    def disk(self, path: Path, *, percent: int = 15, gib: int = 5) -> Finding:
        """Say whether there is room: kubelet removes images and pods below 15 % free.

        Args:
            path: any path on that disk; where it does not exist yet, its nearest parent counts.
            percent: least share of the disk that is free.
            gib: least number of GiB that are free.

        """
        while not path.exists():
            path = path.parent
        usage = shutil.disk_usage(path)
        free, share = usage.free / _GIB, 100 * usage.free / max(1, usage.total)
        detail = f"{free:.0f} GiB free at {path}, {share:.0f} %"
        if share >= percent and free >= gib:
            return Finding(check="disk", level="ok", detail=detail)
        cure = f"make room: at least {percent} % and {gib} GiB, or pods are evicted"
        return Finding(check="disk", level="error", detail=detail, cure=cure)

    def clock(self, other: float | None = None) -> Finding:
        """Say whether the clock can be right, and agrees with another one.

        Args:
            other: seconds since 1970 by the clock of the machine where containers run.

        """
        now = time.time()
        cure = "set the clock, for instance by enabling NTP; under WSL: sudo hwclock --hctosys"
        if now < _SANE:
            detail = f"it is set to {time.strftime('%Y-%m-%d', time.gmtime(now))}"
            return Finding(check="clock", level="error", detail=detail, cure=cure)
        if other is not None and abs(now - other) > _SKEW:
            detail = f"{abs(now - other):.0f} s between this machine and its container engine"
            return Finding(check="clock", level="error", detail=detail, cure=cure)
        return Finding(check="clock", level="ok", detail="plausible")

    def image_store(self, info: Mapping[str, Any]) -> Finding:
        """Say how Docker keeps its images, from what ``docker info`` tells.

        With containerd's store an image may hold several architectures whose layers are not all
        here, so that it must be saved for one of them.
        """
        status = dict(pair for pair in info.get("DriverStatus") or () if len(pair) == 2)  # noqa: PLR2004
        containerd = str(status.get("driver-type", "")).startswith("io.containerd.snapshotter")
        kind = "containerd" if containerd else str(info.get("Driver") or "not known")
        return Finding(check="image store", level="ok", detail=kind)

    def _sysctl(self, key: str) -> int | None:
        try:
            text = (self.root / "proc/sys" / key.replace(".", "/")).read_text(encoding="ascii")
            return int(text)
        except (OSError, ValueError):
            return None


def _may_bind(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno == errno.EACCES
    return True


def _set(values: Mapping[str, int]) -> str:
    words = " ".join(f"{key}={value}" for key, value in values.items())
    return f"sudo sysctl -w {words}; to keep it, a file in /etc/sysctl.d"
