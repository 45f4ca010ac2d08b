"""A port of this machine's loopback that leads to an endpoint of a service."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Self

from attrs import define, evolve, field

from infometis_sdk.engine.reading.service_pods import (
    Backend,
    backend,
    check_service,
    find_endpoint,
    refuse_simulated,
)
from infometis_sdk.errors import ClusterError, InfometisError, PlatformError
from infometis_sdk.model.run import CancelToken, Run
from infometis_sdk.model.service import Endpoint
from infometis_sdk.model.stack import ManifestSet
from infometis_sdk.ports.cluster import Cluster
from infometis_sdk.ports.pods import PodStreams

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = (
    "LOOPBACK",
    "TRIES",
    "Forward",
    "forward",
)

LOOPBACK = "127.0.0.1"
"""Never any other address: whoever reaches the port reaches the service without the border."""

TRIES = 3
_GLANCE = 0.2
_JOIN = 2.0


def forward(
    cluster: Cluster,
    manifests: ManifestSet,
    service: str,
    run: Run,
    *,
    simulated: bool,
    endpoint: str = "",
    port: int = 0,
) -> Forward:
    """Open a loopback port to an endpoint of a service.

    Each connection asks for a ready pod anew, so a pod that restarts or moves costs the
    connections that went to it and no more.

    Args:
        cluster: the API.
        manifests: the stack.
        service: name of the service.
        run: deadline and cancel token.
        simulated: containers do not really run.
        endpoint: name of the endpoint; empty for the first, public ones before others.
        port: local port; 0 for a free one.

    Returns:
        A context manager that listens already; leaving it closes the port and all connections.

    Raises:
        PlatformError: the pods are simulated, the port is taken, or nothing can forward here.
        ProjectError: no such service or endpoint.
        NotFoundError: no pod is ready.

    Example:
        >>> with forward(cluster, manifests, "grafana", run, simulated=False) as opened:
        ...     print(opened.url)  # doctest: +SKIP

    """
    check_service(manifests, service)
    if simulated:
        refuse_simulated("ports", service)
    if not isinstance(cluster, PodStreams):
        msg = "this cluster port cannot forward"
        raise PlatformError(msg, hint="use the cluster's own kubeconfig")
    name, found = find_endpoint(manifests, service, endpoint)
    # A wrong name or a service that is down is an error now, not at the first connection.
    backend(cluster, manifests, service, found, run)
    return Forward(
        cluster=cluster,
        streams=cluster,
        manifests=manifests,
        service=service,
        endpoint=name,
        target=found,
        run=run,
        listener=_listen(port),
    )


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A port that was used a moment ago is free; one that somebody listens on is not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(16)
        listener.settimeout(_GLANCE)
    except OSError as error:
        listener.close()
        msg = f"port {port} of {LOOPBACK} cannot be opened: {error.strerror or error}"
        raise PlatformError(msg, hint="choose another port, or 0 for a free one") from error
    return listener


@define(eq=False, kw_only=True)
class Forward:
    """An open forward.

    Attributes:
        service, endpoint: where it leads.
        errors: what went wrong with single connections, newest last; :meth:`watch` tells it as it
            happens. Not events, since those belong to the caller's thread.

    """

    cluster: Cluster
    streams: PodStreams
    manifests: ManifestSet
    service: str
    endpoint: str
    target: Endpoint
    run: Run
    listener: socket.socket
    errors: list[str] = field(factory=list)
    _news: SimpleQueue[str] = field(factory=SimpleQueue[str], init=False)
    _stop: CancelToken = field(factory=CancelToken, init=False)
    _threads: list[threading.Thread] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        thread = threading.Thread(target=self._accept, name="infometis forward", daemon=True)
        self._threads.append(thread)
        thread.start()

    @property
    def port(self) -> int:
        """The local port."""
        number: int = self.listener.getsockname()[1]
        return number

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """The URL for ``http`` and ``https`` endpoints, host and port for others."""
        if self.target.protocol not in {"http", "https"}:
            return self.address
        return f"{self.target.protocol}://{self.address}{self.target.path}"

    def watch(self, seconds: float | None = None) -> Iterator[str]:
        """Yield what goes wrong with single connections, as it happens.

        Args:
            seconds: for how long; ``None`` until the caller stops.

        """
        end = None if seconds is None else time.monotonic() + seconds
        while (left := _GLANCE if end is None else min(_GLANCE, end - time.monotonic())) > 0:
            # A short time, since a wait without end would not notice Ctrl-C on every platform.
            with suppress(Empty):
                yield self._news.get(timeout=left)

    def close(self) -> None:
        """Close the port and every connection."""
        self._stop.cancel()
        for thread in self._threads:
            thread.join(timeout=_JOIN)
        self.listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _accept(self) -> None:
        inner = evolve(self.run, cancel=self._stop)
        while not self._stop.cancelled and not self.run.cancel.cancelled:
            try:
                near, _ = self.listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return  # closed
            self._threads = [t for t in self._threads if t.is_alive()]
            thread = threading.Thread(
                target=self._carry, args=(near, inner), name="infometis connection", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _carry(self, near: socket.socket, run: Run) -> None:
        """Carry one connection, by another pod where the one that was ready has gone."""
        trouble: InfometisError | None = None
        for _ in range(TRIES):
            try:
                chosen: Backend = backend(
                    self.cluster, self.manifests, self.service, self.target, run
                )
                said = self.streams.carry(chosen.pod, chosen.port, near, run)
            except ClusterError as error:
                trouble = error
                continue
            except InfometisError as error:
                trouble = error
                break
            if said:
                self._went_wrong(f"{chosen.pod} port {chosen.port}: {said}")
            return
        near.close()
        if trouble is not None:
            self._went_wrong(trouble.message)

    def _went_wrong(self, text: str) -> None:
        self.errors.append(text)
        self._news.put(text)
