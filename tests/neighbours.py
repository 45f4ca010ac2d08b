"""Hosts beside this machine: network namespaces with an address, in which a test serves.

Kubernetes refuses loopback addresses as the addresses of pods, so that what a genuine Traefik is
to reach has to be somewhere else.
A host here is an unnamed network namespace, tied to this one by a pair of virtual cards:
the kernel removes both with the last thread and socket inside, so nothing survives the test,
however that ends.
Sockets that are opened there stay there, and are served by threads of the test itself, which
therefore sees every request.
Needs root and iproute2; addresses are those of RFC 2544, which no one else uses.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import os
import random
import shutil
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from tests.claims import claimed

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("Neighbour", "missing_parts")

_CLONE_NEWNET = 0x40000000
_NUMBERS = range(1 << 14)


def missing_parts() -> str:
    """Return why there can be no such host here; empty where there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "there is no ip; Debian: iproute2"
    tried = subprocess.run(
        ["unshare", "--net", "true"], capture_output=True, text=True, check=False
    )
    return f"no network namespaces: {tried.stderr.strip()}" if tried.returncode else ""


class Neighbour:
    """One host; use it as a context.

    Attributes:
        address: its IPv4 address, which this machine reaches.
        gateway: this machine's address, as the host sees it.

    """

    address: str
    gateway: str

    def __init__(self) -> None:
        self._card = ""
        self._held = contextlib.ExitStack()
        self._inside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="neighbour")

    def __enter__(self) -> Self:
        number = self._number()
        # Four addresses each: network, this machine's end, the host's end, broadcast.
        network = ipaddress.ip_address("198.19.0.0") + 4 * number
        self.gateway, self.address = str(network + 1), str(network + 2)
        self._card = f"imn{number}"
        thread = self._inside.submit(_leave).result()
        argv = ["link", "add", self._card, "type", "veth", "peer", "name", "eth0"]
        _ip(*argv, "netns", str(thread))
        _ip("addr", "add", f"{self.gateway}/30", "dev", self._card)
        _ip("link", "set", self._card, "up")
        for line in (
            ("addr", "add", f"{self.address}/30", "dev", "eth0"),
            ("link", "set", "lo", "up"),
            ("link", "set", "eth0", "up"),
            ("route", "add", "default", "via", self.gateway),
        ):
            self._inside.submit(_ip, *line).result()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(RuntimeError):
            _ip("link", "del", self._card)
        self._inside.shutdown()
        self._held.close()

    def _number(self) -> int:
        """Return a number that no other test run of this machine has."""
        for number in random.sample(_NUMBERS, 100):
            if self._held.enter_context(claimed(f"neighbour-{number}")):
                return number
        msg = "no addresses are left"
        raise RuntimeError(msg)

    def listen(self, port: int = 0) -> socket.socket:
        """Return a socket that listens on this host; port 0 for any free one."""
        return self._inside.submit(_listen, self.address, port).result()

    def connect(self, address: tuple[str, int]) -> socket.socket:
        """Return a connection that comes from this host."""
        return self._inside.submit(socket.create_connection, address, 30).result()

    def start(self, argv: Sequence[str], log: str) -> subprocess.Popen[bytes]:
        """Run a program on this host, which dies with the host."""

        def start() -> subprocess.Popen[bytes]:
            with open(log, "wb") as out:  # noqa: PTH123 - as Popen takes it
                return subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", *argv],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                )

        return self._inside.submit(start).result()


def _leave() -> int:
    """Leave the network of this machine, on this thread alone, and return the thread's number."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    return threading.get_native_id()


def _listen(address: str, port: int) -> socket.socket:
    return socket.create_server((address, port), backlog=512)


def _ip(*argv: str) -> None:
    done = subprocess.run(["ip", *argv], capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"ip {' '.join(argv)}: {done.stderr.strip()}"
        raise RuntimeError(msg)
