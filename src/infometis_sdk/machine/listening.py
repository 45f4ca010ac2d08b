"""Who listens on which port of this machine, as the kernel tells it."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = ("Listener", "listeners")

_LISTEN = "0A"


@frozen(kw_only=True)
class Listener:
    """A socket that listens.

    Attributes:
        address: an IP address; ``0.0.0.0`` or ``::`` for all of the machine's.
        pid: its process; 0 where we may not know it.
        program: the name of that process; empty where we may not know it.
        uid: number of the user whose socket it is.

    """

    address: str
    port: int
    pid: int = 0
    program: str = ""
    uid: int = 0

    def __str__(self) -> str:
        if self.pid:
            return f"{self.program} (process {self.pid})"
        return f"a process of user {self.uid}, which only that user and root may look at"

    def takes(self, address: str) -> bool:
        """Whether nobody else can listen on that address and the same port."""
        mine, other = ipaddress.ip_address(self.address), ipaddress.ip_address(address)
        return mine == other or mine.is_unspecified or other.is_unspecified


def listeners(ports: Collection[int], proc: Path = Path("/proc")) -> tuple[Listener, ...]:
    """Return who listens on these TCP ports; empty where the kernel has no ``/proc``."""
    sockets = {
        inode: listener
        for table in ("tcp", "tcp6")
        for inode, listener in _table(proc / "net" / table)
        if listener.port in ports
    }
    owners = _owners(proc, set(sockets)) if sockets else {}
    return tuple(
        Listener(
            address=listener.address,
            port=listener.port,
            uid=listener.uid,
            pid=owners.get(inode, (0, ""))[0],
            program=owners.get(inode, (0, ""))[1],
        )
        for inode, listener in sockets.items()
    )


def _table(path: Path) -> Iterator[tuple[str, Listener]]:
    """Read one table; its columns are those of ``Documentation/networking/proc_net_tcp``."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        columns = line.split()
        if len(columns) > 9 and columns[3] == _LISTEN:  # noqa: PLR2004 - column 9 is the inode
            address, _, port = columns[1].partition(":")
            yield (
                columns[9],
                Listener(address=_address(address), port=int(port, 16), uid=int(columns[7])),
            )


def _address(text: str) -> str:
    """Turn the kernel's words of four bytes, each in the order of this machine, into an address."""
    words = [bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8)]
    found = ipaddress.ip_address(b"".join(words))
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def _owners(proc: Path, inodes: Collection[str]) -> Mapping[str, tuple[int, str]]:
    """Find the processes that hold these sockets, among those that we may look at."""
    found: dict[str, tuple[int, str]] = {}
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            handles = list((folder / "fd").iterdir())
        except OSError:
            continue
        for handle in handles:
            try:
                target = str(handle.readlink())
            except OSError:
                continue
            inode = target.removeprefix("socket:[").removesuffix("]")
            if target.startswith("socket:[") and inode in inodes and inode not in found:
                found[inode] = (int(folder.name), _program(folder))
    return found


def _program(folder: Path) -> str:
    try:
        return (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a program"
