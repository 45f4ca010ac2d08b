"""Hosts beside this machine: network namespaces with an address, in which a test serves.

Kubernetes refuses loopback addresses as the addresses of pods, so that what a genuine Traefik is
to reach has to be somewhere else.
A host here is an unnamed network namespace, tied to this one by a pair of virtual cards:
the kernel removes both with the last thread and socket inside, so nothing survives the test,
however that ends.
Sockets that are opened there stay there, and are served by threads of the test itself, which
therefore sees every request.
Needs root and iproute2; addresses are those for documentation (RFC 5737), which no one else uses.
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
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ("Neighbour", "missing_parts")

_CLONE_NEWNET = 0x40000000
_NETWORKS = [
    network
    for block in ("198.51.100.0/24", "203.0.113.0/24")
    for network in ipaddress.IPv4Network(block).subnets(new_prefix=28)
]


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
        clients: further addresses of this machine on that network, for clients that are told apart.

    """

    address: str
    gateway: str
    clients: tuple[str, ...]

    def __init__(self) -> None:
        self._card = ""
        self._held = contextlib.ExitStack()
        self._inside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="neighbour")

    def __enter__(self) -> Self:
        network = self._network()
        self.gateway, self.address, *clients = map(str, network.hosts())
        self.clients = tuple(clients)
        self._card = f"nbr{int(network.network_address) % (1 << 16)}"
        thread = self._inside.submit(_leave).result()
        argv = ["link", "add", self._card, "type", "veth", "peer", "name", "eth0"]
        _ip(*argv, "netns", str(thread))
        for mine in (self.gateway, *self.clients):
            _ip("addr", "add", f"{mine}/28", "dev", self._card)
        _ip("link", "set", self._card, "up")
        for line in (
            ("addr", "add", f"{self.address}/28", "dev", "eth0"),
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

    def _network(self) -> ipaddress.IPv4Network:
        """Return a network that no other test run of this machine has."""
        for network in random.sample(_NETWORKS, len(_NETWORKS)):
            name = f"neighbour-{network.network_address}"
            if self._held.enter_context(claimed(name)):
                return network
        msg = "no addresses are left"
        raise RuntimeError(msg)

    def listen(self, port: int = 0) -> socket.socket:
        """Return a socket that listens on this host; port 0 for any free one."""
        return self._inside.submit(_listen, self.address, port).result()

    def connect(self, address: tuple[str, int]) -> socket.socket:
        """Return a connection that comes from this host."""
        return self._inside.submit(socket.create_connection, address, 30).result()

    @contextlib.contextmanager
    def alias(self) -> Iterator[str]:
        """Give a further address of this host, on which nobody listens."""
        address = "192.0.2.1"
        self._inside.submit(_ip, "addr", "add", f"{address}/32", "dev", "lo").result()
        yield address
        self._inside.submit(_ip, "addr", "del", f"{address}/32", "dev", "lo").result()

    def lead(self, port: int) -> None:
        """Let this host find on its own loopback what listens on ours, on the same port."""
        listener = self._inside.submit(_listen, "127.0.0.1", port).result()
        self._held.callback(_close, listener)
        threading.Thread(target=_lead, args=(listener, port), daemon=True).start()

    def start(
        self, argv: Sequence[str], log: Path, environ: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Run a program on this host, which dies with the host."""

        def start() -> subprocess.Popen[bytes]:
            with log.open("ab") as out:
                return subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", *argv],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    cwd=log.parent,
                    env=dict(environ),
                )

        return self._inside.submit(start).result()


def _lead(listener: socket.socket, port: int) -> None:
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        far = socket.create_connection(("127.0.0.1", port), 30)
        far.settimeout(None)
        for pair in ((near, far), (far, near)):
            threading.Thread(target=_pump, args=pair, daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    _close(source)
    _close(sink)


def _close(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


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
