"""Who may pass: passwords, another service's word, client certificates, addresses, limits."""

from __future__ import annotations

import base64
import ssl
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.border_client import Reply, connect, say
from tests.integration.border_traefik.world import PASSWORD, STRONGER

if TYPE_CHECKING:
    from tests.integration.border_traefik.world import World

pytestmark = pytest.mark.integration


def basic(user: str, password: str) -> tuple[str, str]:
    """Return the header of basic authentication."""
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return ("Authorization", f"Basic {pair}")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [basic("ann", "wrong")],
        [basic("bob", PASSWORD)],
        [basic("ann", "")],
        [basic("boss", STRONGER)],
        [("Authorization", "Basic !!!")],
        [("Authorization", "Bearer x")],
        [("Authorization", f"Digest username=ann, response={PASSWORD}")],
    ],
)
def test_without_the_password_there_is_401(world: World, headers: list[tuple[str, str]]) -> None:
    """Nothing but the user's own password opens a route, and the service sees none of the rest."""
    before = len(world.backends["basic"].seen)

    reply = world.bench.get("basic", headers=headers)

    assert reply.status == 401
    assert reply.headers["www-authenticate"].startswith("Basic realm=")
    assert len(world.backends["basic"].seen) == before


def test_with_the_password_there_is_an_answer(world: World) -> None:
    """The password opens the route, and is not passed on to the service."""
    reply = world.bench.get("basic", headers=[basic("ann", PASSWORD)])

    assert reply.status == 200
    assert "authorization" not in reply.json()["headers"]


def test_another_service_decides(world: World) -> None:
    """What the deciding service refuses is its answer; what it lets pass has its headers."""
    refused = world.bench.get("forward", "/a?b=c")
    passed = world.bench.get("forward", headers=[("Cookie", "session=good")])

    assert (refused.status, refused.body, refused.headers["x-why"]) == (
        401,
        b"log in first",
        "no session",
    )
    assert passed.status == 200
    assert passed.json()["headers"]["x-auth-user"] == "ann"
    assert "x-other" not in passed.json()["headers"]


def test_the_deciding_service_learns_what_is_asked(world: World) -> None:
    """It is told method, host and path of the request, and nobody can say them in its place."""
    lies = [
        ("X-Forwarded-Uri", "/public"),
        ("X-Forwarded-Method", "OPTIONS"),
        ("X-Forwarded-Host", "other.test"),
        ("X-Forwarded-For", "10.0.0.1"),
    ]

    world.bench.get("forward", "/told?x=1", method="PUT", headers=lies)

    (asked,) = [
        each
        for each in world.backends["decides"].seen
        if each.header("x-forwarded-uri") == "/told?x=1"
    ]
    assert asked.header("x-forwarded-method") == "PUT"
    assert asked.header("x-forwarded-host") == f"forward.{world.bench.domain}"
    assert asked.header("x-forwarded-for") == world.bench.host.gateway


def test_nobody_can_name_himself(world: World) -> None:
    """A header that the deciding service sets is not taken from the client."""
    headers = [("X-Auth-User", "root"), ("X_Auth_User", "root"), ("Cookie", "session=good")]

    told = world.bench.get("forward", headers=headers).json()["headers"]

    assert told["x-auth-user"] == "ann"
    assert "root" not in told.values()


def test_a_client_certificate_opens(world: World) -> None:
    """A certificate of the authority opens a route; none, or a stranger's, ends the connection."""
    known = world.trusting(client="anybody")
    strange = world.trusting(client="anybody", of=world.stranger)

    assert world.bench.get("mutual", tls=known).status == 200
    for context in (world.trusting(), strange):
        assert refused(world, "mutual", context)


def test_only_named_clients_pass(world: World) -> None:
    """Of the authority's clients only those that are named pass."""
    for name, status in (("robot", 200), ("other", 200), ("robot2", 403), ("xrobot", 403)):
        reply = world.bench.get("named", tls=world.trusting(client=name))
        assert (name, reply.status) == (name, status)
    assert refused(world, "named", world.trusting())


def test_nobody_names_a_certificate_that_he_has_not(world: World) -> None:
    """The header in which Traefik tells itself of the certificate is not taken from a client."""
    said = "Subject%3D%22CN%3Drobot%22"
    names = ("X-Forwarded-Tls-Client-Cert-Info", "X_Forwarded_Tls_Client_Cert_Info")

    for header in names:
        reply = world.bench.get(
            "named", tls=world.trusting(client="robot2"), headers=[(header, said)]
        )
        assert reply.status == 403


def refused(world: World, name: str, context: ssl.SSLContext) -> bool:
    """Tell whether the connection broke, in the handshake or at the first word."""
    before = len(world.backends[name].seen)
    try:
        status = world.bench.get(name, tls=context).status
    except (ssl.SSLError, ConnectionResetError):
        status = 0
    assert len(world.backends[name].seen) == before
    return status in (0, 403)


def test_a_sensitive_operation_wants_a_certificate_where_the_rest_is_open(world: World) -> None:
    """One host: reading is open, writing wants a client certificate."""
    known = world.trusting(client="anybody")

    assert world.bench.get("mixed", "/nifi-api/flow").status == 200
    assert world.bench.get("mixed", "/nifi-api/flow", method="PUT", body=b"x").status == 403
    assert (
        world.bench.get("mixed", "/nifi-api/flow", method="PUT", body=b"x", tls=known).status == 200
    )


@pytest.mark.parametrize("lie", ["", "X-Forwarded-For", "X-Real-Ip", "Forwarded"])
def test_only_some_addresses_pass(world: World, lie: str) -> None:
    """The address of the connection counts, whatever a header says."""
    friend = world.bench.host.clients[0]
    headers = [(lie, f"for={friend}" if lie == "Forwarded" else friend)] if lie else []

    assert world.bench.get("allow", headers=headers).status == 403
    assert world.bench.get("allow", source=friend).status == 200


def test_who_asks_too_often_is_told_so(world: World) -> None:
    """Beyond rate and burst one client gets 429, while another one is served."""
    replies = Counter(
        world.bench.get("rate", source=world.bench.host.clients[1]).status for _ in range(12)
    )

    assert set(replies) == {200, 429}
    assert replies[200] >= 3
    assert world.bench.get("rate", source=world.bench.host.clients[2]).status == 200


def test_another_address_in_a_header_is_no_other_client(world: World) -> None:
    """Nobody gets around a limit by a header of his own."""
    statuses = [
        world.bench.get(
            "rate",
            source=world.bench.host.clients[3],
            headers=[("X-Forwarded-For", f"10.0.0.{at}")],
        ).status
        for at in range(20)
    ]

    assert 429 in statuses


def test_so_many_requests_at_a_time(world: World) -> None:
    """While as many requests as allowed wait for an answer, one more gets 429."""
    backend, replies = world.backends["flight"], list[Reply]()
    backend.hold()

    def slow() -> None:
        replies.append(world.bench.get("flight", "/slow", source=world.bench.host.clients[4]))

    waiting = [threading.Thread(target=slow) for _ in range(2)]
    for thread in waiting:
        thread.start()
    backend.wait_for(2, "/slow")

    assert world.bench.get("flight", "/more", source=world.bench.host.clients[4]).status == 429
    assert world.bench.get("flight", "/more", source=world.bench.host.clients[5]).status == 200
    backend.release()
    for thread in waiting:
        thread.join()
    assert [reply.status for reply in replies] == [200, 200]
    assert world.bench.get("flight", "/more", source=world.bench.host.clients[4]).status == 200


def test_a_body_that_is_too_long_never_arrives(world: World) -> None:
    """A request body above the limit gets 413, and the service does not see it."""
    fits = world.bench.get("body", "/fits", method="POST", body=b"x" * 1024)
    long = world.bench.get("body", "/long", method="POST", body=b"x" * 1025)
    chunks = b"400\r\n" + b"x" * 1024 + b"\r\n1\r\nx\r\n0\r\n\r\n"

    assert (fits.status, fits.json()["length"]) == (200, 1024)
    assert long.status == 413
    assert chunked(world, "body", "/chunked", chunks).status == 413
    targets = {each.target for each in world.backends["body"].seen}
    assert not targets & {"/long", "/chunked"}


def chunked(world: World, name: str, path: str, chunks: bytes) -> Reply:
    """Send a body in chunks."""
    host = f"{name}.{world.bench.domain}"
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with connect(world.bench.websecure, tls=world.trusting(), name=host) as sock:
        return say(sock, head + chunks)
