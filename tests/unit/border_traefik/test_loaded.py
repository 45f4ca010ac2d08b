"""What Traefik says that it loaded, held against what was rendered."""

from __future__ import annotations

from typing import Any

from infometis_border_traefik.proving.inside import Inside, inside
from infometis_border_traefik.proving.loaded import Loaded, expected_routers, loaded_proofs
from infometis_sdk.model.border import Member, Route
from infometis_sdk.model.service import Endpoint

RULE = "Host(`web.test`) && PathPrefix(`/`)"


def route(name: str = "web.http", **more: Any) -> Route:
    """Return a route to one service."""
    given = {"host": "web.test", "public_port": 443, "endpoint": Endpoint(port=80), **more}
    service = name.partition(".")[0]
    return Route(name=name, service=service, backend=service, port=80, **given)


def ingress_route(kind: str = "IngressRoute", **rule: Any) -> dict[str, Any]:
    """Return a rendered object with one rule."""
    given = {"match": RULE, "services": [{"name": "web", "port": 80}], **rule}
    return {"kind": kind, "metadata": {"name": "web"}, "spec": {"routes": [given]}}


def router(**more: Any) -> dict[str, Any]:
    """Return a router as Traefik's API gives it."""
    return {"name": "ns-web-1@kubernetescrd", "rule": RULE, "status": "enabled", **more}


def states(objects: list[dict[str, Any]], loaded: Loaded, *routes: Route) -> list[tuple[str, str]]:
    """Return state and detail of the proofs."""
    wanted = routes or (route(),)
    proofs = loaded_proofs(expected_routers(objects, wanted), loaded, wanted)
    return [(proof.state, proof.detail) for proof in proofs]


def test_a_router_that_is_enabled_passes() -> None:
    """A route whose routers are all there, without a complaint, is loaded."""
    loaded = Loaded(version="3.7.15", routers={"http": (router(),)})

    assert states([ingress_route()], loaded) == [("passed", "1 router, Traefik 3.7.15")]


def test_a_router_that_is_not_there_fails() -> None:
    """A rule that Traefik does not know is told with what is usually the matter."""
    ((state, detail),) = states([ingress_route()], Loaded(routers={"http": ()}))

    assert state == "failed"
    assert f"Traefik has no router for {RULE}: a Secret, a Service" in detail


def test_what_traefik_complains_of_is_passed_on() -> None:
    """A router with an error fails, in Traefik's own words."""
    broken = router(status="disabled", error=["middleware ns-x@kubernetescrd does not exist"])
    loaded = Loaded(routers={"http": (broken,)})

    ((state, detail),) = states([ingress_route()], loaded)

    assert state == "failed"
    assert detail == "ns-web-1@kubernetescrd: middleware ns-x@kubernetescrd does not exist"


def test_a_middleware_that_was_lost_is_an_open_door() -> None:
    """A router that has fewer middlewares than were rendered fails, as do broken ones."""
    rendered = [ingress_route(middlewares=[{"name": "a"}, {"name": "b"}])]
    lost = Loaded(routers={"http": (router(middlewares=["ns-a@kubernetescrd"]),)})
    broken = Loaded(
        routers={"http": (router(middlewares=["a", "b"]),)},
        middlewares={"http": ({"name": "b", "error": ["no users"]}, {"name": "c", "error": ["x"]})},
    )

    assert states(rendered, lost) == [("failed", "ns-web-1@kubernetescrd: 1 of 2 middlewares")]
    assert states(rendered, broken) == [("failed", "b: no users")]


def test_routes_of_one_host_are_told_apart_by_their_service() -> None:
    """Two routes share a host: each is held against the rules that lead to its own service."""
    other: dict[str, Any] = {
        "match": "Host(`web.test`) && Path(`/b`)",
        "services": [{"name": "b", "port": 80}],
    }
    rendered = [ingress_route(), ingress_route(**other)]
    loaded = Loaded(version="3", routers={"http": (router(),)})

    found = states(rendered, loaded, route(), route("b.http", path="/b"))

    assert [state for state, _ in found] == ["passed", "failed"]


def test_members_belong_to_their_route() -> None:
    """The routers of single brokers count for the route of all of them."""
    kafka = route(
        "kafka.client",
        host="kafka.test",
        endpoint=Endpoint(port=9094, protocol="kafka"),
        members=[Member(host="kafka-0.test", service="kafka-0")],
    )
    rendered = [
        ingress_route(
            "IngressRouteTCP",
            match=f"HostSNI(`{host}`)",
            services=[{"name": service, "port": 9094}],
        )
        for host, service in (("kafka.test", "kafka"), ("kafka-0.test", "kafka-0"))
    ]

    expected = expected_routers(rendered, (kafka,))

    assert [each.route for each in expected] == ["kafka.client", "kafka.client"]
    assert {"tcp"} == {each.protocol for each in expected}


def test_a_route_without_any_router_fails() -> None:
    """Nothing rendered is not the same as everything loaded."""
    assert states([], Loaded()) == [("failed", "nothing was rendered for it")]


def workload(*arguments: str, namespace: str = "") -> dict[str, Any]:
    """Return a workload that runs with these arguments."""
    return {
        "kind": "Deployment",
        "metadata": {"name": "traefik", **({"namespace": namespace} if namespace else {})},
        "spec": {
            "selector": {"matchLabels": {"b": "2", "a": "1"}},
            "template": {"spec": {"containers": [{"name": "main", "args": list(arguments)}]}},
        },
    }


def test_the_api_is_found_where_a_route_leads_to_it() -> None:
    """The API is asked on the entry point of the route to ``api@internal``."""
    api = ingress_route(services=[{"name": "api@internal", "kind": "TraefikService"}])
    api["spec"]["entryPoints"] = ["status"]
    objects = [
        workload("--entryPoints.web.address=:8000", "--entryPoints.status.address=127.0.0.1:8081"),
        api,
    ]

    assert Inside(namespace="shop", labels="a=1,b=2", port=8081) == inside(objects, "shop")


def test_no_api_and_no_traefik_are_told() -> None:
    """Without a route to the API, or without a Traefik of ours, there is nobody to ask."""
    assert inside([workload("--entryPoints.web.address=:8000")], "shop") is None
    assert inside([ingress_route()], "shop") is None


def test_the_insecure_api_is_found_too() -> None:
    """A Traefik that serves its API without a route does so on the entry point ``traefik``."""
    found = inside(
        [workload("--api.insecure=true", "--entrypoints.traefik.address=:9000/tcp", namespace="t")],
        "shop",
    )

    assert Inside(namespace="t", labels="a=1,b=2", port=9000) == found
