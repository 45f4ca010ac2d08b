"""Our mark on a host: it says whose the k0s there is, and how far its making went.

It is written before anything else is touched, so that whatever a crash leaves behind is known
to be ours; a host with k0s and without the mark is somebody else's.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve, field, frozen

__all__ = ("FORMAT", "MARKER", "Marker")

MARKER = "/etc/k0s/infometis.json"
FORMAT = 1


@frozen(kw_only=True)
class Marker:
    """The mark.

    Attributes:
        cluster: name of the cluster.
        uid: made once for each cluster; a second one of the same name has another.
        role: role with which k0s was installed.
        address: by which the other hosts reach it; etcd does not survive another one.
        joined: true once the host did its part; false while it is being made.
        upgrading: true while its node is closed for an upgrade.
        arguments: those that its service was installed with.
        config: SHA-256 of the k0s.yaml that its k0s was started with; empty on workers.
        stamp: size, time and inode of the binary, so that it need not be read again.
        sha256, version: of the binary.
        binary_ours: false where the very same binary was there before us.
        present: what was there before us, and so must stay.
        links: network interfaces that were there before us.
        labels, taints: those that we gave its node, so that dropped ones can be taken back.
        images: SHA-256 of the archive of images that was put there.
        data_dir: where its data is.

    """

    cluster: str
    uid: str
    role: str
    address: str = ""
    joined: bool = False
    upgrading: bool = False
    arguments: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    config: str = ""
    stamp: str = ""
    sha256: str = ""
    version: str = ""
    binary_ours: bool = True
    present: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    links: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    labels: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    taints: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    images: str = ""
    data_dir: str = "/var/lib/k0s"

    def evolve(self, **changes: Any) -> Marker:  # noqa: ANN401 - the fields above
        """Return a mark with some fields changed."""
        return evolve(self, **changes)

    def to_json(self) -> str:
        """Return the text of the file."""
        import attrs

        return json.dumps({"format": FORMAT, **attrs.asdict(self)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Marker | None:
        """Read what :meth:`to_json` wrote; ``None`` where it is not that.

        Example:
            >>> mark = Marker(cluster="prod", uid="1", role="worker")
            >>> Marker.from_json(mark.to_json()) == mark
            True
            >>> Marker.from_json("{}") is None
            True

        """
        try:
            value = json.loads(text)
            if value.pop("format") != FORMAT:
                return None
            return cls(**value)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
