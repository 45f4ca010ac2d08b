"""What every store of Releases promises, wherever it keeps them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs
import pytest

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk._adapters.release_directory import ReleaseDirectory
from infometis_sdk.engine.writing.lease import Writer
from infometis_sdk.engine.writing.release_store import ClusterReleases
from infometis_sdk.errors import LockedError, StoreError
from infometis_sdk.model.bundle import Bundle
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.release import Release, ServiceRecord
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infometis_sdk.ports.platform import Access
    from infometis_sdk.ports.release_store import ReleaseStore

pytestmark = pytest.mark.contract

STACK = "dev"
ONE = Bundle(project="demo", services={"web": {"text": "one"}})
TWO = Bundle(project="demo", services={"web": {"text": "two"}})


@contextmanager
def in_cluster(access: Access, namespace: str) -> Iterator[ReleaseStore]:
    """Give the store in a namespace of the genuine API server, in a writer's session."""
    cluster, run = open_cluster(access), Run.within(120)
    ref = ObjectRef(api_version="v1", kind="Namespace", name=namespace)
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    cluster.write(Write(verb="create", ref=ref, body=body, manager="tests"), run)
    try:
        with Writer(cluster, STACK, namespace, run) as writer:
            # Small pieces, so that everything is in several parts.
            yield ClusterReleases(cluster, STACK, namespace, writer, chunk=64)
    finally:
        cluster.write(Write(verb="delete", ref=ref), Run.within(60))


@pytest.fixture(params=["directory", "cluster"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReleaseStore]:
    """Give an empty store of each kind."""
    if request.param == "directory":
        yield ReleaseDirectory(tmp_path, STACK)
        return
    access = request.getfixturevalue("embedded_access")
    with in_cluster(access, request.getfixturevalue("namespace_name")) as made:
        yield made


def release(number: int, bundle: Bundle = ONE, status: str = "pending") -> Release:
    """Return a Release with values of several kinds."""
    record = ServiceRecord(version="1", values={"text": "é\u2028", "map": {"a": [1, None, 0.5]}})
    return Release(
        number=number,
        status=status,
        stack_id=STACK,
        bundle=bundle.id,
        bundle_digest=bundle.digest,
        services={"web": record},
    )


def test_a_store_keeps_its_promises(store: ReleaseStore) -> None:
    """Empty at first; whole and in order; a number once; ends are kept; what nobody names goes."""
    run = Run.within(120)
    empty = store.releases(run)
    assert (empty.stack_id, empty.items, empty.problems) == (STACK, (), ())

    for number, bundle in ((2, ONE), (10, TWO), (1, ONE)):
        store.add(release(number, bundle), bundle, run)
    known = store.releases(run)
    assert known.items == (release(1), release(2), release(10, TWO))
    assert known.problems == ()
    assert store.bundle(known.items[0], run) == ONE
    assert store.bundle(known.items[2], run) == TWO

    with pytest.raises(LockedError, match="release 2 of stack dev"):
        store.add(release(2, TWO, "deployed"), TWO, run)
    assert store.releases(run).items[1] == release(2)

    ended = attrs.evolve(release(10, TWO, "deployed"), ended="2026-01-01T00:00:00+00:00")
    store.save(ended, run)
    assert store.releases(run).items[2] == ended
    assert store.releases(run).live == ended

    store.remove((1,), run)
    assert [r.number for r in store.releases(run).items] == [2, 10]
    assert store.bundle(release(2), run) == ONE, "another Release names it still"
    store.remove((2,), run)
    assert store.releases(run).items == (ended,)
    with pytest.raises(StoreError):
        store.bundle(release(2), run)
    assert store.bundle(ended, run) == TWO
    store.remove((2, 77), run)
    assert store.releases(run).items == (ended,)
    with pytest.raises(StoreError, match="keeps no bundle"):
        store.bundle(attrs.evolve(ended, bundle_digest=""), run)
