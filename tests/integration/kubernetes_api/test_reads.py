"""Reading: objects, lists in pages, text, kinds."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.integration.kubernetes_api.objects import apply, config_map, definition, write

from infometis_sdk._adapters.kinds import BUILT_IN, declared
from infometis_sdk._adapters.kubernetes_api import PAGE, open_cluster
from infometis_sdk.errors import NotFoundError, UnknownKindError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.testing.fault_proxy import Fault

if TYPE_CHECKING:
    from infometis_sdk._adapters.kubernetes_api import KubernetesCluster
    from infometis_sdk.model.run import Run
    from infometis_sdk.testing.fault_proxy import FaultProxy

pytestmark = pytest.mark.integration


def test_table_of_kinds_is_right(cluster: KubernetesCluster, run: Run) -> None:
    """Every kind of the table is served exactly so, and no stable kind is missing from it."""
    groups = json.loads(cluster.read("/apis", run))["groups"]
    versions = ["v1", *(v["groupVersion"] for g in groups for v in g["versions"])]
    served = {}
    for version in versions:
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        for entry in json.loads(cluster.read(path, run))["resources"]:
            if "/" not in entry["name"]:
                served[version, entry["kind"]] = (entry["name"], entry["namespaced"])
    definitions = cluster.list("apiextensions.k8s.io/v1", "CustomResourceDefinition", run)
    defined = {(r.api_version, r.kind) for crd in definitions for r in declared(crd)}
    table = {key: (resource.plural, resource.namespaced) for key, resource in BUILT_IN.items()}
    built_in = {
        key: value
        for key, value in served.items()
        if "beta" not in key[0] and "alpha" not in key[0] and key not in defined
    }
    assert table == built_in


def test_get(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """Get returns the object, or None where the object, the namespace or the kind is not there."""
    body = config_map(namespace, a="1")
    assert cluster.get(ObjectRef.of(body), run) is None
    cluster.write(apply(body), run)
    live = cluster.get(ObjectRef.of(body), run)
    assert live is not None
    assert (live["kind"], live["data"]) == ("ConfigMap", {"a": "1"})
    assert cluster.get(ObjectRef.of(config_map("no-such-namespace")), run) is None
    foreign = ObjectRef(api_version="nobody.example/v1", kind="Foo", namespace="a", name="b")
    assert cluster.get(foreign, run) is None


def test_list_gives_whole_objects(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """Items carry apiVersion and kind, which the API server leaves out, and can be selected."""
    for name in ("a", "b"):
        body = config_map(namespace, name)
        body["metadata"]["labels"] = {"which": name}
        cluster.write(apply(body), run)
    found = cluster.list("v1", "ConfigMap", run, namespace=namespace, labels="which")
    assert [(o["apiVersion"], o["kind"], o["metadata"]["name"]) for o in found] == [
        ("v1", "ConfigMap", "a"),
        ("v1", "ConfigMap", "b"),
    ]
    only = cluster.list("v1", "ConfigMap", run, namespace=namespace, labels="which in (b)")
    assert [o["metadata"]["name"] for o in only] == ["b"]
    by_field = cluster.list("v1", "ConfigMap", run, namespace=namespace, fields="metadata.name=a")
    assert [o["metadata"]["name"] for o in by_field] == ["a"]
    everywhere = cluster.list("v1", "ConfigMap", run, labels="which")
    assert {o["metadata"]["namespace"] for o in everywhere} >= {namespace}


def test_list_of_metadata_only(cluster: KubernetesCluster, namespace: str, run: Run) -> None:
    """Where only metadata is wanted, nothing else is sent, and the kind is still the object's."""
    cluster.write(apply(config_map(namespace, a="1")), run)
    found = cluster.list("v1", "ConfigMap", run, namespace=namespace, metadata_only=True)
    mine = next(o for o in found if o["metadata"]["name"] == "a")
    assert (mine["apiVersion"], mine["kind"]) == ("v1", "ConfigMap")
    assert "data" not in mine
    assert mine["metadata"]["managedFields"]


def test_list_in_pages(
    cluster: KubernetesCluster, proxy: FaultProxy, namespace: str, run: Run
) -> None:
    """More objects than fit in a page take one request a page, and all are there, once."""
    count = PAGE + 7
    _many(cluster, namespace, count, run)
    found = open_cluster(proxy.access).list("v1", "ConfigMap", run, namespace=namespace, labels="n")
    assert sorted(int(o["metadata"]["labels"]["n"]) for o in found) == list(range(count))
    assert proxy.counts() == {("GET", f"/api/v1/namespaces/{namespace}/configmaps"): 2}


def test_list_starts_over(
    cluster: KubernetesCluster, proxy: FaultProxy, namespace: str, run: Run
) -> None:
    """A continue token that expires between two pages starts the list anew, without doubles."""
    count = PAGE + 7
    _many(cluster, namespace, count, run)
    proxy.inject(Fault(path="continue=", status=410, reason="Expired"))
    found = open_cluster(proxy.access).list("v1", "ConfigMap", run, namespace=namespace, labels="n")
    assert sorted(int(o["metadata"]["labels"]["n"]) for o in found) == list(range(count))
    assert [seen.status for seen in proxy.requests] == [200, 410, 200, 200]


def test_clean_look_is_one_list_per_kind(
    cluster: KubernetesCluster, proxy: FaultProxy, namespace: str, run: Run
) -> None:
    """Listing built-in and declared kinds asks for nothing else: no discovery, no version."""
    foo = definition(f"{namespace}.example")
    _define(cluster, foo, run)
    door = open_cluster(proxy.access)
    door.learn(foo)
    for version, kind in (
        ("v1", "Service"),
        ("apps/v1", "StatefulSet"),
        (f"{namespace}.example/v1", "Foo"),
    ):
        door.list(version, kind, run, namespace=namespace)
    prefix = f"namespaces/{namespace}"
    assert proxy.counts() == {
        ("GET", f"/api/v1/{prefix}/services"): 1,
        ("GET", f"/apis/apps/v1/{prefix}/statefulsets"): 1,
        ("GET", f"/apis/{namespace}.example/v1/{prefix}/foos"): 1,
    }


def test_kinds_that_come_later(
    cluster: KubernetesCluster, proxy: FaultProxy, namespace: str, run: Run
) -> None:
    """A CustomResourceDefinition made by others is found when it is there, with one request."""
    group = f"{namespace}.example"
    door = open_cluster(proxy.access)
    with pytest.raises(UnknownKindError):
        door.list(f"{group}/v1", "Foo", run)
    _define(cluster, definition(group), run)
    _define(cluster, definition(group, "Bar"), run)
    proxy.reset()
    assert door.list(f"{group}/v1", "Foo", run) == ()
    assert door.resource(f"{group}/v1", "Bar", run).plural == "bars"
    assert proxy.counts() == {("GET", f"/apis/{group}/v1"): 1, ("GET", f"/apis/{group}/v1/foos"): 1}


def test_own_definitions_need_no_discovery(proxy: FaultProxy, namespace: str, run: Run) -> None:
    """What we applied ourselves is known; once deleted, it is unknown again."""
    group = f"{namespace}.example"
    foo = definition(group)
    door = open_cluster(proxy.access)
    _define(door, foo, run)
    proxy.reset()
    body = {**config_map(namespace), "apiVersion": f"{group}/v1", "kind": "Foo"}
    door.write(apply(body), run)
    assert set(proxy.counts()) == {
        ("PATCH", f"/apis/{group}/v1/namespaces/{namespace}/foos/a"),
    }
    door.write(write("delete", foo), run)
    _until(lambda: door.get(ObjectRef.of(foo), run) is None, run)
    with pytest.raises(UnknownKindError):
        door.list(f"{group}/v1", "Foo", run)


def test_many_threads_discover_once(
    cluster: KubernetesCluster, proxy: FaultProxy, namespace: str, run: Run
) -> None:
    """Eight threads that need the same unknown kind at once cause one discovery, and none fails."""
    group = f"{namespace}.example"
    _define(cluster, definition(group), run)
    door = open_cluster(proxy.access)
    proxy.inject(Fault(path=f"/apis/{group}/v1$", delay=0.2))
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(door.resource, f"{group}/v1", "Foo", run) for _ in range(8)]
        assert {job.result().plural for job in jobs} == {"foos"}
    assert proxy.counts() == {("GET", f"/apis/{group}/v1"): 1}


def test_many_threads_write(proxy: FaultProxy, namespace: str, run: Run) -> None:
    """Eight threads share one door: every write is done once, on kept connections."""
    door = open_cluster(proxy.access)
    with ThreadPoolExecutor(8) as pool:
        writes = [apply(config_map(namespace, f"c{i}")) for i in range(200)]
        answers = list(pool.map(lambda each: door.write(each, run), writes))
    assert all(answer.created for answer in answers)
    assert [a.object["metadata"]["name"] for a in answers] == [f"c{i}" for i in range(200)]
    assert set(proxy.counts().values()) == {1}


def test_read(cluster: KubernetesCluster, run: Run) -> None:
    """Text at a path, with parameters; a path that is not there is an error that names it."""
    assert json.loads(cluster.read("/version", run))["major"] == "1"
    assert "[+]ping ok" in cluster.read("/readyz", run, params={"verbose": "true"})
    with pytest.raises(NotFoundError, match="/no/such/path"):
        cluster.read("/no/such/path", run)


def test_stale_reads_can_be_had(
    cluster: KubernetesCluster, proxy: FaultProxy, namespace: str, run: Run
) -> None:
    """The proxy can answer a read with what was there before, as an old cache would."""
    door = open_cluster(proxy.access)
    ref = ObjectRef.of(config_map(namespace))
    cluster.write(apply(config_map(namespace, a="1")), run)
    first = door.get(ref, run)
    cluster.write(apply(config_map(namespace, a="2")), run)
    proxy.inject(Fault(stale=True))
    assert door.get(ref, run) == first
    fresh = door.get(ref, run)
    assert fresh is not None
    assert fresh["data"] == {"a": "2"}


def _many(cluster: KubernetesCluster, namespace: str, count: int, run: Run) -> None:
    def make(number: int) -> None:
        body = config_map(namespace, f"c{number}")
        body["metadata"]["labels"] = {"n": str(number)}
        cluster.write(apply(body), run)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(count)))


def _define(cluster: KubernetesCluster, body: dict[str, object], run: Run) -> None:
    """Make a CustomResourceDefinition and wait until it is served."""
    cluster.write(apply(body), run)

    def established() -> bool:
        live = cluster.get(ObjectRef.of(body), run) or {}
        conditions = (live.get("status") or {}).get("conditions") or ()
        return {"Established": "True"}.items() <= {
            c["type"]: c["status"] for c in conditions
        }.items()

    _until(established, run)
    spec = body["spec"]
    assert isinstance(spec, dict)
    path = f"/apis/{spec['group']}/v1"
    plural = spec["names"]["plural"]

    def discoverable() -> bool:
        try:
            names = [e["name"] for e in json.loads(cluster.read(path, run))["resources"]]
        except NotFoundError:
            return False
        return plural in names

    _until(discoverable, run)


def _until(holds: object, run: Run) -> None:
    assert callable(holds)
    while not holds():
        run.sleep(0.05, "waiting for a definition")
