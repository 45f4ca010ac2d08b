"""Fixtures for the tests of the one door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infometis_sdk._adapters.kubernetes_api import KubernetesCluster, open_cluster
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write
from infometis_sdk.testing.fault_proxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.ports.platform import Access


@pytest.fixture
def run() -> Run:
    """Give each test a minute."""
    return Run.within(60)


@pytest.fixture
def cluster(embedded_access: Access) -> Iterator[KubernetesCluster]:
    """Give a door of the test's own, so that what one test learns does not help another."""
    cluster = open_cluster(embedded_access)
    yield cluster
    cluster.close()


@pytest.fixture
def namespace(cluster: KubernetesCluster, namespace_name: str, run: Run) -> str:
    """Make a namespace."""
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace_name},
    }
    cluster.write(Write(verb="create", ref=ObjectRef.of(body), body=body), run)
    return namespace_name


@pytest.fixture
def proxy(embedded_access: Access) -> Iterator[FaultProxy]:
    """Put a proxy that can fail before the cluster."""
    with FaultProxy(embedded_access) as proxy:
        yield proxy
