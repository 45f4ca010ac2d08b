"""What a user may set on the platform ``k0s-docker``."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import Attribute, field, frozen, validators

from infometis_platform_k0s_docker.versions import K0sVersion

__all__ = ("DEFAULT_VERSION", "K0sDocker", "PortMapping")

DEFAULT_VERSION = "v1.36.3+k0s.2"
_PORT = re.compile(r"(?P<host>\d{1,5}):(?P<node>\d{1,5})(?:/(?P<protocol>tcp|udp|sctp))?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REPOSITORY = re.compile(r"[a-z0-9][a-z0-9._:-]*(/[a-z0-9][a-z0-9._-]*)+")
_HIGHEST = 65_535
_API = 6443


@frozen
class PortMapping:
    """A port of this machine that leads to one of the first node.

    Example:
        >>> PortMapping.parse("8443:443")
        PortMapping(host=8443, node=443, protocol='tcp')

    """

    host: int
    node: int
    protocol: str = "tcp"

    @classmethod
    def parse(cls, text: str) -> PortMapping:
        """Read ``HOST:NODE`` or ``HOST:NODE/udp``.

        Raises:
            ValueError: it is something else.

        """
        match = _PORT.fullmatch(text)
        if match is None or not all(0 < int(match[key]) <= _HIGHEST for key in ("host", "node")):
            msg = f"{text!r} is no port mapping such as '8080:80' or '8080:80/udp'"
            raise ValueError(msg)
        return cls(int(match["host"]), int(match["node"]), match["protocol"] or "tcp")


def _version(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    try:
        K0sVersion.parse(value)
    except ValueError as error:
        msg = f"{attribute.name}: {error}"
        raise ValueError(msg) from None


def _repository(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    if not _REPOSITORY.fullmatch(value):
        msg = (
            f"{attribute.name}: {value!r} is no repository such as 'docker.io/k0sproject/k0s'; "
            "the tag comes from `version`, and `digest` pins it"
        )
        raise ValueError(msg)


def _digest(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    if value and not _DIGEST.fullmatch(value):
        msg = f"{attribute.name}: {value!r} is no digest: 'sha256:' and 64 hexadecimal digits"
        raise ValueError(msg)


def _ports(_: Any, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:  # noqa: ANN401
    seen: set[tuple[int, str]] = set()
    for text in value:
        try:
            found = PortMapping.parse(text)
        except ValueError as error:
            msg = f"{attribute.name}: {error}"
            raise ValueError(msg) from None
        if found.node == _API and found.protocol == "tcp":
            msg = f"{attribute.name}: {text!r} names the API server, for which there is `api_port`"
            raise ValueError(msg)
        if (found.host, found.protocol) in seen:
            msg = f"{attribute.name}: {text!r} takes a host port twice"
            raise ValueError(msg)
        seen.add((found.host, found.protocol))


def _address(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        msg = f"{attribute.name}: {value!r} is no IPv4 address"
        raise ValueError(msg) from None


def _subnet(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    try:
        network = ipaddress.IPv4Network(value) if value else None
    except ValueError as error:
        msg = f"{attribute.name}: {error}"
        raise ValueError(msg) from None
    if network is not None and not network.is_private:
        msg = f"{attribute.name}: {value!r} is no private network such as '172.30.9.0/24'"
        raise ValueError(msg)


def _between(low: int, high: int) -> Any:  # noqa: ANN401
    def check(_: Any, attribute: Attribute[int], value: int) -> None:  # noqa: ANN401
        if isinstance(value, bool) or not low <= value <= high:
            msg = f"{attribute.name}: {value!r} is not between {low} and {high}"
            raise ValueError(msg)

    return [validators.instance_of(int), check]


def _absolute(_: Any, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:  # noqa: ANN401
    for each in value:
        if not Path(each).expanduser().is_absolute():
            msg = f"{attribute.name}: {each!r} is not an absolute path"
            raise ValueError(msg)


@frozen(kw_only=True)
class K0sDocker:
    """Settings of the platform ``k0s-docker``.

    Attributes:
        version: version of k0s; a cluster that is there is only changed by an upgrade.
        image: repository of the image of k0s; its tag comes from ``version``.
        digest: digest that the image must have, ``sha256:…``;
            empty to keep to the one that is found when the cluster is made.
        nodes: nodes in all, 1 to 20; each is a container, and the first holds the control plane.
        growable: whether a cluster of one node may get more later;
            it then runs etcd where it would have run SQLite.
        ports: ports of this machine that lead to the first node, such as ``8443:443``.
        listen: IPv4 address of the machine of Docker on which these ports and the API listen.
        api_port: of the API server; 0 takes a free one and keeps it.
        host: of Docker, such as ``unix:///run/docker.sock``;
            empty for ``DOCKER_HOST``, else the current context of the docker program.
        network: private subnet of the nodes, such as ``172.30.9.0/24``; empty to have one chosen.
        privileged: whether nodes run with all privileges;
            without, with the few that k0s documents, which some workloads find too few.
        config: put over ``spec`` of the ClusterConfig of k0s; mappings merge, lists replace.
        mirror: registry from which k0s takes its own images; empty for their own ones.
        ca_files: files with certificates of authorities that nodes trust when they pull images.
        proxy: whether ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``NO_PROXY`` are passed on to nodes.
        storage: whether a provisioner of volumes is installed, as the default StorageClass.
        ignore_preflight: checks whose errors do not stop ``up``, by the names that
            ``infometis doctor`` shows; ``cgroup`` also makes kubelet accept cgroup v1.

    Example:
        >>> K0sDocker(nodes=3).single
        False

    """

    version: str = field(default=DEFAULT_VERSION, validator=_version)
    image: str = field(default="docker.io/k0sproject/k0s", validator=_repository)
    digest: str = field(default="", validator=_digest)
    nodes: int = field(default=1, validator=_between(1, 20))
    growable: bool = False
    ports: tuple[str, ...] = field(
        default=("80:80", "443:443"), converter=tuple[str, ...], validator=_ports
    )
    listen: str = field(default="127.0.0.1", validator=_address)
    api_port: int = field(default=0, validator=_between(0, _HIGHEST))
    host: str = ""
    network: str = field(default="", validator=_subnet)
    privileged: bool = True
    config: Mapping[str, Any] = field(factory=dict)
    mirror: str = ""
    ca_files: tuple[str, ...] = field(default=(), converter=tuple[str, ...], validator=_absolute)
    proxy: bool = True
    storage: bool = True
    ignore_preflight: tuple[str, ...] = field(default=(), converter=tuple[str, ...])

    @property
    def single(self) -> bool:
        """Whether the cluster is of one node for ever."""
        return self.nodes == 1 and not self.growable

    @property
    def cgroup_v1(self) -> bool:
        """Whether nodes shall do with cgroup v1."""
        return "cgroup" in self.ignore_preflight

    @property
    def mappings(self) -> tuple[PortMapping, ...]:
        """The ports, read."""
        return tuple(PortMapping.parse(text) for text in self.ports)

    @property
    def reference(self) -> str:
        """The image by repository and tag."""
        return f"{self.image}:{K0sVersion.parse(self.version).tag}"
