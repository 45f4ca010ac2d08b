"""What a user may set on the platform ``k0s-host``."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from attrs import Attribute, field, frozen, validators

__all__ = ("CONTROLLERS", "DEFAULT_VERSION", "ROLES", "WORKERS", "Host", "K0sHost")

DEFAULT_VERSION = "v1.36.3+k0s.2"
ROLES = ("controller", "controller+worker", "single", "worker")
CONTROLLERS = ("controller", "controller+worker", "single")
WORKERS = ("controller+worker", "single", "worker")

_VERSION = re.compile(r"v1\.\d+\.\d+([-.][0-9A-Za-z.-]+)?\+k0s(\.\d+)?")
# A leading hyphen would be an option of ssh; blanks and @ belong in fields of their own.
_ADDRESS = re.compile(r"[0-9A-Za-z_\[:][0-9A-Za-z_.:%\]-]*")
_USER = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.$\\@-]*")
_LABEL = re.compile(r"([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?")
_TAINT = re.compile(r"[^=:,]+(=[^=:,]*)?:(NoSchedule|PreferNoSchedule|NoExecute)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_PORT = 65_535


def _one_of(*legal: str) -> Any:  # noqa: ANN401
    def check(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
        if value not in legal:
            words = ", ".join(repr(each) for each in legal)
            msg = f"{attribute.name}: {value!r} is none of {words}"
            raise ValueError(msg)

    return check


def _like(pattern: re.Pattern[str], what: str, *, empty: bool = True) -> Any:  # noqa: ANN401
    def check(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
        if not (empty and not value) and not pattern.fullmatch(value):
            msg = f"{attribute.name}: {value!r} is no {what}"
            raise ValueError(msg)

    return check


def _between(low: int, high: int) -> Any:  # noqa: ANN401
    def check(_: Any, attribute: Attribute[int], value: int) -> None:  # noqa: ANN401
        if isinstance(value, bool) or not low <= value <= high:
            msg = f"{attribute.name}: {value!r} is not between {low} and {high}"
            raise ValueError(msg)

    return [validators.instance_of(int), check]


def _ip(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    try:
        if value:
            ipaddress.ip_address(value)
    except ValueError:
        msg = f"{attribute.name}: {value!r} is no IP address"
        raise ValueError(msg) from None


def _network(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    try:
        ipaddress.ip_network(value)
    except ValueError:
        msg = f"{attribute.name}: {value!r} is no network such as '10.244.0.0/16'"
        raise ValueError(msg) from None


def _labels(_: Any, attribute: Attribute[Any], value: Mapping[str, str]) -> None:  # noqa: ANN401
    for key, text in value.items():
        if not _LABEL.fullmatch(key) or not _VALUE.fullmatch(text):
            msg = f"{attribute.name}: {key!r}: {text!r} is no label of Kubernetes"
            raise ValueError(msg)


def _taints(_: Any, attribute: Attribute[Any], value: tuple[str, ...]) -> None:  # noqa: ANN401
    for taint in value:
        if not _TAINT.fullmatch(taint):
            msg = f"{attribute.name}: {taint!r} is no taint such as 'key=value:NoSchedule'"
            raise ValueError(msg)


def _data_dir(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    path = PurePosixPath(value)
    if not path.is_absolute() or len(path.parts) < 3 or ".." in path.parts:  # noqa: PLR2004
        msg = f"{attribute.name}: {value!r} is no folder of its own such as '/var/lib/k0s'"
        raise ValueError(msg)


def _url(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    if value and not re.match(r"https?://[^/@]+(/|$)", value):
        msg = f"{attribute.name}: no URL that begins with https:// or http://, without a password"
        raise ValueError(msg)


@frozen(kw_only=True)
class Host:
    """One machine.

    Attributes:
        address: name or IP address for ``ssh``, or a ``Host`` of the SSH configuration;
            empty only for ``connection: local``.
        role: ``controller``, ``controller+worker``, ``worker``, or ``single`` for a cluster
            of one node that can never grow.
        connection: ``ssh``, or ``local`` for this very machine.
        user: user to log in as, root or one with ``sudo`` without a password;
            empty for that of the SSH configuration.
        port: SSH port; 0 for that of the SSH configuration.
        key: file with the private key; empty for the SSH configuration and agent.
        private_address: IP address by which the other hosts reach it;
            empty for the one of its default route.
        labels: labels of its node.
        taints: taints of its node, as ``key=value:Effect``.
        remove: true to drain the host, take it out of the cluster and clean it.

    Example:
        >>> Host(address="10.0.0.7", role="worker", user="admin").name
        '10.0.0.7'

    """

    address: str = field(default="", validator=_like(_ADDRESS, "address"))
    role: str = field(default="worker", validator=_one_of(*ROLES))
    connection: str = field(default="ssh", validator=_one_of("ssh", "local"))
    user: str = field(default="", validator=_like(_USER, "user name"))
    port: int = field(default=0, validator=_between(0, _MAX_PORT))
    key: str = ""
    private_address: str = field(default="", validator=_ip)
    labels: Mapping[str, str] = field(factory=dict, validator=_labels)
    taints: tuple[str, ...] = field(default=(), converter=tuple[str, ...], validator=_taints)
    remove: bool = False

    @property
    def name(self) -> str:
        """How messages call it, and what tells it from the other hosts."""
        address = self.address or "localhost"
        return f"{address}:{self.port}" if self.port else address

    @property
    def controls(self) -> bool:
        """Whether it runs a part of the control plane."""
        return self.role in CONTROLLERS

    @property
    def works(self) -> bool:
        """Whether it is a node that runs pods."""
        return self.role in WORKERS


def _hosts(_: Any, attribute: Attribute[Any], hosts: tuple[Host, ...]) -> None:  # noqa: ANN401
    name = attribute.name
    faults = [
        f"{name}[{index}]: connection 'ssh' needs an address"
        for index, host in enumerate(hosts)
        if host.connection == "ssh" and not host.address
    ]
    names = [host.name for host in hosts]
    faults += [
        f"{name}: {each!r} is named {names.count(each)} times"
        for each in dict.fromkeys(names)
        if names.count(each) > 1
    ]
    staying = [host for host in hosts if not host.remove]
    if not any(host.controls for host in staying):
        faults.append(
            f"{name}: name at least one host with the role 'single', 'controller' or "
            f"'controller+worker'"
        )
    if len(staying) > 1 and any(host.role == "single" for host in staying):
        faults.append(
            f"{name}: the role 'single' allows no other host; use 'controller+worker' to grow"
        )
    if sum(host.connection == "local" for host in hosts) > 1:
        faults.append(f"{name}: only one host can be this very machine")
    if faults:
        raise ValueError("; ".join(faults))


@frozen(kw_only=True)
class K0sHost:
    """Settings of the platform ``k0s-host``.

    Attributes:
        hosts: the machines.
        version: version of k0s; its Kubernetes has the same number without ``+k0s.N``.
        binary: a k0s binary of this machine to install, where ``{arch}`` stands for
            ``amd64`` or ``arm64``; empty to download the release.
        sha256: checksum of the binary; empty to take the one that the release publishes
            (for ``binary``, its own, so that at least each host gets the same).
        signature_key: file with the public key of the makers, in PEM;
            where it is given, the binary's ``.sig`` must be by that key.
        mirror: base URL that holds ``VERSION/k0s-VERSION-ARCH`` and ``VERSION/sha256sums.txt``
            instead of the makers' site.
        images: archive with the images of an air-gapped installation, put on each worker.
        external_address: name or address of the load balancer before the controllers;
            empty for the first controller's.
        api_port: port of the Kubernetes API.
        data_dir: where k0s keeps its data.
        storage: ``etcd``, or ``kine`` (one controller only); empty for k0s' own choice.
        network: ``kuberouter``, ``calico``, or ``custom`` where you install your own.
        pod_cidr, service_cidr: networks of pods and services.
        encrypted_transport: true for WireGuard between the nodes; needs ``calico``.
        hardening: true for what the CIS benchmark asks beyond k0s' defaults: audit log,
            secrets encrypted at rest, limits on events, restricted kubelets.
        storage_class: true to bring a provisioner of local volumes and a default class.
        metrics: true for the metrics server that k0s brings.
        cgroup_v1: true to accept hosts with cgroup v1, which Kubernetes refuses by default.
        ssh_config: SSH configuration to use instead of the user's own.
        batch: how many workers are upgraded at once, in percent, and at least one.
        drain_seconds: how long pods of a drained node may take to end.
        config: merged into the ``spec`` of the generated ClusterConfig, for all else.

    Example:
        >>> K0sHost(hosts=(Host(address="10.0.0.5", role="single"),)).leader.name
        '10.0.0.5'

    """

    hosts: tuple[Host, ...] = field(default=(), converter=tuple[Host, ...], validator=_hosts)
    version: str = field(
        default=DEFAULT_VERSION, validator=_like(_VERSION, f"version such as {DEFAULT_VERSION!r}")
    )
    binary: str = ""
    sha256: str = field(default="", validator=_like(_SHA256, "SHA-256 of 64 hexadecimal digits"))
    signature_key: str = ""
    mirror: str = field(default="", validator=_url)
    images: str = ""
    external_address: str = field(default="", validator=_like(_ADDRESS, "address"))
    api_port: int = field(default=6443, validator=_between(1, _MAX_PORT))
    data_dir: str = field(default="/var/lib/k0s", validator=_data_dir)
    storage: str = field(default="", validator=_one_of("", "etcd", "kine"))
    network: str = field(default="kuberouter", validator=_one_of("kuberouter", "calico", "custom"))
    pod_cidr: str = field(default="10.244.0.0/16", validator=_network)
    service_cidr: str = field(default="10.96.0.0/12", validator=_network)
    encrypted_transport: bool = False
    hardening: bool = False
    storage_class: bool = True
    metrics: bool = True
    cgroup_v1: bool = False
    ssh_config: str = ""
    batch: int = field(default=10, validator=_between(1, 100))
    drain_seconds: int = field(default=120, validator=_between(1, 86_400))
    config: Mapping[str, Any] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        faults = []
        if self.encrypted_transport and self.network != "calico":
            faults.append(
                f"encrypted_transport: WireGuard needs network 'calico', not {self.network!r}"
            )
        if self.storage == "kine" and len(self.controllers) > 1:
            faults.append("storage: 'kine' allows one controller; use 'etcd'")
        if ipaddress.ip_network(self.pod_cidr).overlaps(ipaddress.ip_network(self.service_cidr)):
            faults.append(f"pod_cidr: {self.pod_cidr} overlaps service_cidr {self.service_cidr}")
        if faults:
            raise ValueError("; ".join(faults))

    @property
    def staying(self) -> tuple[Host, ...]:
        """The hosts that are to be part of the cluster."""
        return tuple(host for host in self.hosts if not host.remove)

    @property
    def controllers(self) -> tuple[Host, ...]:
        """The hosts of the control plane, the first one first."""
        return tuple(host for host in self.staying if host.controls)

    @property
    def leader(self) -> Host:
        """The controller that begins a new cluster."""
        return self.controllers[0]
