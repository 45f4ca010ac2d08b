from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk.engine.border.routes import announced, routes_of, with_members
from infometis_sdk.engine.compose import compose
from infometis_sdk.model import (
    Auth,
    Border,
    BorderTls,
    Endpoint,
    Environment,
    Member,
    Parameter,
    Project,
    RouteSettings,
    SecretRef,
    Service,
)
from infometis_sdk.model.service import SensitiveOperation

if TYPE_CHECKING:
    from collections.abc import Mapping


def service(name: str = "hello", **endpoints: Endpoint) -> Service:
    """Return a service that only has endpoints."""
    return Service(name=name, endpoints=endpoints)


def environment(**border: Any) -> Environment:
    """Return an environment for development with such a border."""
    return Environment("dev", border=Border(type="any", anonymous=True, **border))


def urls(services: Mapping[str, Service], **border: Any) -> dict[str, str]:
    """Return where each route is found."""
    return {route.name: route.url for route in routes_of(services, environment(**border))}


def test_without_a_border_nothing_is_published() -> None:
    """``none`` publishes nothing, whatever services offer."""
    hello = service(http=Endpoint(port=80, public=True))
    assert routes_of({"hello": hello}, Environment("dev")) == ()


def test_every_public_endpoint_gets_a_host_of_its_own() -> None:
    """A host of its own suits every service, so it needs no word in the environment."""
    hello = service(http=Endpoint(port=80, public=True), inner=Endpoint(port=81))
    assert urls({"hello": hello}, domain="example.org") == {
        "hello.http": "https://hello.example.org/"
    }


def test_two_public_endpoints_of_a_service_are_told_apart_by_their_names() -> None:
    """The endpoint's name stands before that of the service."""
    hello = service(ui=Endpoint(port=80, public=True), api=Endpoint(port=81, public=True))
    assert urls({"hello": hello}) == {
        "hello.api": "https://api-hello.localhost/",
        "hello.ui": "https://ui-hello.localhost/",
    }


def test_an_environment_says_host_path_and_ports() -> None:
    """What the environment says wins, and unusual ports stand in the URL."""
    hello = service(http=Endpoint(port=80, public=True, path_style="strip"))
    settings = RouteSettings(host="www.example.org", path="/hello/")
    found = routes_of(
        {"hello": hello}, environment(https_port=8443, routes={"hello.http": settings})
    )
    (route,) = found
    assert (route.url, route.path, route.strip) == (
        "https://www.example.org:8443/hello/",
        "/hello",
        True,
    )


def test_an_endpoint_can_stay_inside() -> None:
    """``publish: false`` takes back what the descriptor offers."""
    hello = service(http=Endpoint(port=80, public=True))
    assert urls({"hello": hello}, routes={"hello.http": RouteSettings(publish=False)}) == {}


def test_without_a_certificate_routes_are_plain() -> None:
    """Source ``none`` means plain HTTP on the port of HTTP."""
    hello = service(http=Endpoint(port=80, public=True))
    tls = BorderTls(source="none", required=False)
    assert urls({"hello": hello}, tls=tls, http_port=8080) == {
        "hello.http": "http://hello.localhost:8080/"
    }


def test_sensitive_operations_get_their_own_authentication() -> None:
    """Their paths are told as the outside sees them; the same authentication needs no guard."""
    operation = SensitiveOperation(paths=("/api", "/"), methods=("POST",))
    hello = service(http=Endpoint(port=80, public=True, path_style="strip", sensitive=(operation,)))
    auth = {"staff": Auth(type="forward", address="http://auth/")}
    settings = RouteSettings(path="/hello", sensitive_auth="staff")
    (route,) = routes_of({"hello": hello}, environment(auth=auth, routes={"hello.http": settings}))
    (guarded,) = route.guarded
    assert (guarded.paths, guarded.methods, guarded.auth) == (
        ("/hello/api", "/hello"),
        ("POST",),
        "staff",
    )
    (route,) = routes_of({"hello": hello}, environment(auth=auth, default_auth="staff"))
    assert (route.auth, route.guarded) == ("staff", ())


def test_sensitive_paths_of_a_service_below_its_own_path_are_told_as_it_names_them() -> None:
    """With the path twice in it a rule would match nothing, and the weaker one would let pass."""
    operation = SensitiveOperation(paths=("/hello/admin", "/"))
    endpoint = Endpoint(port=80, public=True, path="/hello", sensitive=(operation,))
    auth = {"staff": Auth(type="forward", address="http://auth/")}
    routes = {"hello.http": RouteSettings(path="/hello", sensitive_auth="staff")}
    (route,) = routes_of({"hello": service(http=endpoint)}, environment(auth=auth, routes=routes))
    assert [guarded.paths for guarded in route.guarded] == [("/hello/admin", "/")]


def test_other_protocols_take_the_default_only_if_they_can_carry_it() -> None:
    """Passwords are HTTP's; a client certificate belongs to the handshake of any protocol."""
    kafka = service("kafka", out=Endpoint(port=9094, public=True, protocol="kafka"))
    for auth, expected in (
        (Auth(type="basic", users={"me": SecretRef.parse("env:X")}), "open"),
        (Auth(type="mtls", ca=SecretRef.parse("file:ca.pem")), "staff"),
    ):
        (route,) = routes_of(
            {"kafka": kafka}, environment(auth={"staff": auth}, default_auth="staff")
        )
        assert route.auth == expected


def test_services_learn_of_their_routes() -> None:
    """Below what the environment says itself, above what the descriptor says."""
    parameters = {
        name: Parameter(type="string", default="", scope="border") for name in ("url", "host")
    }
    endpoint = Endpoint(port=80, public=True, announce={"url": "url", "host": "host"})
    hello = Service(name="hello", endpoints={"http": endpoint}, parameters=parameters)
    project = Project(name="demo", services={"hello": hello})
    there = attrs.evolve(
        environment(domain="example.org"), values={"hello": {"host": "mine.example.org"}}
    )
    composed = compose(project, there).service("hello")
    assert composed.values == {"url": "https://hello.example.org/", "host": "mine.example.org"}
    assert [s.origin.layer for s in composed.history["url"]] == ["base", "border"]
    assert compose(project, Environment("dev")).service("hello").values["url"] == ""


def test_a_prefix_is_announced_only_where_it_is_taken_off() -> None:
    """A service with a host of its own must not think that it lives below a path."""
    endpoint = Endpoint(port=80, public=True, path_style="host", announce={"prefix": "context"})
    nifi = service("nifi", ui=endpoint)
    own = routes_of({"nifi": nifi}, environment())
    below = routes_of({"nifi": nifi}, environment(routes={"nifi.ui": RouteSettings(path="/nifi")}))
    assert (announced(own), announced(below)) == ({}, {"nifi": {"context": "/nifi"}})


def test_pods_that_are_reached_one_by_one_have_hosts_beside_that_of_all() -> None:
    """All are labels of one domain, so that one wildcard certificate covers them."""
    endpoint = Endpoint(port=9094, public=True, protocol="kafka", members="replicas")
    kafka = service("kafka", out=endpoint)
    routes = routes_of({"kafka": kafka}, environment(domain="example.org"))
    (route,) = with_members(routes, {"kafka": {"replicas": 2}})
    assert route.url == "kafka://kafka.example.org:443"
    assert route.members == (
        Member(host="kafka-0.example.org", service="kafka-member-0"),
        Member(host="kafka-1.example.org", service="kafka-member-1"),
    )
