from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from infometis_sdk.engine.border.check_border import border_faults
from infometis_sdk.engine.border.words import PATH, dns_name, url
from infometis_sdk.engine.compose import compose
from infometis_sdk.errors import ProjectError
from infometis_sdk.model import (
    Acme,
    Auth,
    Border,
    BorderTls,
    Endpoint,
    Environment,
    Origin,
    Parameter,
    Project,
    Rate,
    RouteSettings,
    SecretRef,
    Service,
)
from infometis_sdk.model.service import SensitiveOperation

REF = SecretRef.parse("env:X")
SERVICES = {
    service.name: service
    for service in (
        Service(
            name="one",
            endpoints={
                "http": Endpoint(port=80, public=True, path_style="strip"),
                "inner": Endpoint(port=81),
            },
        ),
        Service(name="two", endpoints={"http": Endpoint(port=80, public=True, path_style="strip")}),
    )
}
KAFKA = {
    "kafka": Service(
        name="kafka", endpoints={"out": Endpoint(port=9094, public=True, protocol="kafka")}
    ),
    "db": Service(name="db", endpoints={"sql": Endpoint(port=5432, public=True, protocol="tcp")}),
    "nifi": Service(
        name="nifi",
        endpoints={"ui": Endpoint(port=8443, public=True, protocol="https", path_style="host")},
    ),
}
QUIET = {"db.sql": RouteSettings(publish=False)}


def faults(services: dict[str, Service] | None = None, **border: Any) -> dict[str, str]:
    """Return path and message of every fault of a border that is fine but for what is given."""
    full = Border(**{"type": "any", "anonymous": True, **border})
    found = border_faults(SERVICES if services is None else services, Environment("x", border=full))
    return {fault.path: fault.message for fault in found}


def routes(**settings: RouteSettings) -> dict[str, RouteSettings]:
    """Return settings by endpoint, of services that have one each."""
    return {f"{name}.http": each for name, each in settings.items()}


def test_a_border_of_defaults_is_right() -> None:
    """Every service gets a host of its own, and nobody need say more in development."""
    assert faults() == {}


@pytest.mark.parametrize(
    ("border", "path"),
    [
        ({"domain": "a`) || Host(`b"}, "border.domain"),
        ({"http_port": 0}, "border.http_port"),
        ({"http_port": 443}, "border.https_port"),
        ({"published_by": "magic"}, "border.published_by"),
        ({"default_auth": "staf"}, "border.default_auth"),
        ({"tls": BorderTls(source="files", key=REF)}, "border.tls.certificate"),
        ({"tls": BorderTls(secret="x")}, "border.tls.secret"),
        ({"tls": BorderTls(source="none")}, "border.tls.required"),
        ({"tls": BorderTls(minimum="1.1")}, "border.tls.minimum"),
        ({"tls": BorderTls(hsts=60)}, "border.tls.hsts"),
        ({"tls": BorderTls(source="acme", acme=Acme(email="me"))}, "border.tls.acme.email"),
        ({"auth": {"open": Auth(type="mtls", ca=REF)}}, "border.auth.open"),
        ({"auth": {"a": Auth(type="digest")}}, "border.auth.a.type"),
        ({"auth": {"a": Auth(type="basic")}}, "border.auth.a.users"),
        ({"auth": {"a": Auth(type="basic", users={"a:b": REF})}}, "border.auth.a.users.a:b"),
        ({"auth": {"a": Auth(type="forward", address="ftp://x")}}, "border.auth.a.address"),
        ({"auth": {"a": Auth(type="mtls")}}, "border.auth.a.ca"),
        ({"routes": {"one.htp": RouteSettings()}}, "border.routes.one.htp"),
        ({"routes": {"one.inner": RouteSettings()}}, "border.routes.one.inner"),
        ({"routes": routes(one=RouteSettings(host="A"))}, "border.routes.one.http.host"),
        ({"routes": routes(one=RouteSettings(host="h.org"))}, "border.routes.one.http.host"),
        ({"routes": routes(one=RouteSettings(path="/a/../b"))}, "border.routes.one.http.path"),
        ({"routes": routes(one=RouteSettings(path="/a`"))}, "border.routes.one.http.path"),
        ({"routes": routes(one=RouteSettings(port=9))}, "border.routes.one.http.port"),
        ({"routes": routes(one=RouteSettings(tls="none"))}, "border.routes.one.http.tls"),
        ({"routes": routes(one=RouteSettings(tls="passthrough"))}, "border.routes.one.http.tls"),
        ({"routes": routes(one=RouteSettings(auth="x"))}, "border.routes.one.http.auth"),
        (
            {"routes": routes(one=RouteSettings(allow=("10.0.0.1/8",)))},
            "border.routes.one.http.allow[0]",
        ),
        (
            {"routes": routes(one=RouteSettings(rate=Rate(average=0)))},
            "border.routes.one.http.rate",
        ),
        ({"routes": routes(one=RouteSettings(retries=-1))}, "border.routes.one.http.retries"),
        (
            {"routes": routes(one=RouteSettings(body_limit="x"))},
            "border.routes.one.http.body_limit",
        ),
        (
            {"routes": routes(one=RouteSettings(response_headers={"X": "a\r\nb"}))},
            "border.routes.one.http.response_headers.X",
        ),
        (
            {"routes": routes(one=RouteSettings(middlewares=("A b",)))},
            "border.routes.one.http.middlewares[0]",
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_path(border: dict[str, Any], path: str) -> None:
    """One wrong word is one fault, at its own place."""
    assert list(faults(**border)) == [path]


def test_a_fault_has_file_line_and_the_nearest_name() -> None:
    """The place is that of the word, or of the nearest thing above it."""
    border = Border(type="any", default_auth="staf", auth={"staff": Auth(type="mtls", ca=REF)})
    origin = Origin(layer="environment", file="environments/x.yaml", line=7)
    there = Environment("x", border=border, sources={"border": origin})
    (fault,) = [f for f in border_faults({}, there) if f.path == "border.default_auth"]
    assert (fault.origin, fault.nearest) == (origin, "staff")


def test_outside_development_nobody_passes_unless_something_says_who() -> None:
    """Deny by default: each route needs a word, if only that it is open."""
    nobody = faults(anonymous=False)
    assert list(nobody) == ["border.routes.one.http.auth", "border.routes.two.http.auth"]
    said = routes(one=RouteSettings(auth="open"), two=RouteSettings(auth="open"))
    assert faults(anonymous=False, routes=said) == {}


def test_two_endpoints_on_one_route_are_a_clash() -> None:
    """The same host and path, however the path is written."""
    wanted = routes(
        one=RouteSettings(host="h.localhost", path="/a"),
        two=RouteSettings(host="h.localhost", path="/a/"),
    )
    assert faults(routes=wanted) == {
        "border.routes.two.http": "one.http and two.http want one route"
    }


def test_a_path_below_another_would_be_swallowed() -> None:
    """But a longer word is no path below a shorter one, and the root takes what is left."""

    def at(one: str, two: str) -> list[str]:
        return list(
            faults(
                routes=routes(
                    one=RouteSettings(host="h.localhost", path=one),
                    two=RouteSettings(host="h.localhost", path=two),
                )
            )
        )

    assert at("/nifi", "/nifi/registry") == ["border.routes.two.http.path"]
    assert at("/nifi", "/nifi-registry") == []
    assert at("/", "/two") == []


def test_a_service_below_a_path_must_know_it_or_have_it_taken_off() -> None:
    """Its pages would name what is not there."""
    settings = {"nifi.ui": RouteSettings(path="/nifi"), **QUIET}
    assert list(faults(KAFKA, routes=settings)) == ["border.routes.nifi.ui.path"]


def test_plain_tcp_needs_a_port_that_is_its_own() -> None:
    """There is no name to tell it by; and without TLS the environment must allow that."""
    tls = BorderTls(required=False)
    assert list(faults(KAFKA, tls=tls)) == ["border.routes.db.sql.port"]
    for port, expected in ((5432, []), (443, ["border.routes.db.sql.port"])):
        settings = {"db.sql": RouteSettings(port=port)}
        assert list(faults(KAFKA, tls=tls, routes=settings)) == expected
    assert list(faults(KAFKA, routes={"db.sql": RouteSettings(port=5432)})) == [
        "border.routes.db.sql.tls"
    ]


def test_kafka_needs_tls_and_takes_no_words_of_http() -> None:
    """It is told apart by the name in the handshake, and has neither paths nor headers."""
    settings = {"kafka.out": RouteSettings(path="/x", rate=Rate(average=1)), **QUIET}
    assert list(faults(KAFKA, routes=settings)) == [
        "border.routes.kafka.out.path",
        "border.routes.kafka.out.rate",
    ]
    basic = {"a": Auth(type="basic", users={"me": REF})}
    settings = {"kafka.out": RouteSettings(auth="a"), **QUIET}
    assert list(faults(KAFKA, auth=basic, routes=settings)) == ["border.routes.kafka.out.auth"]


def test_a_host_of_kafka_carries_no_http() -> None:
    """Named HTTP hosts come first in the handshake, so one of both would never be reached."""
    settings = {"kafka.out": RouteSettings(host="nifi.localhost"), **QUIET}
    assert list(faults(KAFKA, routes=settings)) == ["border.routes.nifi.ui.host"]


def test_what_is_passed_through_cannot_be_guarded() -> None:
    """The border sees no path of it, so a stronger proof for some paths would never be asked."""
    operation = SensitiveOperation(paths=("/api",))
    ui = Endpoint(port=8443, public=True, protocol="https", sensitive=(operation,))
    services = {"nifi": Service(name="nifi", endpoints={"ui": ui})}
    wanted = {"nifi.ui": RouteSettings(tls="passthrough", sensitive_auth="m")}
    auth = {"m": Auth(type="mtls", ca=REF)}
    found = faults(services, auth=auth, routes=wanted)
    assert "border.routes.nifi.ui.tls" in found


def test_a_pod_that_is_reached_by_itself_keeps_its_host() -> None:
    """Found once the number of pods is known."""
    out = Endpoint(port=9094, public=True, protocol="kafka", members="replicas")
    replicas = Parameter(type="integer", default=2, scope="scale")
    kafka = Service(name="kafka", endpoints={"out": out}, parameters={"replicas": replicas})
    routes = {"one.http": RouteSettings(host="kafka-1.localhost")}
    border = Border(type="any", anonymous=True, routes=routes)
    project = Project(name="demo", services={"kafka": kafka, "one": SERVICES["one"]})
    with pytest.raises(ProjectError) as caught:
        compose(project, Environment("dev", border=border))
    assert [fault.path for fault in caught.value.faults] == ["border.routes.one.http.host"]


def test_one_host_asks_for_one_kind_of_client_certificate() -> None:
    """The handshake comes before the path, so all routes of a host share its question."""
    auth = {"m": Auth(type="mtls", ca=REF)}
    settings = routes(
        one=RouteSettings(host="h.localhost", path="/one", auth="m"),
        two=RouteSettings(host="h.localhost", path="/two"),
    )
    assert list(faults(auth=auth, routes=settings)) == ["border.routes.two.http.auth"]


@given(st.text(max_size=40))
def test_no_name_path_or_address_has_anything_to_quote(text: str) -> None:
    """What ends up between the quotes of a rule can never end them."""
    for passes in (dns_name(text), bool(PATH.fullmatch(text)), url(text, "http", "https")):
        if passes:
            assert not set(text) & set("`\"'\\ \r\n\t{}$()|&!\0")
