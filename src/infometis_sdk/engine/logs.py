"""The log lines of a service: all its pods, in the order of time, each with its source."""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from infometis_sdk.engine.reading.service_pods import (
    check_service,
    pods_of_service,
    refuse_simulated,
)
from infometis_sdk.errors import ClusterError, DeadlineError, NotFoundError, PlatformError
from infometis_sdk.model.run import CancelToken, Run
from infometis_sdk.model.stack import ManifestSet
from infometis_sdk.ports.cluster import Cluster
from infometis_sdk.ports.pods import PodStreams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = (
    "LOOK_FOR_PODS",
    "Object",
    "logs",
)

Object = Mapping[str, Any]

LOOK_FOR_PODS = 3.0
"""Seconds between two looks for new pods while a log is followed."""

_KEPT = 1000


@frozen(kw_only=True, order=True)
class _Source:
    namespace: str
    pod: str
    container: str
    uid: str

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.pod}/log"


def logs(
    cluster: Cluster,
    manifests: ManifestSet,
    service: str,
    run: Run,
    *,
    simulated: bool,
    follow: bool = False,
    tail: int = 100,
    container: str = "",
    since: float = 0.0,
) -> Iterator[str]:
    """Yield the log lines of all pods of a service.

    Without ``follow`` the lines of all pods are merged by the time that the nodes wrote them at.
    With it new pods join, and a stream that breaks off goes on where it was, since each line's
    time is known; it ends with the run, its cancel token, or when the caller stops asking.

    Args:
        cluster: the API.
        manifests: the stack.
        service: name of the service.
        run: deadline and cancel token.
        simulated: containers do not really run.
        follow: go on with new lines.
        tail: that many last lines of each container; negative for all.
        container: only containers of this name; empty for all.
        since: only lines of the last so many seconds; 0 for all.

    Returns:
        Lines such as ``kafka-0 [kafka] started``; the container is named where a pod has several.

    Raises:
        PlatformError: the pods are simulated and have no logs, or nothing can follow here.
        ProjectError: no such service.
        NotFoundError: no pod or container of that name.

    Example:
        >>> for line in logs(cluster, manifests, "kafka", run, simulated=False):  # doctest: +SKIP
        ...     print(line)

    """
    check_service(manifests, service)
    if simulated:
        refuse_simulated("logs", service)
    wanted = _Wanted(
        cluster=cluster, manifests=manifests, service=service, container=container, run=run
    )
    sources = wanted.sources()
    if not sources and not follow:
        what = f"container {container!r}" if container else "pods"
        msg = f"service {service} has no {what} with a log"
        raise NotFoundError(msg, hint="infometis status says why")
    params = {"timestamps": "true"}
    if tail >= 0:
        params["tailLines"] = str(tail)
    if since > 0:
        params["sinceSeconds"] = str(max(1, int(since)))
    if not follow:
        return _merged(cluster, sources, params, run)
    if not isinstance(cluster, PodStreams):
        msg = "this cluster port cannot follow logs"
        raise PlatformError(msg, hint="leave out follow")
    return _followed(cluster, wanted, sources, params, run)


@frozen(kw_only=True)
class _Wanted:
    cluster: Cluster
    manifests: ManifestSet
    service: str
    container: str
    run: Run

    def sources(self) -> list[_Source]:
        """Return every container that has, or had, something to say."""
        found = []
        for pod in pods_of_service(self.cluster, self.manifests, self.service, self.run):
            status, meta = pod.get("status") or {}, pod["metadata"]
            for part in (
                *(status.get("initContainerStatuses") or ()),
                *(status.get("containerStatuses") or ()),
            ):
                state = part.get("state") or {}
                begun = not state.get("waiting") or int(part.get("restartCount") or 0) > 0
                if begun and self.container in {"", part.get("name")}:
                    found.append(
                        _Source(
                            namespace=str(meta.get("namespace")),
                            pod=str(meta["name"]),
                            container=str(part["name"]),
                            uid=f"{meta.get('uid')}",
                        )
                    )
        return found


def _merged(
    cluster: Cluster, sources: Sequence[_Source], params: Mapping[str, str], run: Run
) -> Iterator[str]:
    labels = _labels(sources)

    def one(source: _Source) -> Iterator[tuple[str, str]]:
        text = cluster.read(source.path, run, params={**params, "container": source.container})
        for line in text.splitlines():
            moment, said = _split(line)
            yield moment, f"{labels[source]} {said}"

    for _, line in heapq.merge(*(one(source) for source in sources), key=lambda pair: pair[0]):
        yield line


@define(eq=False)
class _Follower:
    """Reads one container in a thread of its own."""

    cluster: PodStreams
    source: _Source
    params: dict[str, str]
    run: Run
    out: queue.Queue[tuple[_Source, str] | ClusterError]
    last: str = ""
    over: threading.Event = field(factory=threading.Event)

    def start(self) -> None:
        name = f"infometis logs {self.source.pod}"
        threading.Thread(target=self._read, name=name, daemon=True).start()

    def _read(self) -> None:
        try:
            while not self._ended():
                if not self._once():
                    break
                # A stream that ended: the container did, or the connection. The looks for pods
                # tell which; a line that was shown is not shown again.
                time.sleep(0.5)
        finally:
            self.over.set()

    def _once(self) -> bool:
        shown = self.last
        params = {**self.params, "follow": "true", "container": self.source.container}
        if self.last:
            # Times of the node itself: our clock has no part in this.
            params = {**params, "sinceTime": self.last}
            params.pop("tailLines", None)
            params.pop("sinceSeconds", None)
        try:
            for line in self.cluster.lines(self.source.path, self.run, params=params):
                moment, said = _split(line)
                if moment <= shown:
                    continue
                self.last = moment
                while not self._ended():
                    try:
                        self.out.put((self.source, said), timeout=0.5)
                        break
                    except queue.Full:
                        continue
                if self._ended():
                    return False
        except NotFoundError:
            return False
        except DeadlineError:
            return False
        except ClusterError as error:
            if not self.last and error.status:
                self.out.put(error)
                return False
        return True

    def _ended(self) -> bool:
        return self.run.cancel.cancelled or self.run.remaining() <= 0


def _followed(
    cluster: PodStreams,
    wanted: _Wanted,
    sources: Sequence[_Source],
    params: dict[str, str],
    run: Run,
) -> Iterator[str]:
    out: queue.Queue[tuple[_Source, str] | ClusterError] = queue.Queue(_KEPT)
    stop = CancelToken()
    inner = evolve(run, cancel=stop)
    followers: dict[_Source, _Follower] = {}

    def join(found: Sequence[_Source], *, late: bool) -> None:
        for source in found:
            known = followers.get(source)
            if known is not None and not known.over.is_set():
                continue
            # Of a pod that joins later every line counts; one that restarted goes on.
            mine = dict(params) if not late else {"timestamps": "true"}
            follower = _Follower(
                cluster=cluster,
                source=source,
                params=mine,
                run=inner,
                out=out,
                last=known.last if known is not None else "",
            )
            followers[source] = follower
            follower.start()

    join(sources, late=False)
    labels = _labels(sources)
    looked = time.monotonic()
    try:
        while not run.cancel.cancelled and run.remaining() > 0:
            if time.monotonic() - looked > LOOK_FOR_PODS:
                try:
                    found = wanted.sources()
                except ClusterError:
                    found = []  # the API server restarts; the next look will tell
                join(found, late=True)
                labels = _labels(list(followers))
                looked = time.monotonic()
            try:
                said = out.get(timeout=0.2)
            except queue.Empty:
                continue
            if isinstance(said, ClusterError):
                raise said
            source, line = said
            yield f"{labels[source]} {line}"
    finally:
        stop.cancel()


def _labels(sources: Sequence[_Source]) -> dict[_Source, str]:
    several = {
        s.pod for s in sources for t in sources if s.pod == t.pod and s.container != t.container
    }
    return {s: f"{s.pod} [{s.container}]" if s.pod in several else s.pod for s in sources}


def _split(line: str) -> tuple[str, str]:
    """Split the node's time off a line; texts of one length each, so that they sort by time."""
    moment, _, said = line.partition(" ")
    whole, dot, part = moment.removesuffix("Z").partition(".")
    return (f"{whole}.{(part if dot else '').ljust(9, '0')[:9]}Z", said)
