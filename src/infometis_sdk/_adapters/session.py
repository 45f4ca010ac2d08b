"""A live connection: the pool, the TLS material and the credentials, kept fresh.

Every request asks :meth:`Session.channel`, which costs a clock reading while credentials hold.
After a 401 the whole kubeconfig is read again and a credential plugin is run again, so tokens
and certificates that others rotate on disk are picked up in the middle of a long wait.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from infometis_sdk._adapters.credentials import Credentials, resolve
from infometis_sdk._adapters.kubeconfig import Connection, KubeConfig
from infometis_sdk._adapters.proxies import is_loopback, proxy_for
from infometis_sdk.errors import PlatformError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from urllib3.connectionpool import HTTPConnectionPool  # noqa: TC004 - loaded when connecting

    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.platform import Access


__all__ = ("SERVICE_ACCOUNT", "Channel", "Session", "as_file", "in_cluster", "tls_context")

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes mounts the credentials of a pod."""

POOL_SIZE = 16
"""Kept connections: 8 requests in flight by the engine's rule, and some watches."""


@frozen(kw_only=True, eq=False)
class Channel:
    """What a request needs.

    Attributes:
        pool: the connections.
        prefix: path of the server's URL, such as ``/k8s/clusters/c1``; mostly empty.
        compressed: whether answers are asked for in gzip: pays on a network, not on loopback.
        connection, credentials: where the pool leads, and as whom.

    """

    pool: HTTPConnectionPool = field(repr=False)
    prefix: str
    compressed: bool
    connection: Connection
    credentials: Credentials


class Session:
    """Keeps one channel to the cluster of an :class:`Access`; safe to share between threads."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._channel: Channel | None = None

    def channel(self, run: Run) -> Channel:
        """Return the channel, with credentials that have not run out.

        Raises:
            PlatformError: the kubeconfig cannot be read.
            UnauthorizedError: credentials cannot be had.

        """
        channel = self._channel
        if channel is not None and time.monotonic() < channel.credentials.until:
            return channel
        with self._lock:
            if self._channel is None or self._channel is channel:
                connection = channel.connection if channel else self._connection()
                return self._open(connection, run)
            return self._channel  # another thread was faster

    def renew(self, refused: Channel, run: Run) -> bool:
        """Get credentials anew after a 401; say whether they differ from the refused ones."""
        with self._lock:
            fresh = self._channel
            if fresh is None or fresh is refused:
                fresh = self._open(self._connection(), run)
            return evolve(fresh.credentials, until=0.0) != evolve(refused.credentials, until=0.0)

    def close(self) -> None:
        """Close all kept connections."""
        with self._lock:
            if self._channel is not None:
                self._channel.pool.close()
                self._channel = None

    def _connection(self) -> Connection:
        if self._access.kubeconfig is None:
            return in_cluster()
        return KubeConfig.read(self._access.kubeconfig).connection(self._access.context)

    def _open(self, connection: Connection, run: Run) -> Channel:
        """Make a channel; keep the pool where only the token changed."""
        credentials = resolve(connection, run)
        old = self._channel
        if old is not None and _wire(old.connection, old.credentials) == _wire(
            connection, credentials
        ):
            self._channel = evolve(old, connection=connection, credentials=credentials)
        else:
            # The old pool is not closed: requests of other threads may still be using it.
            self._channel = Channel(
                pool=_pool(connection, credentials),
                prefix=urlsplit(connection.server).path,
                compressed=not is_loopback(connection.server),
                connection=connection,
                credentials=credentials,
            )
        return self._channel


def in_cluster() -> Connection:
    """Return the connection of the pod that we run in.

    Source: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/.

    Raises:
        PlatformError: we do not run in a pod.

    """
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "")
    authority = SERVICE_ACCOUNT / "ca.crt"
    token = SERVICE_ACCOUNT / "token"
    if not host or not port or not token.is_file():
        msg = f"this is no pod: there is no service account token at {token}"
        raise PlatformError(msg, hint="name a kubeconfig")
    if ":" in host:
        host = f"[{host}]"
    return Connection(
        source="the pod's service account",
        server=f"https://{host}:{port}",
        ca=authority.read_bytes() if authority.is_file() else b"",
        token_file=token,
        user="service account",
    )


def _wire(connection: Connection, credentials: Credentials) -> tuple[object, ...]:
    """Return what a pool is made of: where this is equal, one pool serves both."""
    return (
        connection.server,
        connection.ca,
        connection.verify,
        connection.server_name,
        connection.proxy,
        credentials.certificate,
        credentials.key,
    )


def _pool(connection: Connection, credentials: Credentials) -> HTTPConnectionPool:
    import urllib3

    parts = urlsplit(connection.server)
    common: dict[str, Any] = {"maxsize": POOL_SIZE}
    if parts.scheme == "https":
        common["ssl_context"] = tls_context(connection, credentials)
        if connection.server_name:
            common["server_hostname"] = connection.server_name
    proxy = connection.proxy or proxy_for(connection.server)
    if proxy.startswith("socks"):
        try:
            from urllib3.contrib.socks import SOCKSProxyManager
        except ImportError as error:
            msg = f"{connection.source} goes through the SOCKS proxy {_address(proxy)}"
            raise PlatformError(msg, hint="pip install PySocks") from error
        manager: urllib3.PoolManager = SOCKSProxyManager(proxy, **common)
    elif proxy:
        manager = urllib3.ProxyManager(proxy, **common)
    else:
        manager = urllib3.PoolManager(**common)
    pool: HTTPConnectionPool = manager.connection_from_url(connection.server)
    return pool


def _address(url: str) -> str:
    """Return scheme, host and port of a proxy, without the password that it may hold."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}" + (f":{parts.port}" if parts.port else "")


def tls_context(connection: Connection, credentials: Credentials) -> ssl.SSLContext:
    """Return the client side of TLS for a connection.

    Raises:
        PlatformError: the authority, the certificate or the key is not valid.

    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not connection.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif connection.ca:
        try:
            context.load_verify_locations(cadata=connection.ca.decode("ascii"))
        except ssl.SSLError as error:
            msg = f"the certificate authority of {connection.source} is no valid certificate"
            raise PlatformError(msg, hint="get the kubeconfig anew") from error
    else:
        context.load_default_certs()
    if credentials.certificate:
        with as_file(credentials.certificate + credentials.key) as path:
            try:
                # Without an answer of ours, OpenSSL would ask the terminal for a passphrase.
                context.load_cert_chain(path, password=lambda: b"")
            except (ssl.SSLError, ValueError) as error:
                msg = f"certificate and key in {connection.source} cannot be used"
                hint = "they must belong together and have no passphrase; get the kubeconfig anew"
                raise PlatformError(msg, hint=hint) from error
    return context


@contextmanager
def as_file(content: bytes) -> Iterator[str]:
    """Give secret bytes a path for as long as OpenSSL needs one: it reads keys from files only.

    On Linux the bytes never touch a disk; elsewhere a file with mode 0600 lives for a moment.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    import tempfile

    descriptor, name = tempfile.mkstemp()
    try:
        os.write(descriptor, content)
        os.close(descriptor)
        yield name
    finally:
        Path(name).unlink()
