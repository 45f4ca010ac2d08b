"""What a user may set on the embedded platform."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from attrs import Attribute, field, frozen, validators

__all__ = ("DEFAULT_KUBERNETES", "Embedded")

DEFAULT_KUBERNETES = "v1.36.3"

_VERSION = re.compile(r"v1\.\d+\.\d+")
_QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?")
_LIFETIMES = ("detached", "ephemeral")


def _version(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    if not _VERSION.fullmatch(value):
        msg = f"{attribute.name}: {value!r} is no Kubernetes version such as {DEFAULT_KUBERNETES!r}"
        raise ValueError(msg)


def _quantity(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    if not _QUANTITY.fullmatch(value) or not re.search(r"[1-9]", value):
        msg = f"{attribute.name}: {value!r} is no quantity above 0 such as '8' or '16Gi'"
        raise ValueError(msg)


def _between(low: int, high: int) -> Any:  # noqa: ANN401
    def check(_: Any, attribute: Attribute[int], value: int) -> None:  # noqa: ANN401
        if isinstance(value, bool) or not low <= value <= high:
            msg = f"{attribute.name}: {value!r} is not between {low} and {high}"
            raise ValueError(msg)

    return [validators.instance_of(int), check]


def _lifetime(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    if value not in _LIFETIMES:
        legal = " or ".join(repr(each) for each in _LIFETIMES)
        msg = f"{attribute.name}: {value!r} is not {legal}"
        raise ValueError(msg)


def _absolute(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    if value and not Path(value).expanduser().is_absolute():
        msg = f"{attribute.name}: {value!r} is not an absolute path"
        raise ValueError(msg)


def _url(_: Any, attribute: Attribute[str], value: str) -> None:  # noqa: ANN401
    if value and not re.match(r"https?://[^/]", value):
        msg = f"{attribute.name}: {value!r} is no URL that begins with https:// or http://"
        raise ValueError(msg)


@frozen(kw_only=True)
class Embedded:
    """Settings of the embedded platform.

    Attributes:
        kubernetes: version of the control plane.
        nodes: number of simulated nodes, 1 to 500.
        node_cpu: cores of each node, as a Kubernetes quantity.
        node_memory: memory of each node, as a Kubernetes quantity.
        node_pods: how many pods fit on each node.
        port: of the API server on 127.0.0.1; 0 takes a free one and keeps it while it is free.
        data_dir: where etcd keeps its data; empty for the cluster's own state directory.
        assets: a directory that holds the binaries; empty to search for them.
        mirror: base URL of a mirror of the official downloads, with the folders ``kubernetes``,
            ``etcd`` and ``kwok`` and a checksum beside each file; empty for the makers' own sites.
        lifetime: ``detached`` survives the process that made it;
            ``ephemeral`` dies with it, however it dies, and leaves nothing behind.

    Example:
        >>> Embedded(nodes=3).nodes
        3

    """

    kubernetes: str = field(default=DEFAULT_KUBERNETES, validator=_version)
    nodes: int = field(default=1, validator=_between(1, 500))
    node_cpu: str = field(default="32", validator=_quantity)
    node_memory: str = field(default="128Gi", validator=_quantity)
    node_pods: int = field(default=250, validator=_between(1, 100_000))
    port: int = field(default=0, validator=_between(0, 65_535))
    data_dir: str = field(default="", validator=_absolute)
    assets: str = field(default="", validator=_absolute)
    mirror: str = field(default="", validator=_url)
    lifetime: str = field(default="detached", validator=_lifetime)
