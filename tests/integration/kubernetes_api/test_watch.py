"""Watching, on the genuine API server, through everything that breaks a watch."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from tests.identities import service_account
from tests.integration.kubernetes_api.objects import apply, config_map, write

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.errors import ForbiddenError, UnknownKindError
from infometis_sdk.model.run import CancelToken, Run
from infometis_sdk.testing.fault_proxy import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk._adapters.kubernetes_api import KubernetesCluster
    from infometis_sdk.ports.cluster import WatchEvent
    from infometis_sdk.ports.platform import Access
    from infometis_sdk.testing.fault_proxy import FaultProxy

pytestmark = pytest.mark.integration


def _of_mine(events: Iterator[WatchEvent]) -> Iterator[WatchEvent]:
    """Yield changes, without the ConfigMap that each namespace is given at some moment."""
    for event in events:
        if event.type in ("RELIST", "SYNCED"):
            continue
        if event.object["metadata"]["name"] != "kube-root-ca.crt":
            yield event


def _mine(events: Iterator[WatchEvent]) -> Iterator[tuple[str, str, str]]:
    """Yield type, name and datum of each change that a test made."""
    for event in _of_mine(events):
        yield event.type, event.object["metadata"]["name"], event.object["data"]["a"]


def test_what_is_there_and_every_change(
    cluster: KubernetesCluster, namespace: str, run: Run
) -> None:
    """What is there comes first, as ADDED; then each change, whole and with its kind."""
    cluster.write(apply(config_map(namespace, "old", a="1")), run)
    events = cluster.watch("v1", "ConfigMap", run, namespace=namespace)
    seen = _mine(events)
    assert next(seen) == ("ADDED", "old", "1")
    assert next(event for event in events if event.type != "ADDED").type == "SYNCED"
    cluster.write(apply(config_map(namespace, "new", a="1")), run)
    assert next(seen) == ("ADDED", "new", "1")
    cluster.write(apply(config_map(namespace, "new", a="2")), run)
    event = next(_of_mine(events))
    assert (event.type, event.object["data"]) == ("MODIFIED", {"a": "2"})
    assert (event.object["apiVersion"], event.object["kind"]) == ("v1", "ConfigMap")
    cluster.write(write("delete", config_map(namespace, "new")), run)
    assert next(seen) == ("DELETED", "new", "2")
    events.close()  # type: ignore[attr-defined] # a generator, as the port's users know


def test_only_what_is_selected(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """A label selector holds for what is there and for what comes."""
    events = cluster.watch("v1", "ConfigMap", run, namespace=namespace, labels="wanted")
    cluster.write(apply(config_map(namespace, "other", a="1")), run)
    wanted = config_map(namespace, "wanted", a="1")
    wanted["metadata"]["labels"] = {"wanted": ""}
    cluster.write(apply(wanted), run)
    assert next(_mine(events)) == ("ADDED", "wanted", "1")


def test_nothing_is_lost_in_an_outage(
    cluster: KubernetesCluster, proxy: FaultProxy, namespace: str, run: Run
) -> None:
    """Changes during an outage are told afterwards, each once, without listing anew."""
    seen = _mine(open_cluster(proxy.access).watch("v1", "ConfigMap", run, namespace=namespace))
    cluster.write(apply(config_map(namespace, a="0")), run)
    assert next(seen) == ("ADDED", "a", "0")
    proxy.reset()
    for number in range(1, 4):
        with proxy.outage():
            cluster.write(apply(config_map(namespace, a=str(number))), run)
        assert next(seen) == ("MODIFIED", "a", str(number))
    assert all("watch=true" in request.query for request in proxy.requests)


def test_broken_streams_are_resumed(
    cluster: KubernetesCluster, proxy: FaultProxy, namespace: str, run: Run
) -> None:
    """Watches that are refused for a moment or dropped are opened again where they ended."""
    cluster.write(apply(config_map(namespace, a="1")), run)
    proxy.inject(
        Fault(path="watch=true", status=500),
        Fault(path="watch=true", status=429),
        Fault(path="watch=true", drop="before"),
    )
    seen = _mine(open_cluster(proxy.access).watch("v1", "ConfigMap", run, namespace=namespace))
    assert next(seen) == ("ADDED", "a", "1")
    timer = threading.Timer(0.5, cluster.write, args=(apply(config_map(namespace, a="2")), run))
    timer.start()
    assert next(seen) == ("MODIFIED", "a", "2")
    timer.join()
    assert [r.status for r in proxy.requests if "watch=true" in r.query] == [500, 429, 0, 200]


def test_expired_version_lists_anew(
    cluster: KubernetesCluster, proxy: FaultProxy, namespace: str, run: Run
) -> None:
    """A watch that is answered with 410 says so and tells all that is there anew."""
    cluster.write(apply(config_map(namespace, a="1")), run)
    proxy.inject(Fault(path="watch=true", status=410, reason="Expired"))
    events = open_cluster(proxy.access).watch("v1", "ConfigMap", run, namespace=namespace)
    types = []
    for event in events:
        types.append(event.type)
        if types.count("SYNCED") > 1:
            break
        if event.type == "RELIST":
            told = _mine(events)
            assert next(told) == ("ADDED", "a", "1")
    assert types[-1] == "SYNCED"
    assert types.count("RELIST") == 1
    cluster.write(apply(config_map(namespace, a="2")), run)
    assert next(_mine(events)) == ("MODIFIED", "a", "2")


def test_ends_with_the_run(cluster: KubernetesCluster, namespace: str) -> None:
    """An idle watch ends quietly when the time is used up."""
    events = cluster.watch("v1", "Secret", Run.within(4), namespace=namespace)
    assert [event.type for event in events] == ["SYNCED"]


def test_ends_when_cancelled(cluster: KubernetesCluster, namespace: str) -> None:
    """An idle watch ends within a moment after a cancel, and so does its thread."""
    others = _readers()
    token = CancelToken()
    timer = threading.Timer(0.5, token.cancel)
    timer.start()
    began = time.monotonic()
    run = Run.within(50, cancel=token)
    events = cluster.watch("v1", "Secret", run, namespace=namespace)
    assert [event.type for event in events] == ["SYNCED"]
    assert time.monotonic() - began < 25
    timer.join()
    _ended(_readers() - others)


def test_closing_ends_the_thread(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """Whoever stops listening leaves no thread and no connection behind."""
    others = _readers()
    events = cluster.watch("v1", "ConfigMap", run, namespace=namespace)
    assert next(event for event in events if event.type != "ADDED").type == "SYNCED"
    cluster.write(apply(config_map(namespace, a="1")), run)
    next(_mine(events))  # what comes after the list is read by the thread
    mine = _readers() - others
    assert len(mine) == 1
    events.close()  # type: ignore[attr-defined] # a generator, as the port's users know
    _ended(mine)


def _readers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "infometis-watch"}


def _ended(readers: set[threading.Thread]) -> None:
    for thread in readers:
        thread.join(10)
        assert not thread.is_alive()


def test_refusals(
    embedded_access: Access, cluster: KubernetesCluster, proxy: FaultProxy, namespace: str, run: Run
) -> None:
    """What will not get better is raised: no right to list, no such kind."""
    with pytest.raises(UnknownKindError):
        next(cluster.watch("nobody.example/v1", "Foo", run))
    token = service_account(embedded_access, namespace, role="view")
    door = open_cluster(proxy.access_as({"token": token}))
    with pytest.raises(ForbiddenError, match="secrets"):
        next(door.watch("v1", "Secret", run, namespace=namespace))
