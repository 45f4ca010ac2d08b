"""What the adapter renders is what the genuine API server takes, stores and keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.integration.border_traefik.stacks import wanted
from tests.unit.border_traefik.scenes import SERVICES

from infometis_border_traefik import Traefik
from infometis_sdk.engine.objects.order import SINGLETONS
from infometis_sdk.model import Acme, Auth, BorderTls, Rate, RouteSettings, SecretRef

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.engine.lab import Lab

pytestmark = pytest.mark.integration

SECRET = BorderTls(source="secret", secret="given", required=False)
FULL = RouteSettings(
    auth="staff",
    sensitive_auth="admins",
    allow=["10.0.0.0/8"],
    rate=Rate(average=5, burst=10),
    in_flight=3,
    request_headers={"X-Of": "border", "X-Not": ""},
    response_headers={"X-Frame-Options": "DENY"},
    timeout=2.5,
    retries=2,
    body_limit="10Mi",
    middlewares=["mine"],
)
AUTH = {
    "staff": Auth(type="forward", address="http://auth.example/ask", response_headers=["X-User"]),
    "admins": Auth(type="mtls", ca=SecretRef.parse("secret:clients/ca.crt"), names=["alice"]),
}
ROUTES = {
    "web.http": FULL,
    "kafka.out": RouteSettings(in_flight=5, auth="open"),
    "db.sql": RouteSettings(port=5432, tls="none", allow=["10.0.0.0/8"]),
    "nifi.ui": RouteSettings(auth="open"),
}


def test_everything_is_accepted_and_nothing_is_left_to_do(lab: Lab) -> None:
    """Every object of a full border is stored as it is rendered, so the next plan is empty."""
    made = wanted(
        lab,
        SERVICES.values(),
        tls=attrs.evolve(SECRET, hsts=60),
        routes={name: each for name, each in ROUTES.items() if name != "web.http"}
        | {"web.http": attrs.evolve(FULL, sensitive_auth="")},
        auth={"staff": AUTH["staff"]},
        settings=Traefik(max_replicas=3),
    )
    lab.up(made)
    lab.settled(made)


def test_two_environments_share_the_definitions(labs: Callable[[], Lab]) -> None:
    """Each has a Traefik of its own; what one leaves behind still serves the other."""
    first, second = labs(), labs()
    one = wanted(first, [SERVICES["web"]], tls=SECRET)
    two = wanted(second, [SERVICES["web"]], tls=SECRET)
    first.up(one)
    second.up(two)
    singles = [each.ref for each in one.manifests if each.object["kind"] in SINGLETONS]
    assert len(singles) == 11
    first.down(one)
    for ref in singles:
        second.must_get(ref)
    second.settled(two)
    route = second.ref("IngressRoute", "web-http", "traefik.io/v1alpha1")
    second.must_get(route)


def test_guests_bring_nothing_that_belongs_to_the_cluster(labs: Callable[[], Lab]) -> None:
    """In shared mode everything is in the assigned namespace."""
    owner, guest = labs(), labs()
    owner.up(wanted(owner, [SERVICES["web"]], tls=SECRET))
    guest.as_guest()
    made = wanted(guest, [SERVICES["web"]], tls=SECRET)
    assert {guest.namespace} == {each.object["metadata"]["namespace"] for each in made.manifests}
    guest.up(made)
    guest.settled(made)


def test_definitions_come_before_traefik_and_rules_before_routes(lab: Lab) -> None:
    """An upgrade brings the definitions first, and no route names what is not there yet."""
    made = wanted(lab, [SERVICES["web"]], tls=SECRET, routes={"web.http": RouteSettings(retries=1)})
    kinds = [each.object["kind"] for each in made.manifests]
    last = {kind: place for place, kind in enumerate(kinds)}
    assert last["CustomResourceDefinition"] < kinds.index("Deployment")
    for before in ("Middleware", "ServersTransport", "TLSOption"):
        assert last.get(before, 0) < kinds.index("IngressRoute")


@pytest.mark.parametrize(
    "given",
    [
        {"capabilities": {"host_ports": "declared"}, "host_ports": {80: 8000, 443: 8443}},
        {"published_by": "load-balancer", "settings": Traefik(replicas=2)},
        {"published_by": "node-ports"},
        {
            "tls": BorderTls(source="acme", acme=Acme(email="a@example.com")),
            "settings": Traefik(storage_class="none"),
        },
    ],
    ids=["host-ports", "load-balancer", "node-ports", "acme"],
)
def test_each_way_to_publish_is_accepted(lab: Lab, given: dict[str, Any]) -> None:
    """The API server stores it as it is rendered, and the pods may run in their namespace."""
    made = wanted(lab, [SERVICES["web"]], **{"tls": SECRET, **given})
    lab.up(made)
    lab.settled(made)
