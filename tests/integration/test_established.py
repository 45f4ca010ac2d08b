"""The small wait inside apply, on the genuine API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.engine.writing.established import wait_established
from infometis_sdk.errors import NotReadyError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.ports.platform import Access

pytestmark = pytest.mark.integration


@pytest.fixture
def cluster(embedded_access: Access) -> Cluster:
    """Give the cluster of this run."""
    return open_cluster(embedded_access)


@pytest.fixture
def made(cluster: Cluster) -> Iterator[list[ObjectRef]]:
    """Remember what a test makes, and delete it."""
    refs: list[ObjectRef] = []
    yield refs
    for ref in reversed(refs):
        cluster.write(Write(verb="delete", ref=ref), Run.within(30))


def apply(cluster: Cluster, made: list[ObjectRef], obj: dict[str, Any]) -> ObjectRef:
    """Apply an object."""
    ref = ObjectRef.of(obj)
    write = Write(verb="apply", ref=ref, body=obj, manager="t", force=True)
    cluster.write(write, Run.within(30))
    made.append(ref)
    return ref


def definition(plural: str, kind: str, group: str) -> dict[str, Any]:
    """Make a CustomResourceDefinition."""
    schema = {"openAPIV3Schema": {"type": "object"}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, "singular": kind.lower()},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def test_definition_and_namespace(
    cluster: Cluster, made: list[ObjectRef], namespace_name: str
) -> None:
    """After the wait a custom resource can be made at once in the new namespace."""
    group = f"{namespace_name}.example.com"
    crd = apply(cluster, made, definition("widgets", "Widget", group))
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace_name}}
    namespace = apply(cluster, made, space)

    wait_established(cluster, (crd, namespace), Run.within(30))

    widget = {
        "apiVersion": f"{group}/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": namespace_name},
    }
    write = Write(verb="create", ref=ObjectRef.of(widget), body=widget)
    assert cluster.write(write, Run.within(30)).created


def test_names_that_clash(cluster: Cluster, made: list[ObjectRef], namespace_name: str) -> None:
    """A definition whose names another one holds will never be served, and that is said at once."""
    group = f"{namespace_name}.example.com"
    first = apply(cluster, made, definition("widgets", "Widget", group))
    wait_established(cluster, (first,), Run.within(30))
    second = apply(cluster, made, definition("gadgets", "Widget", group))

    with pytest.raises(NotReadyError, match="names not accepted") as caught:
        wait_established(cluster, (second,), Run.within(30))

    assert caught.value.report.items[0].ref == second


def test_service_of_a_webhook(cluster: Cluster, made: list[ObjectRef], namespace_name: str) -> None:
    """A Service that answers for a webhook needs a ready endpoint first."""
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace_name}}
    apply(cluster, made, space)
    labels = {"app": "hook"}
    service = ObjectRef(api_version="v1", kind="Service", namespace=namespace_name, name="hook")
    apply(
        cluster,
        [],
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "hook", "namespace": namespace_name},
            "spec": {"selector": labels, "ports": [{"port": 443}]},
        },
    )

    with pytest.raises(NotReadyError, match="no ready pod answers for it yet"):
        wait_established(cluster, (service,), Run.within(30), seconds=0.5)

    apply(
        cluster,
        [],
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "hook", "namespace": namespace_name, "labels": labels},
            "spec": {"containers": [{"name": "main", "image": "i:1"}]},
        },
    )
    wait_established(cluster, (service,), Run.within(30))
