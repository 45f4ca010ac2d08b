"""The trust boundary on the genuine API server: stored as rendered, watched, healed, proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

import infometis_sdk as im
from infometis_sdk.model import External, ExternalCheck, IsolationPolicy, Policies, SecretRef
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infometis_sdk.ports.platform import Access

pytestmark = pytest.mark.integration

DB = External(
    addresses=["192.0.2.10", "192.0.2.11"],
    port=5432,
    target_port=6432,
    credentials={"password": SecretRef.parse("env:ORDERS_PASSWORD")},
)
POLICY = "networking.k8s.io/v1"


@pytest.fixture
def ws(
    embedded_access: Access,
    tmp_path: Path,
    namespace_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> im.Workspace:
    """Give a project whose service uses a system outside and the Kubernetes API, twice."""
    monkeypatch.setenv("ORDERS_PASSWORD", "geheim")
    orders = im.Service.web("orders", image="example/orders:1.0", port=8080, replicas=0)
    templates = {
        name: text.replace(
            "automountServiceAccountToken: false", "automountServiceAccountToken: true"
        )
        for name, text in orders.templates.items()
    }
    assert templates != orders.templates
    orders = attrs.evolve(
        orders, uses=("external.orders-db",), kubernetes_api=True, templates=templates
    )
    elsewhere = attrs.evolve(DB, addresses=["198.51.100.7"], target_port=0)
    short = f"boundary-{namespace_name[-8:]}"
    environments = {
        name: im.Environment(
            name,
            platform=im.Existing(
                kubeconfig=str(embedded_access.kubeconfig), context=embedded_access.context
            ),
            namespace=f"{short}-{name}",
            stack_id=f"{short}-{name}",
            policies=Policies(
                pod_security="restricted", network=IsolationPolicy(api_server=["192.0.2.99:6443"])
            ),
            external={"orders-db": attrs.evolve(db, check=ExternalCheck(enabled=False))},
        )
        for name, db in (("dev", DB), ("prod", elsewhere))
    }
    project = im.Project(name=short, services={"orders": orders}, environments=environments)
    return im.Workspace(project, state_dir=tmp_path / "state", cache_dir=tmp_path / "cache")


def _live(stack: im.Stack, api_version: str, kind: str, name: str) -> Mapping[str, Any]:
    space = stack.environment.namespace
    ref = ObjectRef(api_version=api_version, kind=kind, namespace=space, name=name)
    found = stack.cluster().get(ref, im.Run.within(300))
    assert found is not None, str(ref)
    return found


def test_the_boundary_is_stored_as_it_is_rendered(ws: im.Workspace) -> None:
    """Policies, names and Secrets of the boundary are accepted, and a second plan finds nothing."""
    stack = ws["dev"]
    stack.up(run=im.Run.within(600))
    run = im.Run.within(300)
    assert stack.plan(run=run).empty
    assert not stack.drift(run=run).items
    endpoints = _live(stack, "discovery.k8s.io/v1", "EndpointSlice", "orders-db-ipv4")
    assert [e["addresses"] for e in endpoints["endpoints"]] == [["192.0.2.10"], ["192.0.2.11"]]
    secret = _live(stack, "v1", "Secret", "external-orders-db")
    assert {"password"} == set(secret["data"])

    spec = _live(stack, POLICY, "NetworkPolicy", "boundary-orders")["spec"]
    reached = {
        f"{peer['ipBlock']['cidr']} {port['port']}"
        for rule in spec["egress"]
        for peer in rule["to"]
        for port in rule["ports"]
        if "ipBlock" in peer
    }
    assert {"192.0.2.10/32 6432", "192.0.2.11/32 6432", "192.0.2.99/32 6443"} == reached
    assert stack.policy("orders", "kubernetes").allowed
    assert not stack.policy("orders", "world").allowed


def test_a_hole_in_the_boundary_is_drift_and_is_healed(ws: im.Workspace) -> None:
    """Who opens a policy by hand is named, and heal closes it."""
    stack = ws["dev"]
    stack.up(run=im.Run.within(600))
    run = im.Run.within(300)
    policy = _live(stack, POLICY, "NetworkPolicy", "boundary")
    opened = {
        "apiVersion": POLICY,
        "kind": "NetworkPolicy",
        "metadata": {k: policy["metadata"][k] for k in ("name", "namespace")},
        "spec": {"ingress": [{}]},
    }
    write = Write(verb="apply", ref=ObjectRef.of(opened), body=opened, manager="me", force=True)
    stack.cluster().write(write, run)
    found = stack.drift(run=run)
    assert [(str(i.ref), i.manager) for i in found.items] == [("NetworkPolicy/boundary", "me")]


def test_what_lies_outside_is_no_difference_of_the_core(ws: im.Workspace) -> None:
    """Two environments with their own systems outside run the same core; the proof says whose
    the difference is.
    """  # noqa: D205 - one sentence
    for name in ("dev", "prod"):
        ws[name].up(run=im.Run.within(600))
    proof = ws.prove("dev", "prod", run=im.Run.within(300))
    assert proof.verdict != "different"
    told = {(d.object, d.cause) for d in proof.differences if "orders-db" in d.object}
    assert {("Service/orders-db", "border"), ("EndpointSlice/orders-db-ipv4", "border")} == told
