"""A proxy in front of a genuine API server that fails on demand and counts requests.

The API server stays genuine: only what gets lost or refused on the way is made up.

.. code-block:: python

    with FaultProxy(access) as proxy:
        proxy.inject(Fault(verb="PATCH", drop="after", times=3))
        cluster = open_cluster(proxy.access)
        …
        assert proxy.counts()["GET", "/api/v1/namespaces/demo/pods"] == 1
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from attrs import define, evolve, field, frozen

from infometis_sdk._adapters.credentials import resolve
from infometis_sdk._adapters.kubeconfig import KubeConfig
from infometis_sdk._adapters.session import in_cluster
from infometis_sdk.model.run import Run
from infometis_sdk.testing.relay import Relay, Upstream
from infometis_sdk.testing.throwaway import self_signed

if TYPE_CHECKING:
    from types import TracebackType

    from infometis_sdk.ports.platform import Access

__all__ = ("Fault", "FaultProxy", "Seen")


@frozen(kw_only=True)
class Fault:
    """What goes wrong, for which requests, and how often.

    Attributes:
        verb: HTTP method; empty for every one.
        path: regular expression that is searched in path and query; empty for every one.
        skip: how many matching requests pass unharmed first.
        times: how many fail then; below 0 for all that follow.
        delay: seconds before anything else happens; with nothing else set, the request then passes.
        status: answer with this status instead of asking the API server.
        reason: ``reason`` of that answer's Status, such as ``Expired``.
        message: its ``message``.
        retry_after: its ``Retry-After`` header, in seconds; empty for none.
        drop: ``before`` closes the connection before the API server gets the request,
            ``after`` once it has done it.
        stale: answer reads as they were answered when first seen.

    """

    verb: str = ""
    path: str = ""
    skip: int = 0
    times: int = 1
    delay: float = 0.0
    status: int = 0
    reason: str = ""
    message: str = "injected by FaultProxy"
    retry_after: str = ""
    drop: str = ""
    stale: bool = False

    def concerns(self, verb: str, target: str) -> bool:
        """Whether a request is one of those that may fail."""
        return (not self.verb or self.verb == verb) and re.search(self.path, target) is not None

    def answer(self) -> bytes:
        """Return the body of the made-up answer, in the form that the API server uses."""
        status = {
            "apiVersion": "v1",
            "kind": "Status",
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.status,
        }
        return json.dumps(status).encode()


@frozen(kw_only=True)
class Seen:
    """One request as it came.

    Attributes:
        verb, path, query: from the request line.
        headers: names in lower case.
        status: what was answered; 0 where the connection was dropped.

    """

    verb: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    status: int


@define
class _Due:
    """A fault, and how many requests it concerned so far."""

    fault: Fault
    met: int = 0


class FaultProxy:
    """A TLS proxy on loopback; a context manager.

    Requests through :attr:`access` reach the API server as whoever ``access`` is.
    Requests with another ``Authorization`` header are passed on with it, and those without stay
    anonymous, so authentication remains the API server's business.

    Args:
        access: the genuine API server.
        days: how long the proxy's own certificate is valid from now; below 0 for an expired one.
        names: what that certificate is made out for.

    """

    def __init__(
        self,
        access: Access,
        *,
        days: float = 1,
        names: tuple[str, ...] = ("127.0.0.1", "localhost"),
    ) -> None:
        self._given = access
        self._certificate, self._key = self_signed(names, days=days)
        self._token = secrets.token_urlsafe(16)
        self._lock = threading.Lock()
        self._faults: list[_Due] = []
        self._seen: list[Seen] = []
        self._first: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self._folder: Path | None = None
        self._relay: Relay | None = None

    def __enter__(self) -> Self:
        if self._given.kubeconfig is None:
            connection = in_cluster()
        else:
            connection = KubeConfig.read(self._given.kubeconfig).connection(self._given.context)
        upstream = Upstream(
            connection=connection,
            credentials=resolve(connection, Run.within(60)),
            token=self._token,
        )
        self._folder = Path(tempfile.mkdtemp(prefix="fault-proxy-"))
        self._relay = Relay(upstream, self._certificate + self._key, self)
        self._relay.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.stop()
        shutil.rmtree(self._folder or "", ignore_errors=True)

    # --- for tests --------------------------------------------------------------------------

    @property
    def access(self) -> Access:
        """The way to the same cluster as the same user, through the proxy."""
        return self.access_as({"token": self._token})

    def access_as(self, user: Mapping[str, Any]) -> Access:
        """Return the way through the proxy with another ``user`` section of a kubeconfig."""
        name = f"kubeconfig-{secrets.token_hex(4)}"
        path = self._home / name
        cluster = {"server": self.server, "certificate-authority": str(self._home / "ca.crt")}
        (self._home / "ca.crt").write_bytes(self._certificate)
        path.touch(mode=0o600)
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "proxy", "cluster": cluster}],
                    "users": [{"name": "proxy", "user": dict(user)}],
                    "contexts": [
                        {"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}
                    ],
                    "current-context": "proxy",
                }
            ),
            encoding="utf-8",
        )
        return evolve(self._given, kubeconfig=path, context="proxy")

    @property
    def server(self) -> str:
        """URL of the proxy."""
        return f"https://127.0.0.1:{self._running.port}"

    def inject(self, *faults: Fault) -> None:
        """Add faults; for each request the first one that concerns it and is not used up counts."""
        with self._lock:
            self._faults.extend(_Due(fault) for fault in faults)

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Be down: open connections break, new ones are refused; then be there again."""
        self._running.stop()
        try:
            yield
        finally:
            self._running.start()

    @property
    def requests(self) -> tuple[Seen, ...]:
        """All requests so far, in the order of their answers."""
        with self._lock:
            return tuple(self._seen)

    def counts(self) -> Counter[tuple[str, str]]:
        """Return how often each pair of verb and path was asked for."""
        return Counter((seen.verb, seen.path) for seen in self.requests)

    def reset(self) -> None:
        """Forget all faults and requests."""
        with self._lock:
            self._faults.clear()
            self._seen.clear()
            self._first.clear()

    # --- for the relay ----------------------------------------------------------------------

    def choose(self, verb: str, target: str) -> Fault | None:
        """Return the fault that is due for a request, if any."""
        with self._lock:
            for due in self._faults:
                fault = due.fault
                used_up = fault.times >= 0 and due.met >= fault.skip + fault.times
                if used_up or not fault.concerns(verb, target):
                    continue
                due.met += 1
                if due.met > fault.skip:
                    return fault
        return None

    def first(
        self, target: str, now: tuple[int, dict[str, str], bytes]
    ) -> tuple[int, dict[str, str], bytes]:
        """Remember the first answer to a read and return it."""
        with self._lock:
            return self._first.setdefault(target, now)

    def saw(self, verb: str, target: str, headers: Mapping[str, str], status: int) -> None:
        """Take note of a request and of how it was answered."""
        parts = urlsplit(target)
        seen = Seen(
            verb=verb, path=parts.path, query=parts.query, headers=dict(headers), status=status
        )
        with self._lock:
            self._seen.append(seen)

    @property
    def _running(self) -> Relay:
        if self._relay is None:
            msg = "use FaultProxy in a with statement"
            raise RuntimeError(msg)
        return self._relay

    @property
    def _home(self) -> Path:
        if self._folder is None:
            msg = "use FaultProxy in a with statement"
            raise RuntimeError(msg)
        return self._folder
