"""What forbids to use a host, or speaks against it: every finding of every host, at once. Pure.

Limits are those of k0s' documentation (system requirements, external runtime dependencies)
and of k0sctl (clock skew).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from infometis_platform_k0s_host.connection import HostError
from infometis_sdk.ports.platform import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from infometis_platform_k0s_host.hosts.facts import Facts
    from infometis_platform_k0s_host.settings import Host, K0sHost
    from infometis_sdk.errors import PlatformError

__all__ = (
    "KERNEL_DEFAULTS",
    "MAX_SKEW",
    "check_binaries",
    "check_cluster",
    "check_hosts",
    "is_foreign",
    "is_whole",
    "ports_of",
    "private_address",
)

MAX_SKEW = 30.0  # seconds, as k0sctl allows
# pkg/kubelet/cm/container_manager_linux.go, setupKernelTunables
KERNEL_DEFAULTS = {
    "kernel.panic": "10",
    "kernel.panic_on_oops": "1",
    "vm.overcommit_memory": "1",
    "vm.panic_on_oom": "0",
}
_GIB = 1 << 20  # in KiB
_LEAST_MEMORY = {"worker": _GIB // 2}  # half a GiB for a worker, one for a controller
_LEAST_FREE = 15  # percent; kubelet evicts pods below
_INSTANCES = 1024
_MAPS = 262_144  # Elasticsearch ends with exit code 78 below
_LOCAL = ("127.", "::1")


def private_address(host: Host, facts: Facts) -> str:
    """Return the address by which other hosts reach this one; it stays what it was at first."""
    if facts.marker is not None and facts.marker.address:
        return facts.marker.address
    return host.private_address or (facts.addresses[0] if facts.addresses else "")


def ports_of(host: Host, settings: K0sHost) -> dict[int, str]:
    """Return the TCP ports that k0s takes on a host, with what for.

    Source: k0s' documentation, "Networking", required ports and protocols.
    """
    ports: dict[int, str] = {}
    if host.controls:
        ports |= {settings.api_port: "Kubernetes API"}
        if host.role != "single":
            ports |= {9443: "k0s API", 8132: "konnectivity"}
        if settings.storage != "kine" and host.role != "single":
            ports |= {2379: "etcd", 2380: "etcd peers"}
    if host.works:
        ports |= {10250: "kubelet"}
    return ports


def is_foreign(facts: Facts, cluster: str) -> str:
    """Return why a host is somebody else's; empty where it is ours or free."""
    if facts.marker_damaged:
        return "our mark /etc/k0s/infometis.json is damaged, so nothing says whose k0s this is"
    if facts.marker is not None:
        if facts.marker.cluster != cluster:
            return f"it belongs to the cluster {facts.marker.cluster!r}"
        return ""
    if facts.units or facts.running or facts.data:
        found = [*facts.units, *(["a running k0s"] if facts.running else []), *facts.data]
        return f"it has a k0s that we did not make ({', '.join(found)})"
    if facts.processes or facts.components:
        found = [each.split()[-1] for each in (*facts.processes, *facts.components)]
        return f"parts of a k0s that we did not make run there ({', '.join(found)})"
    if facts.foreign:
        return f"it has another Kubernetes ({', '.join(facts.foreign)})"
    return ""


def is_whole(host: Host, facts: Facts) -> bool:
    """Whether a host that did its part still holds what it then had."""
    if facts.marker is None or not facts.marker.joined:
        return False
    if not host.controls:
        return "kubelet.conf" in facts.data
    return "pki/ca.crt" in facts.data and bool({"etcd/member", "db"} & {*facts.data})


def check_hosts(
    settings: K0sHost, facts: Mapping[str, Facts], cluster: str
) -> dict[str, tuple[Finding, ...]]:
    """Return the findings of each host that answered, by its name.

    Args:
        settings: of the cluster.
        facts: of each host, by the name in the settings.
        cluster: name of the cluster.

    """
    hosts = [host for host in settings.hosts if host.name in facts]
    found = {host.name: [*_alone(host, facts[host.name], settings, cluster)] for host in hosts}
    for name, finding in _together(settings, hosts, facts):
        found[name].append(finding)
    return {name: tuple(findings) for name, findings in found.items()}


def _error(check: str, detail: str, cure: str) -> Finding:
    return Finding(check=check, level="error", detail=detail, cure=cure)


def _warning(check: str, detail: str, cure: str) -> Finding:
    return Finding(check=check, level="warning", detail=detail, cure=cure)


def _alone(host: Host, facts: Facts, settings: K0sHost, cluster: str) -> Iterator[Finding]:
    if foreign := is_foreign(facts, cluster):
        cure = "take another host, or remove that one's with its own means (`k0s stop; k0s reset`)"
        yield _error("owner", foreign, cure)
        return
    if host.remove:
        return
    yield from _system(facts, settings)
    yield from _resources(host, facts)
    mine = facts.marker
    if mine is None or not (facts.running or facts.units):
        yield from _ports(host, facts, settings)
    if mine is None:
        return
    if mine.joined and mine.role != host.role:
        cure = "set it back, or remove the host (`remove: true`) before it gets another role"
        yield _error("role", f"it is {mine.role!r}, not to become {host.role!r}", cure)
    if mine.address and mine.joined and mine.address not in facts.addresses:
        cure = "give it back that address; etcd and the certificates are bound to it"
        yield _error("address", f"its address {mine.address} is gone", cure)
    if mine.joined and host.private_address not in {"", mine.address}:
        cure = "set it back, or remove the host (`remove: true`) and add it again"
        detail = f"it joined as {mine.address}, not {host.private_address}"
        yield _error("private_address", detail, cure)
    if mine.data_dir != settings.data_dir:
        cure = "set it back; data cannot be moved"
        yield _error("data_dir", f"its data is in {mine.data_dir}, not {settings.data_dir}", cure)


def _system(facts: Facts, settings: K0sHost) -> Iterator[Finding]:
    if facts.system != "Linux":
        yield _error("system", f"it runs {facts.system}", "k0s-host needs Linux hosts")
        return
    if facts.arch not in {"amd64", "arm64"}:
        cure = "k0s-host knows amd64 and arm64"
        yield _error("architecture", f"it is {facts.arch}", cure)
    if not facts.init:
        cure = "install one: k0s runs as a service"
        yield _error("service manager", "neither systemd nor OpenRC nor SysV init", cure)
    if not facts.flock:
        cure = "install util-linux"
        yield _error("flock", "there is no program flock, which our lock needs", cure)
    if facts.noise:
        # It would stand in front of tokens, kubeconfigs and backups too.
        detail = f"the login shell prints something before every command: {facts.noise[:60]!r}"
        cure = (
            "let its start-up files print nothing there: '[ -t 1 ] || return' on top of ~/.bashrc"
        )
        yield _error("login shell", detail, cure)
    if not facts.addresses:
        yield _error(
            "address", "it has no IPv4 address but loopback", "give it one, or `private_address`"
        )
    if not facts.localhost:
        cure = "add the line '127.0.0.1 localhost' to /etc/hosts"
        yield _error("localhost", "/etc/hosts does not name localhost", cure)
    if facts.cgroup != 2 and not settings.cgroup_v1:  # noqa: PLR2004 - the version
        cure = "boot with systemd.unified_cgroup_hierarchy=1, or set `cgroup_v1: true`"
        yield _error("cgroup", "it has cgroup v1, which Kubernetes 1.35 and later refuse", cure)
    if settings.hardening and (wrong := _kernel_defaults(facts)):
        words = " ".join(f"{key}={value}" for key, value in wrong.items())
        cure = f"sysctl -w {words}, and keep it in /etc/sysctl.d"
        yield _error("sysctl", f"a hardened kubelet refuses to start without {words}", cure)
    if settings.encrypted_transport and not facts.wireguard:
        cure = "load the kernel module: modprobe wireguard"
        yield _error("wireguard", f"the kernel {facts.kernel} offers no WireGuard", cure)


def _kernel_defaults(facts: Facts) -> dict[str, str]:
    """Return what a kubelet with protectKernelDefaults asks for and the host does not have."""
    return {key: value for key, value in KERNEL_DEFAULTS.items() if facts.sysctls.get(key) != value}


def _resources(host: Host, facts: Facts) -> Iterator[Finding]:
    least = _LEAST_MEMORY.get(host.role, _GIB)
    if facts.memory and facts.memory < least * 9 // 10:
        detail = f"{facts.memory >> 10} MiB, below {least >> 10}"
        yield _warning("memory", detail, "give the host more memory")
    if facts.disk_size:
        share = 100 * facts.disk_free // facts.disk_size
        if facts.disk_free < _GIB:
            detail = f"{facts.disk_free >> 10} MiB free for k0s' data"
            yield _error("disk", detail, "make room: at least 1 GiB, and 15 %")
        elif share < _LEAST_FREE and host.works:
            cure = f"make room: pods are evicted below {_LEAST_FREE} %"
            yield _warning("disk", f"{share} % free for k0s' data", cure)
    if facts.swaps and host.works:
        cure = "swapoff -a, and remove it from /etc/fstab"
        yield _warning("swap", "swap is on, which kubelet may refuse", cure)
    if facts.instances and facts.instances < _INSTANCES and host.works:
        key = "fs.inotify.max_user_instances"
        cure = f"sysctl -w {key}=8192, and keep it in /etc/sysctl.d"
        yield _warning("inotify", f"{key} is {facts.instances}, below {_INSTANCES}", cure)
    key = "vm.max_map_count"
    maps = facts.sysctls.get(key, "")
    if maps.isdigit() and int(maps) < _MAPS and host.works:
        cure = f"sysctl -w {key}=1048576, and keep it in /etc/sysctl.d"
        yield _warning(key, f"{maps}, below the {_MAPS} that Elasticsearch asks for", cure)
    if abs(facts.skew) > MAX_SKEW:
        cure = "set the clock, for instance by enabling NTP"
        yield _error("clock", f"it is {abs(facts.skew):.0f} s {_ahead(facts.skew)} ours", cure)


def _ahead(skew: float) -> str:
    return "ahead of" if skew > 0 else "behind"


def _ports(host: Host, facts: Facts, settings: K0sHost) -> Iterator[Finding]:
    wanted = ports_of(host, settings)
    for each in facts.listens:
        if each.port in wanted and not _is_k0s(each.who, facts):
            who = each.who or "another program"
            detail = f"{each.address}:{each.port} ({wanted[each.port]}) is taken by {who}"
            yield _error(f"port {each.port}", detail, "end that program, or choose another host")


def _is_k0s(who: str, facts: Facts) -> bool:
    """Whether it is what a killed k0s of ours left behind, which the next one takes over."""
    pid = who.partition("process ")[2].rstrip(")")
    return (
        bool(pid)
        and facts.marker is not None
        and any(each.split()[0] == pid for each in facts.components)
    )


def _together(
    settings: K0sHost, hosts: list[Host], facts: Mapping[str, Facts]
) -> Iterator[tuple[str, Finding]]:
    staying = [host for host in hosts if not host.remove]
    nodes = Counter(facts[host.name].node for host in staying)
    machines = Counter(facts[host.name].machine for host in staying)
    addresses = Counter(private_address(host, facts[host.name]) for host in staying)
    for host in staying:
        mine = facts[host.name]
        if nodes[mine.node] > 1:
            others = [each.name for each in staying if facts[each.name].node == mine.node]
            detail = f"the host name {mine.node!r} is that of {', '.join(others)}"
            yield host.name, _error("host name", detail, "hostnamectl set-hostname NAME")
        address = private_address(host, mine)
        if address and addresses[address] > 1:
            cure = "give each host its own `private_address`"
            yield host.name, _error("address", f"{address} is that of another host too", cure)
        if host.controls and address.startswith(_LOCAL) and len(staying) > 1:
            cure = "set `private_address` to one that the other hosts reach"
            yield host.name, _error("address", f"{address} is loopback", cure)
        if mine.machine and machines[mine.machine] > 1:
            cure = "make each its own: rm /etc/machine-id; systemd-machine-id-setup"
            detail = "its machine ID is that of another host: a cloned disk"
            yield host.name, _warning("machine ID", detail, cure)
    count = len([host for host in staying if host.controls])
    if count > 1 and not count % 2 and settings.storage != "kine":
        detail = f"{count} controllers survive no more losses than {count - 1}"
        yield (
            next(host.name for host in staying if host.controls),
            _warning("controllers", detail, "take an odd number"),
        )
    versions = {
        mark.version for host in hosts if (mark := facts[host.name].marker) and mark.version
    }
    if len(versions) > 1:
        detail = f"hosts run {' and '.join(sorted(versions))}"
        yield (
            hosts[0].name,
            _warning("version", detail, "finish the upgrade: `infometis cluster upgrade`"),
        )


def check_binaries(
    hosts: Mapping[str, Host], facts: Mapping[str, Facts], is_wanted: Callable[[Facts], bool]
) -> dict[str, HostError]:
    """Return the error of each host whose binary forbids that it joins.

    Args:
        hosts: by name.
        facts: of the hosts that may be used.
        is_wanted: whether a host has the binary that new hosts get.

    """
    faults = {}
    versions = {mark.version for each in facts.values() if (mark := each.marker) and mark.joined}
    for name, mine in facts.items():
        if hosts[name].remove or (mine.marker is not None and mine.marker.joined):
            continue
        if mine.marker is None and mine.stamp and not is_wanted(mine):
            msg = (
                f"{name}: /usr/local/bin/k0s is there ({mine.version or 'not known'}) and not ours"
            )
            hint = "remove that file, or set `version` to what it is"
            faults[name] = HostError(msg, host=name, hint=hint)
        elif versions and not any(
            is_wanted(each) for each in facts.values() if each.marker and each.marker.joined
        ):
            msg = f"{name}: it cannot join with another version than the cluster's {min(versions)}"
            hint = "upgrade the cluster first: `infometis cluster upgrade`"
            faults[name] = HostError(msg, host=name, hint=hint)
    return faults


def check_cluster(
    settings: K0sHost, facts: Mapping[str, Facts], failures: Mapping[str, PlatformError]
) -> dict[str, PlatformError]:
    """Return what makes it unsafe to do anything at all; empty where the rest may go on.

    Args:
        settings: of the cluster.
        facts: of the hosts that may be used.
        failures: of those that may not.

    """
    controllers = settings.controllers
    whole = [
        host for host in controllers if host.name in facts and is_whole(host, facts[host.name])
    ]
    if whole:
        return {}
    # Nobody who answers has the cluster, so one who does not answer may be the one that has.
    missing = {host.name: failures[host.name] for host in controllers if host.name in failures}
    lost = {}
    for host in controllers:
        mine = facts.get(host.name)
        if mine is not None and mine.marker is not None and mine.marker.joined:
            msg = f"{host.name}: the data of the cluster is gone from {mine.marker.data_dir}"
            hint = "restore a backup (`infometis cluster restore`), or destroy the cluster"
            lost[host.name] = HostError(msg, host=host.name, hint=hint)
    return {**missing, **lost}
