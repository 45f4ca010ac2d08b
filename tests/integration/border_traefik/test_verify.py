"""The adapter's proofs and checks, on the genuine Traefik and API server."""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING

import attrs
import pytest
from tests.integration.border_traefik.test_access import basic
from tests.integration.border_traefik.world import PASSWORD
from tests.traefik_outside import eventually

from infometis_sdk.machine import listeners
from infometis_sdk.model.secret import Secret, SecretRef
from infometis_sdk.ports.border import BorderChecks, BorderVerify
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from tests.integration.border_traefik.world import World

    from infometis_sdk.model.border_report import Proof

pytestmark = pytest.mark.integration


ANN = basic("ann", PASSWORD)


def resolve(ref: SecretRef) -> Secret:
    """Read a file."""
    from pathlib import Path

    return Secret(Path(ref.target).read_text())


def by_name(proofs: tuple[Proof, ...]) -> dict[tuple[str, str], Proof]:
    """Return proofs by route and promise."""
    return {(proof.route, proof.what): proof for proof in proofs}


def test_the_adapter_has_both_abilities(world: World) -> None:
    """The engine finds the abilities by their protocols."""
    assert isinstance(world.bench.adapter, BorderChecks)
    assert isinstance(world.bench.adapter, BorderVerify)


@pytest.fixture(scope="module")
def proven(world: World) -> tuple[dict[tuple[str, str], Proof], set[str]]:
    """Give all proofs, and the methods of all requests that came of them."""
    before = {name: len(each.seen) for name, each in world.backends.items()}
    found = world.bench.verify(authorities=world.folder / "ca.crt", resolve=resolve)
    methods = {
        seen.method for name, each in world.backends.items() for seen in each.seen[before[name] :]
    }
    return by_name(found), methods


def test_every_promise_of_every_route_is_judged(
    world: World, proven: tuple[dict[tuple[str, str], Proof], set[str]]
) -> None:
    """What works passes, what is broken fails with the reason, what cannot be asked is unproven."""
    proofs, _ = proven

    failed = {key: proof.detail for key, proof in proofs.items() if proof.state == "failed"}
    assert set(failed) == {("gone.main", "status"), ("secret-web.main", "status")}
    assert failed["gone.main", "status"] == "503: no pod of the service is ready"
    for route in world.bench.scene.routes:
        assert proofs[route.name, "loaded"].state == "passed"
    for key in (
        ("", "unknown host"),
        ("web.main", "certificate"),
        ("web.main", "oldest TLS"),
        ("web.main", "redirect"),
        ("web.main", "status"),
        ("web.main", "HSTS"),
        ("basic.main", "authentication"),
        ("basic.main", "status"),
        ("forward.main", "authentication"),
        ("mutual.main", "authentication"),
        ("named.main", "authentication"),
        ("headers.main", "headers"),
        ("grafana.main", "sensitive any /api/admin"),
        ("line.main", "status"),
        ("named-line.main", "status"),
        ("passed.main", "status"),
    ):
        assert (key, proofs[key].state) == (key, "passed")
    for key in (
        ("forward.main", "status"),
        ("mutual.main", "status"),
        ("allow.main", "status"),
        ("elastic.main", "sensitive DELETE/PUT /"),
    ):
        assert (key, proofs[key].state) == (key, "unproven")
    assert PASSWORD not in repr(proofs)


def test_proofs_change_nothing(proven: tuple[dict[tuple[str, str], Proof], set[str]]) -> None:
    """No service gets anything but GET from a proof."""
    _, methods = proven

    assert methods == {"GET"}


def test_a_middleware_that_disappears_is_noticed(world: World) -> None:
    """Somebody deletes the guard of a route: the proof fails, in Traefik's own words."""
    bench = world.bench
    ref = bench.ref("Middleware", "border-auth-boss", "traefik.io/v1alpha1")
    live = bench.cluster.get(ref, bench.run())
    assert live is not None
    bench.cluster.write(Write(verb="delete", ref=ref), bench.run())
    try:
        # What is left of the route wants the weaker right only.
        weaker = partial(bench.get, "elastic", "/index", method="DELETE", headers=[ANN])
        eventually(weaker, lambda reply: reply.status != 401, "the guard is still there")
        proof = by_name(bench.verify())["elastic.main", "loaded"]
    finally:
        body = {
            **live,
            "metadata": {
                key: value
                for key, value in live["metadata"].items()
                if key in ("name", "namespace", "labels", "annotations")
            },
        }
        bench.cluster.write(Write(verb="create", ref=ref, body=body), bench.run())
    eventually(weaker, lambda reply: reply.status == 401, "the guard is not back")

    assert proof.state == "failed"
    assert "border-auth-boss" in proof.detail


def test_a_border_in_order_has_no_errors(world: World) -> None:
    """What the border rests on is there, so no check says otherwise."""
    assert [each for each in world.bench.check() if each.level == "error"] == []


def test_another_traefik_with_the_same_class_is_named(world: World) -> None:
    """A second Traefik that takes the same routes is an error that names it."""
    bench = world.bench
    ref = bench.ref("Deployment", "other-traefik", "apps/v1")
    arguments = [
        "--entrypoints.web.address=:8000",
        "--providers.kubernetescrd=true",
        "--providers.kubernetescrd.ingressclass=infometis",
    ]
    labels = {"app": "other"}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": ref.name, "namespace": ref.namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [{"name": "t", "image": "traefik:v3.7.15", "args": arguments}]
                },
            },
        },
    }
    bench.cluster.write(Write(verb="create", ref=ref, body=body), bench.run())
    try:
        errors = [each for each in bench.check() if each.level == "error"]
    finally:
        bench.cluster.write(Write(verb="delete", ref=ref), bench.run())

    assert [each.check for each in errors] == ["another Traefik"]
    assert f"Deployment {bench.name}/other-traefik" in errors[0].detail


def test_a_taken_port_is_named_with_its_process(world: World) -> None:
    """Where a published port of this machine is taken, the check says by which program."""
    bench = world.bench
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        border = attrs.evolve(bench.scene.border, http_port=port, published_by="auto")
        scene = attrs.evolve(bench.scene, border=border, host_ports={port: 80})
        found = bench.adapter.check(scene, bench.cluster, bench.run())
        (holder,) = listeners([port])

    errors = [each for each in found if each.level == "error"]
    assert [(each.check, each.detail) for each in errors] == [
        (f"port {port}", f"it is taken by {holder}")
    ]
