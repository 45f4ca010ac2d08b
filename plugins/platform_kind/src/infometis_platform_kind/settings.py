"""What a user may set on the platform ``kind``."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any

from attrs import Attribute, field, frozen, validators

from infometis_platform_kind.releases import DEFAULT_KUBERNETES, KIND, NODE_IMAGES

__all__ = ("Kind", "PortMapping")

_VERSION = re.compile(r"v1\.\d+\.\d+")
_PORT = re.compile(r"(?P<host>\d{1,5}):(?P<node>\d{1,5})(?:/(?P<protocol>tcp|udp|sctp))?")
_NAME = re.compile(r"[a-z0-9.-]{1,50}")
_PROVIDERS = ("", "docker", "podman", "nerdctl", "finch")
_HIGHEST = 65_535


@frozen
class PortMapping:
    """A port of this machine that leads to one of the first node.

    Example:
        >>> PortMapping.parse("8443:443")
        PortMapping(host=8443, node=443, protocol='TCP')

    """

    host: int
    node: int
    protocol: str = "TCP"

    @classmethod
    def parse(cls, text: str) -> PortMapping:
        """Read ``HOST:NODE`` or ``HOST:NODE/udp``.

        Raises:
            ValueError: it is something else.

        """
        match = _PORT.fullmatch(text)
        if match is None or not all(
            0 < int(port) <= _HIGHEST for port in (match["host"], match["node"])
        ):
            msg = f"{text!r} is no port mapping such as '8080:80' or '8080:80/udp'"
            raise ValueError(msg)
        return cls(int(match["host"]), int(match["node"]), (match["protocol"] or "tcp").upper())


def _version(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    if not _VERSION.fullmatch(value):
        msg = f"{attribute.name}: {value!r} is no Kubernetes version such as {DEFAULT_KUBERNETES!r}"
        raise ValueError(msg)


def _ports(_: Any, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:  # noqa: ANN401
    seen: set[tuple[int, str]] = set()
    for text in value:
        try:
            found = PortMapping.parse(text)
        except ValueError as error:
            msg = f"{attribute.name}: {error}"
            raise ValueError(msg) from None
        if (found.host, found.protocol) in seen:
            msg = f"{attribute.name}: {text!r} takes a host port twice"
            raise ValueError(msg)
        seen.add((found.host, found.protocol))


def _address(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    try:
        ipaddress.ip_address(value)
    except ValueError:
        msg = f"{attribute.name}: {value!r} is no IP address"
        raise ValueError(msg) from None


def _between(low: int, high: int) -> Any:  # noqa: ANN401
    def check(_: Any, attribute: Attribute[int], value: int) -> None:  # noqa: ANN401
        if isinstance(value, bool) or not low <= value <= high:
            msg = f"{attribute.name}: {value!r} is not between {low} and {high}"
            raise ValueError(msg)

    return [validators.instance_of(int), check]


def _cluster_name(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    if value and not _NAME.fullmatch(value):
        msg = f"{attribute.name}: {value!r} is no name of a kind cluster: a-z, 0-9, '.', '-', to 50"
        raise ValueError(msg)


def _absolute(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    if value and not Path(value).expanduser().is_absolute():
        msg = f"{attribute.name}: {value!r} is not an absolute path"
        raise ValueError(msg)


@frozen(kw_only=True)
class Kind:
    """Settings of the platform ``kind``.

    Attributes:
        kubernetes: version of Kubernetes; one of those whose node image is pinned here,
            or any where ``image`` names its image.
        image: node image, best by digest; empty for the pinned one of ``kubernetes``.
        workers: nodes beside the control plane, 0 to 20; without one, the control plane runs pods.
        ports: ports of this machine that lead to the first node, such as ``8443:443``;
            they cannot be changed without making the cluster anew.
        listen: address of this machine on which these ports listen.
        api_port: of the API server on 127.0.0.1; 0 takes a free one and keeps it.
        adopt: name of an existing kind cluster to use instead of making one;
            it is never removed.
        binary: path of the kind program; empty to search for it.
        provider: container engine; empty for ``KIND_EXPERIMENTAL_PROVIDER``, else ``docker``.
        ignore_preflight: checks whose errors do not stop ``up``, by the names that
            ``infometis doctor`` shows, such as ``cgroup``.

    Example:
        >>> Kind(workers=2).ports
        ('80:80', '443:443')

    """

    kubernetes: str = field(default=DEFAULT_KUBERNETES, validator=_version)
    image: str = ""
    workers: int = field(default=0, validator=_between(0, 20))
    ports: tuple[str, ...] = field(
        default=("80:80", "443:443"), converter=tuple[str, ...], validator=_ports
    )
    listen: str = field(default="127.0.0.1", validator=_address)
    api_port: int = field(default=0, validator=_between(0, _HIGHEST))
    adopt: str = field(default="", validator=_cluster_name)
    binary: str = field(default="", validator=_absolute)
    provider: str = field(default="", validator=validators.in_(_PROVIDERS))
    ignore_preflight: tuple[str, ...] = field(default=(), converter=tuple[str, ...])

    def __attrs_post_init__(self) -> None:
        if not self.image and self.kubernetes not in NODE_IMAGES:
            known = ", ".join(NODE_IMAGES)
            msg = f"kubernetes: kind {KIND} has no image of {self.kubernetes!r}, only of {known}"
            raise ValueError(msg)

    @property
    def node_image(self) -> str:
        """The image that nodes are made of."""
        return self.image or f"kindest/node:{self.kubernetes}@{NODE_IMAGES[self.kubernetes]}"

    @property
    def mappings(self) -> tuple[PortMapping, ...]:
        """The ports, read."""
        return tuple(PortMapping.parse(text) for text in self.ports)
