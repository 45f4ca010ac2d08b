"""Which request goes where, through a genuine Traefik in front of genuine servers."""

from __future__ import annotations

import base64
import os
import secrets
from typing import TYPE_CHECKING

import pytest
from tests.border_client import connect
from tests.traefik_outside import eventually

if TYPE_CHECKING:
    from tests.integration.border_traefik.world import World

pytestmark = pytest.mark.integration


def test_a_host_leads_to_its_service(world: World) -> None:
    """A request goes to the service of its host, with the host and the path unchanged."""
    reply = world.bench.get("web", "/a/b?c=d")

    assert reply.status == 200
    assert reply.json()["backend"] == "web"
    assert reply.json()["target"] == "/a/b?c=d"
    assert reply.json()["headers"]["host"] == f"web.{world.bench.domain}"


@pytest.mark.parametrize(
    ("path", "backend", "target"),
    [
        ("/app", "app", "/"),
        ("/app/", "app", "/"),
        ("/app/x/y?z", "app", "/x/y?z"),
        ("/apple", "apple", "/apple"),
        ("/apple/x", "apple", "/apple/x"),
    ],
)
def test_paths_of_one_host(world: World, path: str, backend: str, target: str) -> None:
    """A path leads to its service, alone or with more below it; what is to go is taken off."""
    reply = world.bench.get("", path, host=f"paths.{world.bench.domain}")

    assert (reply.status, reply.backend) == (200, backend)
    assert reply.json()["target"] == target


@pytest.mark.parametrize("path", ["/", "/appl", "/application", "/apples", "/APP", "/x/app"])
def test_a_path_that_only_looks_alike_leads_nowhere(world: World, path: str) -> None:
    """A path that begins with the same letters is another path."""
    assert world.bench.get("", path, host=f"paths.{world.bench.domain}").status == 404


def test_the_service_learns_the_prefix_that_was_taken_off(world: World) -> None:
    """A service below a path is told so, as its documentation wants."""
    reply = world.bench.get("", "/app/x", host=f"paths.{world.bench.domain}")

    assert reply.json()["headers"]["x-forwarded-prefix"] == "/app"


def test_http_is_sent_to_https(world: World) -> None:
    """A request without TLS gets a redirect to the same place, and never an answer."""
    reply = world.bench.plain("web", "/a?b")

    assert reply.status in (301, 308)
    assert reply.headers["location"] == f"https://web.{world.bench.domain}/a?b"
    assert reply.backend == ""


def test_an_unknown_name_leads_nowhere(world: World) -> None:
    """A host that nobody publishes is answered by no service, with TLS or without."""
    assert world.bench.get("nobody").status == 404
    assert world.bench.plain("nobody").status == 404


def test_a_service_without_pods_is_down_and_not_unknown(world: World) -> None:
    """A route whose service has no ready pod says 503: it exists, and it is down."""
    assert world.bench.get("gone").status == 503


def test_a_service_that_dies_is_told_from_one_that_never_was(world: World) -> None:
    """A backend that refuses connections is 502, one that left its EndpointSlice is 503."""
    bench = world.bench
    listener = bench.host.listen()
    address = listener.getsockname()
    listener.close()

    bench.move("gone", address)
    bench.until("gone", 502)
    bench.move("gone")
    bench.until("gone", 503)


def test_headers_are_set_and_taken_away(world: World) -> None:
    """Headers of the route are set on the way in and out; an empty one takes a header away."""
    reply = world.bench.get("headers", headers=[("X-Gone", "1"), ("X-In", "mine"), ("X-Kept", "2")])
    told = reply.json()["headers"]

    assert told["x-in"] == "set"
    assert told["x-kept"] == "2"
    assert "x-gone" not in told
    assert reply.headers["x-out"] == "set"


def test_https_of_a_service_is_encrypted_anew(world: World) -> None:
    """A service that speaks TLS is asked by its own name, and told the public one."""
    reply = world.bench.get("sealed")
    told = reply.json()

    assert (reply.status, told["backend"], told["server_name"]) == (200, "sealed", "sealed")
    assert told["headers"]["host"] == "sealed"
    assert told["headers"]["x-forwarded-host"] == f"sealed.{world.bench.domain}"


def test_a_service_with_a_stranger_s_certificate_gets_nothing(world: World) -> None:
    """Where nobody that is known signed the service's certificate, no request reaches it."""
    assert world.bench.get("secret-web").status in (500, 502)
    assert world.backends["secret-web"].seen == []


def test_the_service_may_hold_the_certificate(world: World) -> None:
    """With passthrough the handshake is the service's own, by the name in it."""
    name = f"passed.{world.bench.domain}"

    reply = world.bench.get("passed", tls=world.trusting())

    assert reply.backend == "passed"
    assert reply.json()["server_name"] == name


def test_a_websocket_passes(world: World) -> None:
    """An upgraded connection carries messages both ways."""
    key = base64.b64encode(os.urandom(16)).decode()
    request = (
        f"GET /socket HTTP/1.1\r\nHost: web.{world.bench.domain}\r\nConnection: Upgrade\r\n"
        f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    )
    tls = world.trusting()

    with connect(world.bench.websecure, tls=tls, name=f"web.{world.bench.domain}") as sock:
        sock.sendall(request.encode())
        stream = sock.makefile("rb")
        assert b"101" in stream.readline()
        while stream.readline().strip():
            pass
        for text in (b"hello", b"again"):
            mask = os.urandom(4)
            hidden = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
            sock.sendall(bytes([0x81, 0x80 | len(text)]) + mask + hidden)
            assert stream.read(2 + len(text)) == bytes([0x81, len(text)]) + text
        stream.close()


def test_plain_tcp_has_a_port_of_its_own(world: World) -> None:
    """A line of TCP is carried both ways on the port of its route."""
    with connect(world.bench.reach.ports[17000]) as sock:
        sock.sendall(b"there and back")
        assert sock.recv(100) == b"there and back"


def test_tcp_by_the_name_in_the_handshake(world: World) -> None:
    """Connections that speak TLS share a port with HTTPS, told apart by name."""
    word = secrets.token_bytes(20)
    name = f"named-line.{world.bench.domain}"

    with connect(world.bench.websecure, tls=world.trusting(), name=name) as sock:
        sock.sendall(word)
        assert sock.recv(100) == word


def test_a_dead_pod_costs_no_request_where_a_route_tries_again(world: World) -> None:
    """While one of two pods refuses connections, every request finds the other one."""
    bench, alive = world.bench, world.backends["retry"]
    with bench.host.alias() as other:
        bench.move("retry", alive.address, (other, alive.address[1]))
        for _ in range(20):
            assert bench.get("retry", "/again").status == 200
        bench.move("retry", alive.address)


def test_what_arrived_is_not_sent_twice(world: World) -> None:
    """A service that hangs up after it got a POST does not get it again."""
    backend = world.backends["retry"]
    backend.drop(1)

    assert world.bench.get("retry", "/once", method="POST", body=b"x").status == 502
    assert len(backend.wait_for(1, "/once")) == 1


def test_a_service_that_moves_loses_no_request(world: World) -> None:
    """While one pod goes and another comes, every request is answered."""
    from tests.backends import Backend

    bench, old = world.bench, world.backends["rolling"]
    with Backend(bench.host.listen(), "new") as new:
        bench.move("rolling", new.address)
        answers = []

        def both() -> str:
            reply = bench.get("rolling")
            answers.append(reply.status)
            return reply.backend

        eventually(both, lambda name: name == "new", "the route still leads to the old pod")
        bench.move("rolling", old.address)
        eventually(both, lambda name: name == "rolling", "the route still leads to the new pod")

    assert set(answers) == {200}
