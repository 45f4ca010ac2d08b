"""The API server is killed and comes back: genuine SIGKILL, on a cluster of these tests' own."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import attrs
import pytest
from tests.conftest import cache_dir
from tests.identities import kubeconfig, service_account
from tests.integration.kubernetes_api.objects import apply, config_map

from infometis_platform_embedded import Embedded
from infometis_platform_embedded.platform import EmbeddedPlatform
from infometis_sdk._adapters import watching
from infometis_sdk._adapters.asked import Asked
from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.errors import ClusterError, InfometisError
from infometis_sdk.model.run import Run
from infometis_sdk.ports.platform import Access, PlatformContext

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

SPACE = "restart"
COUNT = 300


@pytest.fixture(scope="module")
def access(embedded_access: Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    """Make a cluster whose API server may be killed; depends on the other one for its binaries."""
    del embedded_access
    state_dir = tmp_path_factory.mktemp("killed") / "state"
    context = PlatformContext(cluster="killed", state_dir=state_dir, cache_dir=cache_dir())
    platform = EmbeddedPlatform(Embedded(lifetime="ephemeral"), context)
    yield platform.ensure(Run.within(120))
    platform.destroy(Run.within(60))


@pytest.fixture
def guest(access: Access, tmp_path: Path) -> Access:
    """Give a service account's way in, which needs more of the API server than a certificate."""
    token = service_account(access, SPACE)
    return kubeconfig(tmp_path / "guest", access, {"token": token})


def kill(access: Access) -> None:
    """Kill the API server; its supervisor starts it again."""
    assert access.kubeconfig is not None
    parts = json.loads((access.kubeconfig.parent / "parts.json").read_text(encoding="utf-8"))
    os.kill(parts["parts"]["kube-apiserver"]["pid"], signal.SIGKILL)


def test_writes_and_watches_survive(access: Access, guest: Access) -> None:
    """Nothing is lost when the API server dies in the middle of an apply; a watch goes on."""
    run = Run.within(100)
    door = open_cluster(guest)
    threads = threading.Event()
    seen: set[str] = set()
    failed: list[InfometisError] = []

    def watch() -> None:
        try:
            for event in door.watch("v1", "ConfigMap", run, namespace=SPACE):
                if event.object:
                    seen.add(event.object["metadata"]["name"])
                threads.set()
                if len(seen) > COUNT:
                    return
        except InfometisError as error:
            failed.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert threads.wait(30)

    def one(number: int) -> str:
        if number == COUNT // 3:
            kill(access)
        done = door.write(apply(config_map(SPACE, f"c{number}"), force=True), run)
        return str(done.object["metadata"]["uid"])

    with ThreadPoolExecutor(8) as pool:
        uids = list(pool.map(one, range(COUNT)))
    found = door.list("v1", "ConfigMap", run, namespace=SPACE)
    mine = {o["metadata"]["uid"] for o in found if o["metadata"]["name"].startswith("c")}
    assert mine == set(uids)
    assert len(mine) == COUNT
    watcher.join(60)
    assert failed == []
    assert seen == {o["metadata"]["name"] for o in found}


def test_forgotten_version_lists_anew(access: Access) -> None:
    """A version that the restarted server does not remember leads to RELIST and all objects."""
    run = Run.within(60)
    cluster = open_cluster(access)
    kill(access)
    _answers(cluster.read, run)
    body = config_map("default", "relist", a="1")
    cluster.write(apply(body), run)
    resource = cluster.resource("v1", "ConfigMap", run)
    listings: list[str] = []

    def listing() -> Iterator[watching.Page]:
        for page in cluster._pages(resource, "default", {}, run, "application/json"):
            listings.append(page.version)
            yield attrs.evolve(page, version="1") if len(listings) == 1 else page

    asked = Asked(
        verb="watch", resource=resource, namespace="default", path=resource.path("default")
    )
    events = watching.watch(cluster._transport, asked, {}, listing, run)
    assert next(event for event in events if event.type == "RELIST").object == {}
    told = list(itertools.takewhile(lambda event: event.type != "SYNCED", events))
    assert {event.type for event in told} == {"ADDED"}
    assert "relist" in {event.object["metadata"]["name"] for event in told}
    assert {event.object["kind"] for event in told} == {"ConfigMap"}
    cluster.write(apply(config_map("default", "relist", a="2")), run)
    assert next(events).type == "MODIFIED"
    assert len(listings) == 2


def _answers(read: object, run: Run) -> None:
    assert callable(read)
    while True:
        try:
            read("/readyz", run)
        except ClusterError:
            run.sleep(0.2, "waiting for the API server")
        else:
            return
