from __future__ import annotations

from typing import Any

import pytest
from tests.unit.border_traefik.scenes import (
    AUTH,
    HOME,
    SERVICES,
    arguments,
    objects,
    rendered,
    spec,
    through,
)

from infometis_border_traefik import Traefik
from infometis_border_traefik.names import route_objects
from infometis_sdk.model import (
    BorderTls,
    Rate,
    RouteSettings,
)


def route(**settings: Any) -> dict[str, Any]:
    """Return the routers of the one service, by their priority, with such settings."""
    made = rendered(routes={"web.http": RouteSettings(**settings)}, auth=AUTH)
    found = spec(made, "IngressRoute", "web-http")["routes"]
    return {("route" if each["priority"] % 1000 == 0 else "sensitive"): each for each in found}


def test_a_route_has_its_host_its_certificate_and_its_own_priority() -> None:
    """The simplest route: its own host, the environment's certificate, nothing in between."""
    made = rendered()
    assert spec(made, "IngressRoute", "web-http") == {
        "entryPoints": ["websecure"],
        "ingressClassName": "infometis",
        "routes": [
            {
                "kind": "Rule",
                "match": "Host(`web.localhost`) && PathPrefix(`/`)",
                "priority": 1000,
                "services": [{"kind": "Service", "name": "web", "port": 80, "scheme": "http"}],
            }
        ],
        "tls": {"options": {"name": "border-tls"}, "secretName": "border-tls"},
    }
    (secret,) = made.secrets
    assert (
        secret.name,
        secret.kind,
        secret.hosts,
    ) == ("border-tls", "certificate", ("web.localhost",))


def test_limits_come_before_questions_and_rewrites_after_them() -> None:
    """Nobody is asked who he is before he may come in, nor changes anything before he may."""
    router = route(
        path="/shop",
        auth="portal",
        sensitive_auth="portal",
        allow=["10.0.0.0/8"],
        rate=Rate(average=5),
        in_flight=2,
        request_headers={"X-A": "b"},
        response_headers={"X-C": "d"},
        retries=1,
        body_limit="1Mi",
        middlewares=["mine"],
    )["route"]
    assert through(router) == [
        "web-http-answer",
        "web-http-allow",
        "web-http-rate",
        "web-http-in-flight",
        "border-auth-portal",
        "web-http-body",
        "web-http-retry",
        "web-http-strip",
        "web-http-request",
        "mine",
    ]


def test_every_middleware_of_a_route_is_there() -> None:
    """A router that names a middleware which does not exist is no router: all would be 404."""
    made = rendered(
        *SERVICES,
        auth=AUTH,
        routes={
            "web.http": RouteSettings(auth="staff", sensitive_auth="chief", rate=Rate(average=1)),
            "nifi.ui": RouteSettings(auth="badge"),
            "db.sql": RouteSettings(port=5432, tls="none", in_flight=1, allow=["10.0.0.0/8"]),
            "kafka.out": RouteSettings(auth="badge"),
        },
        tls=BorderTls(required=False),
    )
    for kind, of in (("IngressRoute", "Middleware"), ("IngressRouteTCP", "MiddlewareTCP")):
        for key, each in objects(made, kind).items():
            space = key.rpartition("/")[0]
            for router in each["spec"]["routes"]:
                for name in through(router):
                    assert f"{space}/{name}".lstrip("/") in objects(made, of)
            options = each["spec"].get("tls", {}).get("options", {}).get("name")
            assert options is None or options in objects(made, "TLSOption")


def test_sensitive_operations_stand_above_their_route_with_another_guard() -> None:
    """The stronger rule is met first, and the rest keeps the weaker one."""
    made = rendered(
        auth=AUTH, routes={"web.http": RouteSettings(auth="staff", sensitive_auth="portal")}
    )
    routers = spec(made, "IngressRoute", "web-http")["routes"]
    assert [router["priority"] for router in routers] == [1500, 1500, 1000]
    assert [through(router) for router in routers] == [
        ["border-auth-portal", "web-http-request"],
        ["border-auth-portal", "web-http-request"],
        ["border-auth-staff", "web-http-request"],
    ]
    assert (
        "admin(?:;[^/]*)?(?:/|$)|/[.][.]?;`) && (Method(`POST`) || Method(`DELETE`) || !("
        in routers[0]["match"]
    )
    assert " && (Method(`PATCH`) || !(" in routers[1]["match"]
    taken = spec(made, "Middleware", "web-http-request")["headers"]["customRequestHeaders"]
    assert taken == {"X-HTTP-Method": "", "X-HTTP-Method-Override": "", "X-Method-Override": ""}


def test_a_https_backend_is_verified_and_called_by_its_own_name() -> None:
    """NiFi answers to the names on its certificate only, and a session stays on its node."""
    made = rendered("nifi", routes={"nifi.ui": RouteSettings(timeout=2.5)})
    (router,) = spec(made, "IngressRoute", "nifi-ui")["routes"]
    assert router["services"] == [
        {
            "kind": "Service",
            "name": "nifi",
            "port": 8443,
            "scheme": "https",
            "serversTransport": "nifi-ui",
            "sticky": {
                "cookie": {
                    "name": "nifi-ui-pod",
                    "httpOnly": True,
                    "sameSite": "lax",
                    "secure": True,
                }
            },
        }
    ]
    assert spec(made, "ServersTransport", "nifi-ui") == {
        "serverName": "nifi",
        "rootCAs": [{"secret": "nifi-tls"}],
        "forwardingTimeouts": {"responseHeaderTimeout": "2500ms"},
    }
    assert spec(made, "Middleware", "nifi-ui-request") == {
        "headers": {"customRequestHeaders": {"Host": "nifi"}}
    }


def test_kafka_is_told_apart_by_name_broker_by_broker() -> None:
    """One router for the bootstrap host, one for each member."""
    made = rendered("kafka", routes={"kafka.out": RouteSettings(tls="passthrough")})
    found = spec(made, "IngressRouteTCP", "kafka-out")
    assert found["tls"] == {"passthrough": True}
    assert [(each["match"], each["services"][0]["name"]) for each in found["routes"]] == [
        ("HostSNI(`kafka.localhost`)", "kafka"),
        ("HostSNI(`kafka-0.localhost`)", "kafka-member-0"),
        ("HostSNI(`kafka-1.localhost`)", "kafka-member-1"),
    ]
    assert made.secrets == ()


def test_plain_connections_have_a_port_of_their_own() -> None:
    """Without TLS nothing tells connections apart but the port."""
    made = rendered(
        "db", routes={"db.sql": RouteSettings(port=5432, tls="none")}, tls=BorderTls(required=False)
    )
    found = spec(made, "IngressRouteTCP", "db-sql")
    assert (found["entryPoints"], found["routes"][0]["match"]) == (["tcp-5432"], "HostSNI(`*`)")
    assert "--entrypoints.tcp-5432.address=:15432/tcp" in arguments(made)
    ports = {
        p["name"]: p["port"]
        for p in spec(made, "Service", f"{HOME}-border/border-traefik")["ports"]
    }
    assert ports == {"web": 80, "websecure": 443, "tcp-5432": 5432}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"scheme": "https", "permanent": False}),
        ({"https_port": 8443}, {"scheme": "https", "permanent": False, "port": "8443"}),
        (
            {"tls": BorderTls(source="secret", secret="x")},
            {"scheme": "https", "permanent": True},
        ),
    ],
)
def test_http_is_sent_to_https(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """On unusual ports too, and for ever only where the certificate is there to stay."""
    made = rendered(**given)
    assert {"redirectScheme": expected} == spec(made, "Middleware", "border-redirect")
    (router,) = spec(made, "IngressRoute", "border-redirect")["routes"]
    assert router["priority"] < 1000


def test_encrypted_connections_on_a_port_of_their_own_are_still_known_by_name() -> None:
    """The certificate holds their host, and clients are told that host."""
    made = rendered("kafka", routes={"kafka.out": RouteSettings(port=9094)})
    found = spec(made, "IngressRouteTCP", "kafka-out")
    assert found["entryPoints"] == ["tcp-9094"]
    assert found["routes"][0]["match"] == "HostSNI(`kafka.localhost`)"
    assert "kafka.localhost" in made.secrets[0].hosts


def test_names_of_objects_do_not_collide() -> None:
    """``a.b-c`` and ``a-b.c`` are two routes."""
    names = route_objects(["a.b-c", "a-b.c", "d.e"])
    assert len(set(names.values())) == 3
    assert names["d.e"] == "d-e"


def test_passwords_stay_at_the_border_and_nobody_trusts_headers_of_clients() -> None:
    """Basic authentication takes its header off; the asked service hears our word only."""
    made = rendered(
        auth=AUTH, routes={"web.http": RouteSettings(auth="staff", sensitive_auth="portal")}
    )
    basic = spec(made, "Middleware", "border-auth-staff")["basicAuth"]
    assert basic == {"secret": "border-auth-staff", "realm": "infometis", "removeHeader": True}
    forward = spec(made, "Middleware", "border-auth-portal")["forwardAuth"]
    assert forward["trustForwardHeader"] is False
    kinds = {secret.name: secret.kind for secret in made.secrets}
    assert kinds == {"border-tls": "certificate", "border-auth-staff": "users"}


@pytest.mark.parametrize(
    ("auth", "sensitive", "demand", "asks"),
    [
        ("badge", "badge", "RequireAndVerifyClientCert", False),
        ("chief", "chief", "RequireAndVerifyClientCert", True),
        ("open", "badge", "VerifyClientCertIfGiven", True),
    ],
)
def test_client_certificates(auth: str, sensitive: str, demand: str, *, asks: bool) -> None:
    """The handshake decides where it can; names and parts of a host are looked at after it."""
    made = rendered(
        auth=AUTH, routes={"web.http": RouteSettings(auth=auth, sensitive_auth=sensitive)}
    )
    found = spec(made, "IngressRoute", "web-http")
    options = spec(made, "TLSOption", found["tls"]["options"]["name"])
    authority = f"border-auth-{sensitive}"
    assert {"clientAuthType": demand, "secretNames": [authority]} == options["clientAuth"]
    assert ("authorities" in {s.kind for s in made.secrets}) is True
    chain = [f"border-auth-{sensitive}-{part}" for part in ("clear", "show", "ask")]
    assert asks == (chain == through(found["routes"][0])[:3])
    assert asks == (f"{HOME}-border/border-client-names" in objects(made, "IngressRoute"))


def test_a_port_asks_for_what_its_own_routes_demand() -> None:
    """What is open on one port of a host must not make another one ask for less.

    Nothing looks at a certificate after the handshake of a connection that is no HTTP.
    """
    made = rendered(
        "web",
        "kafka",
        auth=AUTH,
        routes={
            "web.http": RouteSettings(auth="open", host="shop.localhost"),
            "kafka.out": RouteSettings(auth="badge", host="shop.localhost", port=9094),
        },
    )
    named = spec(made, "IngressRouteTCP", "kafka-out")["tls"]["options"]["name"]
    demand = spec(made, "TLSOption", named)["clientAuth"]["clientAuthType"]
    assert demand == "RequireAndVerifyClientCert"
    web = spec(made, "IngressRoute", "web-http")["tls"]["options"]["name"]
    assert "clientAuth" not in spec(made, "TLSOption", web)


@pytest.mark.parametrize(
    ("proxy_protocol", "client"),
    [(False, {"excludedIPs": ["192.0.2.0/24"]}), (True, {"depth": 0})],
)
def test_who_the_client_is_behind_proxies(client: dict[str, Any], *, proxy_protocol: bool) -> None:
    """The PROXY protocol gives the connection the client's address, and no header names it then."""
    made = rendered(
        settings=Traefik(trusted_proxies=["192.0.2.0/24"], proxy_protocol=proxy_protocol),
        routes={"web.http": RouteSettings(allow=["10.0.0.0/8"])},
    )
    found = spec(made, "Middleware", "web-http-allow")["ipAllowList"]
    assert found == {"sourceRange": ["10.0.0.0/8"], "ipStrategy": client}
