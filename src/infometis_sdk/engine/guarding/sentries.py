"""One watch per kind and namespace, each in a thread of its own, all into one queue.

A watch that fails is begun again after a pause, and the others go on.
"""

from __future__ import annotations

import contextlib
import queue
import random
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from attrs import field, frozen

from infometis_sdk.engine.guarding.wanted import Source
from infometis_sdk.errors import ClusterError, InfometisError
from infometis_sdk.model.run import CancelToken, Run

if TYPE_CHECKING:
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("Sentries", "Sign")

_ROOM = 256
"""Signs in the queue: what is not taken yet stays with the API server."""

_FULL = 1.0
_FOREVER = 3600.0

_PAUSES = (1.0, 5.0, 30.0, 60.0)
"""Seconds before a watch is begun again that failed for good."""


@frozen(kw_only=True)
class Sign:
    """What one watch says.

    Attributes:
        source: which watch; ``None`` for a sign that only wakes.
        type: as in :class:`~infometis_sdk.ports.cluster.WatchEvent`;
            ``LOST`` when the watch failed, ``BEGIN`` when it lists all that is there.
        object: the object.
        error: why the watch was lost.
        when: monotonic seconds at which it came.

    """

    source: Source | None = None
    type: str = ""
    object: Mapping[str, Any] = field(factory=dict, repr=False)
    error: InfometisError | None = None
    when: float = 0.0


class Sentries:
    """Watches some sources; a context manager.

    Args:
        cluster: the API.
        run: ends the watches when it is cancelled.

    """

    def __init__(self, cluster: Cluster, run: Run) -> None:
        self._cluster = cluster
        self._run = run
        self._token = CancelToken()
        self._signs: queue.Queue[Sign] = queue.Queue(_ROOM)
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._token.cancel()
        # A watch that is just putting a sign needs room for it.
        while any(thread.is_alive() for thread in self._threads):
            with contextlib.suppress(queue.Empty):
                while True:
                    self._signs.get_nowait()
            for thread in self._threads:
                thread.join(0.05)
        self._threads.clear()

    def post(self, sources: Iterable[Source]) -> None:
        """Begin to watch."""
        for source in sources:
            thread = threading.Thread(
                target=self._follow, args=(source,), name=f"infometis-guard-{source.kind}",
                daemon=True,
            )  # fmt: skip
            self._threads.append(thread)
            thread.start()

    def wake(self) -> None:
        """Make :meth:`signs` return; safe in a signal handler's thread."""
        with contextlib.suppress(queue.Full):
            self._signs.put_nowait(Sign())

    def signs(self, timeout: float) -> Iterator[Sign]:
        """Yield what was said, waiting for the first sign only; ends when the queue is empty."""
        try:
            yield self._signs.get(timeout=max(0.0, min(timeout, _FOREVER)))
            for _ in range(_ROOM):
                yield self._signs.get_nowait()
        except queue.Empty:
            return

    def _follow(self, source: Source) -> None:
        run = Run(cancel=self._token)
        failures = 0
        while not self._token.cancelled:
            self._put(Sign(source=source, type="BEGIN"))
            try:
                for event in self._cluster.watch(
                    source.api_version,
                    source.kind,
                    run,
                    namespace=source.namespace,
                    labels=source.labels,
                ):
                    if event.type == "SYNCED":
                        failures = 0
                    self._put(
                        Sign(
                            source=source,
                            type=event.type,
                            object=event.object,
                            when=time.monotonic(),
                        )
                    )
            except InfometisError as error:
                self._put(Sign(source=source, type="LOST", error=error))
            except Exception as error:  # noqa: BLE001 - told, and tried again, as any other
                text = f"watching {source} failed: {type(error).__name__}"
                self._put(Sign(source=source, type="LOST", error=ClusterError(text)))
            pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
            failures += 1
            run.rest(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries

    def _put(self, sign: Sign) -> None:
        while not self._token.cancelled:
            try:
                self._signs.put(sign, timeout=_FULL)
            except queue.Full:
                continue
            return
