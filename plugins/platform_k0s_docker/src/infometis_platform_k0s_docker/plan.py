"""What we remember of a cluster that we made: enough to know it again, and nothing secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

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
        cluster: its name.
        id: drawn when it was made; every object of it in Docker carries it as a label.
        version: of k0s.
        reference: its image, by repository and tag.
        image: the same image by its ID, which containers are made from.
        digest: by which a registry knows it; empty where it came from no registry.
        single: whether it was made for one node for ever.
        api_port: of the API server on this machine.
        subnet: of its network; empty before that was made.
        data: number of the first node's data volume; a restore makes a new one.
        made: whether it was ready once.

    """

    cluster: str
    id: str
    version: str
    reference: str
    single: bool
    image: str = ""
    digest: str = ""
    api_port: int = 0
    subnet: str = ""
    data: int = 0
    made: bool = False

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
                raise PlatformError(msg, hint="upgrade infometis-platform-k0s-docker")
            return cls(**data)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"what is remembered of the cluster cannot be read: {path}: {error}"
            hint = "its containers and volumes carry the label io.infometis.cluster"
            raise PlatformError(msg, hint=hint) from error

    def write(self, folder: Path) -> Plan:
        """Write it into a folder, atomically, and return it."""
        write_private(folder / FILE, json.dumps({"format": _FORMAT, **attrs.asdict(self)}))
        return self
