"""Watch a collection for as long as a run lasts.

The reading happens in a thread of its own, so that a cancel or the deadline ends the watch at once
even while nothing happens in the cluster.
"""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from attrs import frozen

from infometis_sdk._adapters.refusals import refusal
from infometis_sdk._adapters.transport import UNKNOWN_YET, Answer, Call, Transport
from infometis_sdk.errors import ClusterError, UnreachableError
from infometis_sdk.ports.cluster import WatchEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from urllib3.response import BaseHTTPResponse

    from infometis_sdk._adapters.asked import Asked
    from infometis_sdk.model.run import Run

__all__ = ("Page", "watch")

LIFE = 300
"""Seconds after which the API server ends a watch: the shorter of the two that client-go draws
between, so that an idle watch costs next to nothing.
A dead connection is noticed long before, since a bookmark comes about every minute."""

_FOREVER = 3600.0
_TRANSIENT = (429, 500, 502, 503, 504)


@frozen(kw_only=True)
class Page:
    """Some objects of a collection.

    Attributes:
        items: the objects.
        version: resourceVersion at which they were seen.
        first: a list begins; what earlier pages of this listing held no longer counts.

    """

    items: list[dict[str, Any]]
    version: str
    first: bool = True


def watch(
    transport: Transport,
    asked: Asked,
    params: Mapping[str, str],
    listing: Callable[[], Iterator[Page]],
    run: Run,
) -> Iterator[WatchEvent]:
    """Yield what is there, then every change, until the run ends.

    Never holds more than one page of the collection.
    """
    version, again = "", False
    failing_since = 0.0
    pause = 0.1
    while not _over(run):
        if not version:
            try:
                version = yield from _all(listing, again=again)
            except ClusterError:
                if _over(run):
                    return
                raise
            again = True
        stream = _Stream(transport, asked, params, version, run)
        try:
            for event in stream.events():
                failing_since, pause = 0.0, 0.1
                version = event.version or version
                if event.visible is not None:
                    yield event.visible
            trouble = stream.trouble
        finally:
            stream.close()
        if trouble is None:
            continue
        if isinstance(trouble, _Expired):
            version = ""
            continue
        if not isinstance(trouble, _Interrupted):
            raise trouble
        now = time.monotonic()
        failing_since = failing_since or now
        if now - failing_since > transport.patience.established:
            raise trouble.error
        run.rest(transport.jitter(pause))
        pause = min(2.0, pause * 2)


def _all(listing: Callable[[], Iterator[Page]], *, again: bool) -> Generator[WatchEvent, None, str]:
    """Yield all that is there, and return the version to watch from."""
    version = ""
    for page in listing():
        if page.first and again:
            yield WatchEvent(type="RELIST", object={})
        again, version = True, page.version
        while page.items:
            yield WatchEvent(type="ADDED", object=page.items.pop(0))
    yield WatchEvent(type="SYNCED", object={})
    return version


def _over(run: Run) -> bool:
    return run.cancel.cancelled or run.remaining() <= 0


class _Expired(Exception):  # noqa: N818 - a signal inside this module
    """The resourceVersion is older than what the server remembers."""


class _Interrupted(Exception):  # noqa: N818 - a signal inside this module
    """The watch broke off and can be resumed."""

    def __init__(self, error: ClusterError) -> None:
        super().__init__(str(error))
        self.error = error


@frozen(kw_only=True)
class _Event:
    version: str
    visible: WatchEvent | None


class _Stream:
    """One watch request, read by a thread of its own."""

    def __init__(
        self,
        transport: Transport,
        asked: Asked,
        params: Mapping[str, str],
        version: str,
        run: Run,
    ) -> None:
        self._transport = transport
        self._asked = asked
        self._run = run
        self._queue: queue.SimpleQueue[_Event | None] = queue.SimpleQueue()
        self._response: BaseHTTPResponse | None = None
        self._closed = False
        self.trouble: Exception | None = None
        life = max(1, int(run.remaining(LIFE)))
        query = urlencode(
            {
                **params,
                "watch": "true",
                "allowWatchBookmarks": "true",
                "resourceVersion": version,
                "timeoutSeconds": life,
            }
        )
        self._call = Call(doing=asked.doing, method="GET", target=f"{asked.path}?{query}")
        threading.Thread(target=self._read, name="infometis-watch", daemon=True).start()

    def events(self) -> Iterator[_Event]:
        """Yield events until the stream or the run ends."""
        with self._run.cancel.waking(lambda: self._queue.put(None)):
            while True:
                try:
                    event = self._queue.get(timeout=self._run.remaining(_FOREVER))
                except queue.Empty:
                    if _over(self._run):
                        return
                    continue
                if event is None or _over(self._run):
                    return
                yield event

    def close(self) -> None:
        """End the thread, which may be waiting for bytes."""
        self._closed = True
        response = self._response
        connection = getattr(response, "connection", None)
        sock = getattr(connection, "sock", None)
        if sock is not None:
            with suppress(OSError, ValueError):
                # Past the TLS layer: that one may not be used by two threads at a time.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    # --- in the thread ----------------------------------------------------------------------

    def _read(self) -> None:
        try:
            self._follow()
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits
            self.trouble = error
        finally:
            self._queue.put(None)

    def _follow(self) -> None:
        from urllib3.exceptions import HTTPError

        try:
            response, channel = self._transport.stream(self._call, self._run)
        except UnreachableError as error:
            self._transport.lost_contact()
            raise _Interrupted(error) from error
        self._response = response
        try:
            if self._closed:
                return
            if response.status >= HTTPStatus.BAD_REQUEST:
                answer = Answer(
                    status=response.status,
                    data=response.read(),
                    headers=response.headers,
                    channel=channel,
                )
                self._refused(answer)
            buffer = b""
            for chunk in response.stream(65536, decode_content=True):
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    self._take(line, Answer(status=0, data=line, headers={}, channel=channel))
        except HTTPError as error:
            if not self._closed:
                self._transport.lost_contact()
                lost = UnreachableError(f"the connection was lost while {self._asked.doing}")
                raise _Interrupted(lost) from error
        finally:
            # Not back to the pool: what is left of a watch is no beginning of an answer.
            response.close()

    def _take(self, line: bytes, answer: Answer) -> None:
        event = json.loads(line)
        kind, obj = event["type"], event["object"]
        if kind == "ERROR":
            from attrs import evolve

            self._refused(
                evolve(answer, status=int(obj.get("code") or 500), data=json.dumps(obj).encode())
            )
        version = str((obj.get("metadata") or {}).get("resourceVersion") or "")
        visible = None if kind == "BOOKMARK" else WatchEvent(type=kind, object=obj)
        self._queue.put(_Event(version=version, visible=visible))

    def _refused(self, answer: Answer) -> None:
        if answer.status == HTTPStatus.GONE:
            raise _Expired
        error = refusal(answer, self._asked)
        starting = answer.status in UNKNOWN_YET and self._transport.recovering
        if starting or answer.status in _TRANSIENT:
            raise _Interrupted(error)
        raise error
