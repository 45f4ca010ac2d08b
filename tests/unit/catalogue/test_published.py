"""The catalogue behind a border: what services learn of their routes, and no more."""

from __future__ import annotations

from typing import Any

import attrs

from infometis_sdk.catalogue.plugin import infometis_services
from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.core.digest import stack_digest
from infometis_sdk.engine.render import render
from infometis_sdk.engine.validate import validate
from infometis_sdk.model import Border, Environment, Manifest, Project, RouteSettings
from infometis_sdk.project.services import load_package_service


def project() -> Project:
    """Return a project of all services of the catalogue."""
    return Project(
        name="demo", services={s.name: load_package_service(s) for s in infometis_services()}
    )


def stack(**border: Any) -> tuple[Any, dict[tuple[str, str], Manifest]]:
    """Return the stack of an environment with three brokers, and its manifests by kind and name."""
    values = {"kafka": {"replicas": 3, "controllers": 3}}
    there = Environment(
        "dev", border=Border(anonymous=True, **border), values=values, stack_id="demo-dev"
    )
    composed = compose(project(), there)
    # No adapter is asked: this is about the services.
    made = render(attrs.evolve(composed, publisher=None))
    assert [f for f in validate(made) if f.level == "error"] == []
    return composed, {(m.ref.kind, m.ref.name): m for m in made.manifests}


def test_each_broker_gets_a_service_of_its_own_where_it_is_published() -> None:
    """It selects one pod, and a route leads to it under a host of its own."""
    composed, objects = stack(type="any", domain="example.org")
    (route,) = [route for route in composed.routes if route.name == "kafka.external"]
    assert [member.host for member in route.members] == [f"kafka-{n}.example.org" for n in range(3)]
    for number, member in enumerate(route.members):
        spec = objects["Service", member.service].object["spec"]
        assert spec["selector"]["statefulset.kubernetes.io/pod-name"] == f"kafka-{number}"
        assert [port["port"] for port in spec["ports"]] == [9094]
    _, inside = stack()
    assert not [name for kind, name in inside if kind == "Service" and "member" in name]


def test_services_know_where_the_outside_finds_them() -> None:
    """Without a word in the environment's values."""
    routes = {"grafana.http": RouteSettings(host="example.org", path="/grafana", strip=False)}
    composed, _ = stack(type="any", domain="example.org", https_port=8443, routes=routes)
    assert composed.service("grafana").values["public_url"] == "https://example.org:8443/grafana/"
    assert composed.service("nifi").values["public_host"] == "nifi.example.org:8443"
    assert composed.service("nifi").values["public_context"] is None
    assert composed.service("kafka").values["public_domain"] == "example.org"
    assert composed.service("kafka").values["public_port"] == 8443


def test_the_core_is_the_same_with_and_without_a_border() -> None:
    """What differs at the border is no part of it."""
    with_one, _ = stack(type="any", domain="example.org")
    without, _ = stack()
    assert stack_digest(with_one) == stack_digest(without)
