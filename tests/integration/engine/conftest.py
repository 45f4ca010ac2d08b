"""Fixtures of the engine's tests on the genuine API server."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

import pytest
from tests.integration.engine.lab import Lab, config_map

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.engine.objects.inventory_id import CLUSTER_NAMESPACE, CLUSTER_PARENT
from infometis_sdk.errors import ClusterError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infometis_sdk.ports.platform import Access


@pytest.fixture(scope="session")
def anchor(embedded_access: Access) -> None:
    """Be a user of the cluster's singletons for the whole run.

    Otherwise each test whose stack is the last user would wait until their namespace is gone.
    """
    lab = Lab(embedded_access, "anchor")
    parent = config_map(CLUSTER_PARENT, anchor="for the run of the tests")
    parent["metadata"]["namespace"] = CLUSTER_NAMESPACE
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": CLUSTER_NAMESPACE}}
    for obj in (space, parent):
        lab.write("apply", obj, "anchor", force=True)


@pytest.fixture
def labs(embedded_access: Access, anchor: None) -> Iterator[Callable[[], Lab]]:
    """Make stacks, each with a name that nobody else has; their namespaces go at the end."""
    del anchor
    made: list[Lab] = []

    def make() -> Lab:
        lab = Lab(embedded_access, f"t{secrets.token_hex(4)}")
        made.append(lab)
        return lab

    yield make
    for lab in made:
        ref = ObjectRef(api_version="v1", kind="Namespace", name=lab.namespace)
        with contextlib.suppress(ClusterError):
            # Not by the test's own door, which may lead through a proxy that is gone.
            open_cluster(embedded_access).write(Write(verb="delete", ref=ref), Run.within(30))


@pytest.fixture
def lab(labs: Callable[[], Lab]) -> Lab:
    """Give one stack."""
    return labs()
