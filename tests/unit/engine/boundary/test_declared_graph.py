"""The generated policies against the declared graph: all of it is allowed, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from infometis_sdk.engine.border.scene import Publisher
from infometis_sdk.engine.boundary.evaluate import Party, decide
from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.render import render
from infometis_sdk.errors import ProjectError
from infometis_sdk.model import (
    Border,
    BorderTls,
    Endpoint,
    Environment,
    External,
    IsolationPolicy,
    ManifestSet,
    Metrics,
    Peer,
    Policies,
    Project,
    Service,
)
from infometis_sdk.ports.border import BorderAdapter, BorderManifests, Scene

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = ("a", "b", "c")
EXTERNALS = {
    "db": External(addresses=["192.0.2.10", "192.0.2.11"], port=5432, target_port=6432),
    "api": External(addresses=["2001:db8::7"], port=443),
    "named": External(host="named.example", port=443),
}
API = ("198.51.100.1", 6443)
HOME = "demo-dev"
PORTS = (53, 80, 443, 5432, 6432, 6443, 7000, 8080, 8443, 9100)


def _pod(name: str, labels: Mapping[str, str], namespace: str = HOME) -> Party:
    space = {"kubernetes.io/metadata.name": namespace}
    return Party(name=name, namespace=namespace, namespace_labels=space, labels=labels)


OUTSIDE = {
    "proxy": _pod("proxy", {"app": "proxy"}, "edge"),
    "border": _pod("border", {"app": "traefik", "x": "y"}, "edge"),
    "edge": _pod("edge", {"app": "other"}, "edge"),
    "dns": _pod("dns", {"k8s-app": "kube-dns"}, "kube-system"),
    "system": _pod("system", {"k8s-app": "metrics-server"}, "kube-system"),
    "prometheus": _pod("prometheus", {"app": "prometheus"}, "monitoring"),
    "stranger": _pod("stranger", {"app": "stranger"}),
    "twin": _pod("twin", {"app.kubernetes.io/name": "a"}, "elsewhere"),
    "world": Party(name="world", address="203.0.113.9"),
    "kubernetes": Party(name="kubernetes", address=API[0]),
    **{
        f"{name}/{address}": Party(name=name, address=address)
        for name, external in EXTERNALS.items()
        for address in external.addresses
    },
}


@attrs.frozen
class Sketch:
    """What a service declares."""

    uses: frozenset[str]
    externals: frozenset[str]
    many: bool
    token: bool
    api: bool
    metrics: bool
    public: bool


def sketches() -> st.SearchStrategy[dict[str, Sketch]]:
    """Return a strategy for graphs of services."""
    one = st.builds(
        Sketch,
        uses=st.frozensets(st.sampled_from(NAMES)),
        externals=st.frozensets(st.sampled_from(sorted(EXTERNALS))),
        many=st.booleans(),
        token=st.booleans(),
        api=st.booleans(),
        metrics=st.booleans(),
        public=st.booleans(),
    )
    return st.fixed_dictionaries(dict.fromkeys(NAMES, one))


class Edge(BorderAdapter):
    """A border whose pods are there already, and which leads names to its proxy's port 8443."""

    @property
    def features(self) -> frozenset[str]:
        """Say that names are led to."""
        return frozenset({"egress"})

    def render(self, scene: Scene) -> BorderManifests:
        """Name the pods, and lead each name to the proxy."""
        ports = [{"port": 443, "targetPort": 8443}]
        return BorderManifests(
            objects=[
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {"name": each.name},
                    "spec": {"ports": ports},
                }
                for each in scene.egress
            ],
            peers=[Peer(namespace="edge", pods={"app": "traefik"})],
            egress=[Peer(namespace="edge", pods={"app": "proxy"})],
        )


def _service(name: str, sketch: Sketch) -> Service:
    labels = {"app.kubernetes.io/name": name}
    pod = {
        "automountServiceAccountToken": sketch.token,
        "containers": [
            {
                "name": "main",
                "image": "example/x:1",
                "ports": [
                    {"name": "web", "containerPort": 8080},
                    {"name": "metrics", "containerPort": 9100},
                    {"name": "debug", "containerPort": 7000},
                ],
            }
        ],
    }
    workload: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 2 if sketch.many else 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": {**labels, "more": "x"}}, "spec": pod},
        },
    }
    ports = [{"port": 80, "targetPort": "web"}, {"port": 9100}]
    door: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": labels, "ports": ports},
    }
    return Service(
        name=name,
        manifests=[workload, door],
        uses=[
            *(f"{used}.http" for used in sorted(sketch.uses)),
            *(f"external.{used}" for used in sorted(sketch.externals)),
        ],
        endpoints={
            "http": Endpoint(port=80, public=sketch.public),
            "metrics": Endpoint(port=9100),
        },
        kubernetes_api=sketch.api,
        metrics=Metrics(endpoint="metrics") if sketch.metrics else None,
    )


def _rendered(
    graph: Mapping[str, Sketch], mode: str, adapter: BorderAdapter | None = None
) -> ManifestSet:
    network = IsolationPolicy(
        mode="isolate", metrics=[Peer(namespace="monitoring", pods={"app": "prometheus"})]
    )
    environment = Environment(
        "dev",
        mode=mode,
        border=Border(type="edge", anonymous=True, tls=BorderTls(source="none", required=False)),
        external=EXTERNALS,
        policies=Policies(network=network),
    )
    project = Project(name="demo", services={n: _service(n, s) for n, s in graph.items()})
    publisher = Publisher(name="edge", adapter=adapter or Edge())
    stack = compose(project, environment, publisher=publisher)
    return render(stack, api_server=[f"{API[0]}:{API[1]}"])


def _declared(graph: Mapping[str, Sketch]) -> set[tuple[str, str, int, str]]:
    """Write down who may speak to whom, straight from the sketch."""
    found = set()
    for name, own in graph.items():
        found |= {(name, "dns", 53, "TCP"), (name, "dns", 53, "UDP")}
        found |= {(name, used, 8080, "TCP") for used in own.uses}
        if own.many:
            found |= {(name, name, 8080, "TCP"), (name, name, 9100, "TCP")}
        for used in own.externals:
            external = EXTERNALS[used]
            if external.host:
                found.add((name, "proxy", 8443, "TCP"))
            found |= {
                (name, f"{used}/{address}", external.target_port or external.port, "TCP")
                for address in external.addresses
            }
        if own.api and own.token:
            found.add((name, "kubernetes", API[1], "TCP"))
        if own.metrics:
            found.add(("prometheus", name, 9100, "TCP"))
        if own.public:
            found.add(("border", name, 8080, "TCP"))
    return found


@settings(max_examples=25, deadline=None)
@given(graph=sketches(), mode=st.sampled_from(["independent", "shared"]))
def test_exactly_what_is_declared_is_allowed(graph: dict[str, Sketch], mode: str) -> None:
    """For every pair, port and protocol, the policies say what the descriptors say."""
    manifests = _rendered(graph, mode)
    policies = [m.object for m in manifests.manifests if m.ref.kind == "NetworkPolicy"]
    pods = {name: _pod(name, {"app.kubernetes.io/name": name, "more": "x"}) for name in graph}
    parties = {**OUTSIDE, **pods}
    found = {
        (source, target, port, protocol)
        for source in parties
        for target in parties
        if source in pods or target in pods
        for port in PORTS
        for protocol in ("TCP", "UDP")
        if decide(policies, parties[source], parties[target], port, protocol).allowed
    }
    assert _declared(graph) == found


def test_only_a_cluster_of_ours_is_closed_to_strangers() -> None:
    """In shared mode no policy touches the pods of others that live in the same namespace."""
    graph = {"a": Sketch(frozenset(), frozenset(), many=False, token=False, api=False,
                         metrics=False, public=False)}  # fmt: skip
    world, stranger = OUTSIDE["world"], OUTSIDE["stranger"]
    for mode, expected in (("independent", False), ("shared", True)):
        made = _rendered(graph, mode).manifests
        policies = [m.object for m in made if m.ref.kind == "NetworkPolicy"]
        assert expected == decide(policies, world, stranger, 80).allowed
        assert expected == decide(policies, stranger, world, 80).allowed


class Anywhere(Edge):
    """A border whose pods nothing tells from others, in the namespace of the services."""

    def render(self, scene: Scene) -> BorderManifests:
        """Return such a peer."""
        return BorderManifests(objects=[], peers=[Peer(namespace=scene.namespace)])


def test_a_border_without_labels_opens_nothing() -> None:
    """A policy that lets its pods do everything would let every pod of the namespace do so."""
    graph = {"a": Sketch(frozenset(), frozenset(), many=False, token=False, api=False,
                         metrics=False, public=True)}  # fmt: skip
    made = _rendered(graph, "independent", Anywhere()).manifests
    policies = [m.object for m in made if m.ref.kind == "NetworkPolicy"]
    world, stranger = OUTSIDE["world"], OUTSIDE["stranger"]
    assert not decide(policies, world, stranger, 80).allowed
    assert not decide(policies, stranger, world, 80).allowed


class Inward(Edge):
    """A border that lets in, and leads to no name outside."""

    @property
    def features(self) -> frozenset[str]:
        """Say that names are not led to."""
        return frozenset()


def test_a_border_that_leads_to_no_name_is_refused_one() -> None:
    """Otherwise the system would have no name inside, and nobody would say why."""
    with pytest.raises(ProjectError) as caught:
        _rendered({}, "independent", Inward())
    assert [fault.path for fault in caught.value.faults] == ["border.type"]
