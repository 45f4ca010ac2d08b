"""The questions that show what a route promises, and what their answers prove."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infometis_border_traefik.proving.answers import Answer
from infometis_border_traefik.proving.promises import promises, stranger
from infometis_sdk.model.border import (
    ACME_STAGING,
    Acme,
    Auth,
    Border,
    BorderTls,
    Guarded,
    Member,
    Route,
    RouteSettings,
)
from infometis_sdk.model.secret import SecretRef
from infometis_sdk.model.service import Endpoint
from infometis_sdk.ports.border import Scene

NOW = datetime(2030, 1, 1, tzinfo=UTC)
BASIC = Auth(type="basic", users={"ann": SecretRef.parse("env:ANN")})
ANN = {"team": ("ann", "pw")}


def proofs(
    answers: dict[str, Answer], route: dict[str, Any], users: Any = (), **border: Any
) -> dict[str, tuple[str, str]]:
    """Return state and detail of each promise of a route, given what came of its question."""
    given = {"host": "web.test", "public_port": 443, "endpoint": Endpoint(port=80), **route}
    made = Route(name="web.http", service="web", backend="web", port=80, **given)
    scene = Scene(
        project="p",
        environment="dev",
        stack_id="s",
        namespace="n",
        border=Border(type="traefik", auth={"team": BASIC}, **border),
        routes=(made,),
    )
    found = {}
    for promise in promises(scene, made, dict(users), NOW):
        answer = answers.get(promise.what, Answer()) if promise.question else None
        proof = promise.proof(made.name, answer)
        found[proof.what] = (proof.state, proof.detail)
    return found


def test_an_open_route_promises_certificate_version_redirect_and_an_answer() -> None:
    """Every route of HTTPS is asked for its certificate, its oldest TLS, its redirect and more."""
    answers = {
        "certificate": Answer(version="TLSv1.3", issuer="CA", expires=NOW + timedelta(days=90)),
        "oldest TLS": Answer(trouble="handshake", detail="no protocols"),
        "redirect": Answer(status=302, headers={"location": "https://web.test/"}),
        "status": Answer(status=200),
    }

    found = proofs(answers, {})

    assert found == {
        "certificate": ("passed", "TLSv1.3, by CA, until 2030-04-01"),
        "oldest TLS": ("passed", "TLS 1.1 is refused"),
        "redirect": ("passed", "302 to https://web.test/"),
        "status": ("passed", "200"),
    }


def test_nothing_passes_without_an_answer() -> None:
    """Where nothing answers, no promise passes."""
    nobody = Answer(trouble="refused", detail="connection refused")
    route = {"auth": "team", "settings": RouteSettings(response_headers={"X-A": "1"})}
    names = ("certificate", "oldest TLS", "redirect", "authentication", "status", "headers", "HSTS")

    found = proofs(dict.fromkeys(names, nobody), route, ANN, tls=BorderTls(hsts=60))

    assert found == dict.fromkeys(names, ("failed", "connection refused"))


def test_a_port_that_leads_nowhere_proves_nothing() -> None:
    """A route that cannot be asked from here is unproven, with the reason."""
    nowhere = Answer(trouble="unreachable", detail="port 443 cannot be reached from this machine")

    found = proofs({"status": nowhere}, {})

    assert found["status"] == ("unproven", "port 443 cannot be reached from this machine")


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Answer(status=200), "passed"),
        (Answer(status=404, body=b"<h1>no such page</h1>"), "passed"),
        (Answer(status=404, body=b"404 page not found\n"), "unproven"),
        (Answer(status=500, body=b"oh no"), "passed"),
        (Answer(status=500, body=b"Internal Server Error"), "failed"),
        (Answer(status=502), "failed"),
        (Answer(status=503), "failed"),
        (Answer(status=504), "failed"),
    ],
)
def test_what_a_status_proves(answer: Answer, state: str) -> None:
    """The service's own answer is an answer, whatever it says; Traefik's excuses are none."""
    assert proofs({"status": answer}, {})["status"][0] == state


def test_an_expiring_certificate_says_so() -> None:
    """A certificate that will soon expire still passes, and asks to be renewed."""
    soon = Answer(version="TLSv1.3", issuer="CA", expires=NOW + timedelta(days=3))

    found = proofs({"certificate": soon}, {})

    assert found["certificate"] == ("passed", "TLSv1.3, by CA; expires in 3 days: renew it")


def test_staging_certificates_are_unproven() -> None:
    """Nobody trusts a staging authority, so its certificate is neither good nor bad."""
    tls = BorderTls(source="acme", acme=Acme(email="a@web.test"))
    untrusted = Answer(trouble="certificate", detail="unable to get local issuer certificate")

    assert tls.acme is not None
    assert tls.acme.server == ACME_STAGING
    assert proofs({"certificate": untrusted}, {}, tls=tls)["certificate"][0] == "unproven"
    assert proofs({"certificate": untrusted}, {})["certificate"][0] == "failed"


def test_an_old_handshake_that_succeeds_is_a_failure() -> None:
    """A version below the oldest one must be refused."""
    accepted = Answer(version="TLSv1.2", expires=NOW)

    found = proofs({"oldest TLS": accepted}, {}, tls=BorderTls(minimum="1.3"))

    assert found["oldest TLS"] == ("failed", "a handshake with TLSv1.2 was accepted")


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Answer(status=401), "passed"),
        (Answer(status=403), "passed"),
        (Answer(status=200), "failed"),
    ],
)
def test_basic_authentication_must_refuse(answer: Answer, state: str) -> None:
    """Without a password there is 401, or the promise is broken."""
    assert proofs({"authentication": answer}, {"auth": "team"})["authentication"][0] == state


def test_a_password_is_used_where_it_is_known_and_missed_where_not() -> None:
    """With the password the status is proven; without it, it is unproven, not failed."""
    answers = {"status": Answer(status=200)}

    assert proofs(answers, {"auth": "team"}, ANN)["status"] == ("passed", "200")
    assert proofs(answers, {"auth": "team"})["status"] == (
        "unproven",
        "no password of 'team' is to be had here",
    )
    refused = {"status": Answer(status=401)}
    assert proofs(refused, {"auth": "team"}, ANN)["status"][0] == "failed"


def test_a_password_is_shown_to_trusted_servers_only() -> None:
    """The question that carries a password demands a certificate that is trusted."""
    route = Route(
        name="web.http",
        service="web",
        backend="web",
        port=80,
        host="web.test",
        public_port=443,
        endpoint=Endpoint(port=80),
        auth="team",
    )
    scene = Scene(
        project="p",
        environment="dev",
        stack_id="s",
        namespace="n",
        border=Border(type="traefik", auth={"team": BASIC}),
        routes=(route,),
    )

    asked = [each.question for each in promises(scene, route, ANN, NOW) if each.question]

    assert [question.trusted for question in asked if question.user] == [True]
    assert "pw" not in repr(asked)


def test_operations_that_change_something_are_not_tried() -> None:
    """A guard of DELETE is not proven by deleting; one of any method is asked with GET."""
    route = {
        "guarded": (
            Guarded(paths=("/index",), methods=("DELETE",), auth="team"),
            Guarded(paths=("/admin",), auth="team"),
        )
    }

    found = proofs({"sensitive any /admin": Answer(status=200)}, route)

    assert found["sensitive DELETE /index"][0] == "unproven"
    assert found["sensitive any /admin"][0] == "failed"


def test_headers_and_hsts_must_be_there() -> None:
    """Each header that was promised is compared; one that was to go must be gone."""
    settings = RouteSettings(response_headers={"X-Team": "a", "Server": ""})
    right = Answer(status=200, headers={"x-team": "a", "strict-transport-security": "max-age=60"})
    wrong = Answer(status=200, headers={"x-team": "b", "server": "old"})

    good = proofs({"headers": right, "HSTS": right}, {"settings": settings}, tls=BorderTls(hsts=60))
    bad = proofs({"headers": wrong, "HSTS": wrong}, {"settings": settings}, tls=BorderTls(hsts=60))

    assert good["headers"] == ("passed", "x-team, server")
    assert good["HSTS"] == ("passed", "max-age=60")
    assert bad["headers"] == ("failed", "x-team is 'b', not 'a'; server is 'old', not ''")
    assert bad["HSTS"] == ("failed", "no header, not max-age=60")


def test_every_broker_is_asked() -> None:
    """Members are reached one by one: each has a certificate and an answer of its own."""
    route = {
        "host": "kafka.test",
        "endpoint": Endpoint(port=9094, protocol="kafka"),
        "members": (Member(host="kafka-0.test", service="kafka-0"),),
    }

    found = proofs({"status": Answer(open=True, version="TLSv1.3")}, route)

    assert found["status"] == ("passed", "open, TLSv1.3")
    assert found["status kafka-0.test"][0] == "failed"
    assert "certificate kafka-0.test" in found


def test_mutual_tls_is_proven_by_the_refusal() -> None:
    """Without a client certificate the connection must break; what it opens is unproven here."""
    broken = Answer(trouble="broken", detail="certificate required")
    auth = {"mine": Auth(type="mtls"), "team": BASIC}
    route = Route(
        name="web.http",
        service="web",
        backend="web",
        port=80,
        host="web.test",
        public_port=443,
        endpoint=Endpoint(port=80),
        auth="mine",
    )
    scene = Scene(
        project="p",
        environment="dev",
        stack_id="s",
        namespace="n",
        border=Border(type="traefik", auth=auth),
        routes=(route,),
    )
    known = {each.what: each for each in promises(scene, route, {}, NOW)}

    assert known["authentication"].proof("web.http", broken).state == "passed"
    assert known["authentication"].proof("web.http", Answer(status=200)).state == "failed"
    assert known["status"].proof("web.http", None).state == "unproven"


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Answer(status=404), "passed"),
        (Answer(status=421), "passed"),
        (Answer(trouble="handshake", detail="unrecognized name"), "passed"),
        (Answer(status=200), "failed"),
        (Answer(trouble="refused", detail="x"), "failed"),
    ],
)
def test_an_unknown_name_leads_nowhere(answer: Answer, state: str) -> None:
    """A border answers no name that nobody publishes."""
    route = Route(
        name="web.http",
        service="web",
        backend="web",
        port=80,
        host="web.test",
        public_port=443,
        endpoint=Endpoint(port=80),
    )
    scene = Scene(project="p", environment="d", stack_id="s", namespace="n", routes=(route,))
    promise = stranger(scene)

    assert promise is not None
    assert promise.proof("", answer).state == state
    assert stranger(Scene(project="p", environment="d", stack_id="s", namespace="n")) is None
