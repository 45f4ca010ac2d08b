"""What we remember of a cluster that we made: enough to know it again, and nothing secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from infometis_sdk.errors import PlatformError
from infometis_sdk.machine import write_private

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ("FILE", "Plan")

FILE = "cluster.json"
_FORMAT = 1


@frozen(kw_only=True)
class Plan:
    """A cluster of ours, from before its first container on.

    Attributes:
        name: what kind calls it.
        image, workers, ports, listen, api_port: what it was made with; kind cannot change them.
        nodes: ID of each node's container by its name; empty until kind has made them all.
        addresses: IP address of each node when it was made.
        network: name of the network where that was made for this cluster; else empty.

    """

    name: str
    image: str
    workers: int = 0
    ports: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    listen: str = "127.0.0.1"
    api_port: int = 0
    nodes: Mapping[str, str] = field(factory=dict)
    addresses: Mapping[str, str] = field(factory=dict)
    network: str = ""

    @property
    def made(self) -> bool:
        """Whether kind finished making it."""
        return bool(self.nodes)

    @classmethod
    def read(cls, folder: Path) -> Plan | None:
        """Return the plan in a folder; ``None`` where there is none.

        Raises:
            PlatformError: the file is damaged, or of a newer format.

        """
        path = folder / FILE
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if data.pop("format") != _FORMAT:
                msg = f"{path} was written by a newer version of this plugin"
                raise PlatformError(msg, hint="upgrade infometis-platform-kind")
            return cls(**data)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"what is remembered of the cluster cannot be read: {path}: {error}"
            hint = "remove the file, and the containers with 'kind delete cluster'"
            raise PlatformError(msg, hint=hint) from error

    def write(self, folder: Path) -> Plan:
        """Write it into a folder, atomically, and return it."""
        write_private(folder / FILE, json.dumps({"format": _FORMAT, **attrs.asdict(self)}))
        return self
