"""What this machine remembers of a cluster of hosts; the hosts' own marks are the truth."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from attrs import evolve, field, frozen

from infometis_sdk.errors import PlatformError
from infometis_sdk.machine import write_private

__all__ = ("Files", "Record")

_FORMAT = 1


@frozen(kw_only=True)
class Files:
    """The files of one cluster below its state directory."""

    root: Path

    @property
    def lock(self) -> Path:
        """Held while a verb of this machine works."""
        return self.root / "lock"

    @property
    def record(self) -> Path:
        """The :class:`Record`."""
        return self.root / "record.json"

    @property
    def kubeconfig(self) -> Path:
        """Our own kubeconfig."""
        return self.root / "kubeconfig"

    @property
    def sockets(self) -> Path:
        """Sockets of shared SSH connections."""
        return self.root / "ssh"

    @property
    def backups(self) -> Path:
        """Backups that were made before upgrades."""
        return self.root / "backups"


@frozen(kw_only=True)
class Record:
    """The record.

    Attributes:
        uid: tells the cluster from another one of its name.
        hosts: names of the hosts that may carry our mark.
        wanted: ``running`` or ``stopped``.

    """

    uid: str = field(factory=lambda: secrets.token_hex(16))
    hosts: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    wanted: str = "running"

    @classmethod
    def read(cls, files: Files) -> Record | None:
        """Read it; ``None`` where there is none.

        Raises:
            PlatformError: it is damaged.

        """
        try:
            value = json.loads(files.record.read_bytes())
            known = value.pop("format") == _FORMAT
            record = cls(**value)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError):
            known = False
        if not known:
            msg = f"{files.record} is damaged"
            hint = "delete it: what is on the hosts is found again by their marks"
            raise PlatformError(msg, hint=hint)
        return record

    def write(self, files: Files) -> None:
        """Keep it."""
        value = {"format": _FORMAT, "uid": self.uid, "hosts": self.hosts, "wanted": self.wanted}
        write_private(files.record, json.dumps(value, indent=1) + "\n")

    def knowing(self, hosts: tuple[str, ...]) -> Record:
        """Return a record that knows these hosts too."""
        return evolve(self, hosts=tuple(dict.fromkeys((*self.hosts, *hosts))))
