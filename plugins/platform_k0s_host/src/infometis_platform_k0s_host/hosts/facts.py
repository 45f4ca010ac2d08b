"""The facts of one host, as the script ``gather.sh`` tells them."""

from __future__ import annotations

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from infometis_platform_k0s_host.hosts.marker import Marker

__all__ = ("Facts", "Listens", "parse_facts")

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@frozen
class Listens:
    """A TCP port that is taken: by whom is known to root only."""

    port: int
    address: str
    who: str = ""


@frozen(kw_only=True)
class Facts:
    """What one host is and what it holds.

    Attributes:
        host: name of the host in the settings.
        node: its host name in lower case, which is the name of its node too.
        skew: seconds that its clock is ahead of ours.
        memory, disk_size, disk_free: in KiB.
        sysctls: settings of the kernel by their names.
        stamp, sha256, version: of ``/usr/local/bin/k0s``; empty where there is none.
        units: services of k0s that are installed.
        status: what ``k0s status`` says; empty where k0s does not run.
        starting: true while k0s runs and does not answer yet.
        components: parts of k0s that run, as ``PID NAME``.
        processes: k0s processes that run while no status is told.
        foreign: signs of another Kubernetes.
        present: folders that are there, of those that a cluster makes.
        data: what the data folder holds.
        marker: our mark; ``None`` where there is none.
        marker_damaged: there is a mark, and it cannot be read.
        config: SHA-256 of ``/etc/k0s/k0s.yaml``.
        certificates: PEM of each certificate, if asked for.
        noise: the first line that the login shell printed by itself, before our command did.

    """

    host: str
    node: str = ""
    skew: float = 0.0
    arch: str = ""
    system: str = "Linux"
    kernel: str = ""
    os: str = ""
    machine: str = ""
    boot: str = ""
    init: str = ""
    cgroup: int = 2
    memory: int = 0
    swaps: int = 0
    instances: int = 0
    sysctls: Mapping[str, str] = field(factory=dict)
    disk_size: int = 0
    disk_free: int = 0
    localhost: bool = True
    flock: bool = True
    wireguard: bool = False
    addresses: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    listens: tuple[Listens, ...] = field(default=(), converter=tuple[Listens, ...])
    stamp: str = ""
    sha256: str = ""
    version: str = ""
    units: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    status: Mapping[str, Any] = field(factory=dict)
    starting: bool = False
    components: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    processes: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    foreign: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    present: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    links: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    data: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    marker: Marker | None = None
    marker_damaged: bool = False
    config: str = ""
    certificates: Mapping[str, bytes] = field(factory=dict)
    noise: str = ""

    @property
    def running(self) -> bool:
        """Whether k0s runs, answering or not yet."""
        return bool(self.status) or self.starting

    @property
    def pristine(self) -> bool:
        """Whether nothing of k0s is here but, at most, its binary."""
        return not (self.units or self.running or self.components or self.processes or self.data)


def parse_facts(text: str, *, host: str, now: float, until: float = 0.0) -> Facts | None:
    r"""Read what the script printed; ``None`` where it did not come to its end.

    Args:
        text: its output.
        host: name of the host.
        now: our clock, in seconds since 1970, when it was asked.
        until: our clock when it had answered, which on a busy host may be much later.

    Example:
        >>> facts = parse_facts("hostname Node-1\narch x86_64\nend yes\n", host="a", now=0)
        >>> facts.node, facts.arch
        ('node-1', 'amd64')
        >>> parse_facts("hostname a\n", host="a", now=0) is None
        True

    """
    said: dict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        said[name].append(value.strip())
    if "end" not in said:
        return None

    def one(name: str) -> str:
        return said[name][-1] if name in said else ""

    def number(name: str) -> int:
        return int(one(name)) if one(name).isdigit() else 0

    sysctls = {
        name.partition(":")[2].replace("/", "."): values[-1]
        for name, values in said.items()
        if name.startswith("sysctl:")
    }
    instances = sysctls.get("fs.inotify.max_user_instances", "")
    disk = (*one("disk").split(), "0", "0")
    raw = _decoded(one("marker"))
    marker = Marker.from_json(raw.decode(errors="replace")) if raw else None
    stamp, sha256, version = one("stamp"), _word(one("sha256")), _word(one("version"))
    if marker is not None and stamp and stamp == marker.stamp:
        sha256, version = marker.sha256, marker.version
    return Facts(
        host=host,
        node=one("hostname").lower(),
        skew=_skew(number("clock"), now, until),
        arch=_ARCHITECTURES.get(one("arch").lower(), one("arch")),
        system=one("system") or "Linux",
        kernel=one("kernel"),
        os=one("os").strip('"'),
        machine=one("machine"),
        boot=sysctls.get("kernel.random.boot_id", ""),
        init=one("init"),
        cgroup=number("cgroup"),
        memory=number("memory"),
        swaps=len(said["swap"]),
        instances=int(instances) if instances.isdigit() else 0,
        sysctls=sysctls,
        disk_size=int(disk[0]),
        disk_free=int(disk[1]),
        localhost=bool(one("localhost")),
        flock=bool(one("flock")),
        wireguard=bool(one("wireguard")),
        addresses=dict.fromkeys(said["address"]),
        listens=[each for line in said["listens"] if (each := _listens(line)) is not None],
        stamp=stamp,
        sha256=sha256,
        version=version,
        units=said["unit"],
        status=_mapping(_decoded(one("status"))),
        starting=bool(one("starting")),
        components=said["component"],
        processes=said["process"],
        foreign=said["foreign"],
        present=said["present"],
        links=said["link"],
        data=said["data"],
        marker=marker,
        marker_damaged=bool(one("marker")) and marker is None,
        config=_word(one("config")),
        certificates={
            name.partition(":")[2]: _decoded(values[-1])
            for name, values in said.items()
            if name.startswith("certificate:")
        },
        noise=_noise(text),
    )


def _noise(text: str) -> str:
    """Return the first line before ``clock``, which the script tells first of all."""
    first = (text.splitlines() or [""])[0]
    return first if "\nclock " in text and not first.startswith("clock ") else ""


def _skew(clock: int, now: float, until: float) -> float:
    """Return by how much a clock is wrong at least: it was read at some time between the two."""
    if not clock:
        return 0.0
    return min(clock - now, 0.0) or max(clock - max(now, until), 0.0)


def _word(text: str) -> str:
    """Return the first word, as of a line of ``sha256sum``."""
    return (text.split() or [""])[0]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _mapping(raw: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(raw)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _listens(line: str) -> Listens | None:
    """Read ``PORT ADDRESS users:(("nginx",pid=7,fd=3))``."""
    words = line.split(maxsplit=2)
    if len(words) < 2 or not words[0].isdigit():  # noqa: PLR2004 - port and address
        return None
    who = ""
    if len(words) > 2 and '(("' in words[2]:  # noqa: PLR2004 - and by whom
        name, _, rest = words[2].partition('(("')[2].partition('"')
        pid = rest.partition("pid=")[2].partition(",")[0]
        who = f"{name} (process {pid})"
    return Listens(int(words[0]), words[1].strip("[]"), who)
