"""Metrics and health of a guard over HTTP, in the forms of Prometheus and of kubelet probes."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from infometis_sdk.errors import InfometisError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import CollectorRegistry

    from infometis_sdk.model.guard import GuardNote, GuardState

__all__ = ("PREFIX", "serve")

PREFIX = "infometis_guard"

_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
_COUNTED = {
    "drift": ("drift_found", "Fields and objects that were found changed or gone."),
    "foreign": ("foreign_found", "Fields that others were found to have added."),
    "healed": ("healed", "Fields and objects that were brought back."),
    "heal failed": ("heal_failures", "Objects whose correction failed."),
    "contended": ("contentions", "Fields that were given up after too many corrections."),
    "rollout stuck": ("rollouts_stuck", "Rollouts that were found stuck."),
    "watch lost": ("watches_lost", "Watches that were lost."),
}


@contextmanager
def serve(listen: str, state: Callable[[], GuardState]) -> Iterator[Callable[[GuardNote], None]]:
    """Serve ``/metrics``, ``/healthz`` and ``/readyz`` while the context lasts.

    Args:
        listen: ``host:port``; the host may be left out for loopback, and port 0 chooses one.
        state: how the guard is.

    Yields:
        What takes each note.

    Raises:
        InfometisError: the address is none, or is in use.

    """
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_LATEST

    registry = CollectorRegistry()
    count = _metrics(registry, state)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            now = state()
            if path == "/metrics":
                self._answer(HTTPStatus.OK, generate_latest(registry), CONTENT_TYPE_LATEST)
            elif path == "/healthz":
                self._answer(HTTPStatus.OK, b"ok\n")
            elif path == "/readyz":
                # One that stands by is ready to take over.
                ready = now.synced or now.idle or not now.leading
                status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(status, f"{now.idle or 'guarding'}\n".encode())
            else:
                self._answer(HTTPStatus.NOT_FOUND, b"/metrics, /healthz, /readyz\n")

        def _answer(self, status: HTTPStatus, body: bytes, kind: str = "text/plain") -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: probes come every few seconds."""

    host, _, port = listen.rpartition(":")
    try:
        server = ThreadingHTTPServer((host.strip("[]") or "127.0.0.1", int(port)), Handler)
    except (OSError, ValueError, OverflowError) as error:
        msg = f"metrics cannot be served on {listen!r}: {error}"
        raise InfometisError(msg, hint="name a free address, such as 127.0.0.1:9464") from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="infometis-metrics", daemon=True)
    thread.start()
    try:
        yield count
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _metrics(
    registry: CollectorRegistry, state: Callable[[], GuardState]
) -> Callable[[GuardNote], None]:
    """Register all metrics, and return what counts each note."""
    from prometheus_client import Counter, Gauge, Histogram

    counters = {
        name: Counter(f"{PREFIX}_{short}", text, registry=registry)
        for name, (short, text) in _COUNTED.items()
    }
    took = Histogram(
        f"{PREFIX}_time_to_consistency_seconds",
        "Seconds from the first sign of drift to its correction.",
        buckets=_BUCKETS,
        registry=registry,
    )
    success = Gauge(
        f"{PREFIX}_last_success_timestamp_seconds",
        "When all was looked at, or something was brought back, for the last time.",
        registry=registry,
    )
    for short, (text, value) in _GAUGES.items():
        gauge = Gauge(f"{PREFIX}_{short}", text, registry=registry)
        gauge.set_function(partial(_now, value, state))

    def count(note: GuardNote) -> None:
        if note.condition != "closed" and note.name in counters:
            counters[note.name].inc()
        if note.name in ("healed", "synced"):
            success.set_to_current_time()
        if note.name == "healed":
            took.observe(note.seconds)

    return count


def _now(value: Callable[[GuardState], float], state: Callable[[], GuardState]) -> float:
    return float(value(state()))


_GAUGES: Mapping[str, tuple[str, Callable[[GuardState], float]]] = {
    "leading": ("Whether this guard is the one that acts.", lambda now: now.leading),
    "idle": ("Whether nothing is healed for now.", lambda now: bool(now.idle)),
    "synced": ("Whether all was looked at.", lambda now: now.synced),
    "release": ("Number of the release that is healed to.", lambda now: now.release),
    "objects": ("Objects that are looked after.", lambda now: now.objects),
    "drift": ("Fields and objects that are not as applied.", lambda now: now.drift),
    "foreign": ("Fields that others added.", lambda now: now.foreign),
    "contended": ("Fields that are fought over.", lambda now: now.contended),
    "stuck": ("Workloads that do not become ready.", lambda now: now.stuck),
    "blind_watches": ("Kinds that cannot be watched.", lambda now: now.lost),
}
