"""The attack list: nothing gets around authentication, and nothing gets into a rule.

The servers behind keep each request as it arrived.
What counts is what they got, read by the most lenient server that one can think of:
a request that means a guarded operation to that one must never arrive with weaker credentials.
"""

from __future__ import annotations

import posixpath
import ssl
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from tests.border_client import Reply, connect, say
from tests.integration.border_traefik.test_access import basic
from tests.integration.border_traefik.world import PASSWORD, STRONGER, served

from infometis_sdk.errors import ProjectError
from infometis_sdk.model.border import Border, RouteSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.backends import Seen
    from tests.integration.border_traefik.world import World

    from infometis_sdk.model.service import SensitiveOperation

pytestmark = pytest.mark.integration

ANN, BOSS = basic("ann", PASSWORD), basic("boss", STRONGER)
OVERRIDES = ("x-http-method-override", "x-http-method", "x-method-override")
SERVICES = {"elastic": "elasticsearch", "nifi": "nifi", "grafana": "grafana"}


def lenient_path(target: str) -> str:
    """Read a request target as the most lenient server does."""
    path = target.partition("://")[2].partition("/")[2] if "://" in target else target
    for _ in range(3):
        path = unquote(path)
    path = path.partition("?")[0].partition("#")[0].partition("\0")[0].replace("\\", "/")
    parts = [part.partition(";")[0] for part in path.split("/")]
    return posixpath.normpath("/" + "/".join(parts).lstrip("/"))


def lenient_methods(seen: Seen) -> set[str]:
    """Return the methods that a request may mean to somebody."""
    return {seen.method.upper(), *(seen.header(name).upper() for name in OVERRIDES)} - {""}


def is_guarded(seen: Seen, operations: Sequence[SensitiveOperation]) -> bool:
    """Tell whether a request means a guarded operation."""
    path = lenient_path(seen.target)
    return any(
        (not operation.methods or lenient_methods(seen) & set(operation.methods))
        and any(base == "/" or f"{path}/".startswith(f"{base}/") for base in operation.paths)
        for operation in operations
    )


def arrived(world: World, name: str, before: int) -> list[str]:
    """Return the guarded operations that arrived at a backend since then."""
    operations = served(SERVICES[name]).sensitive
    return [
        f"{seen.method} {seen.target}"
        for seen in world.backends[name].seen[before:]
        if is_guarded(seen, operations)
    ]


def attack(world: World, name: str, data: bytes, sni: str = "") -> Reply:
    """Send bytes to a route, over TLS, and return the first answer."""
    host = f"{name}.{world.bench.domain}"
    with connect(world.bench.websecure, tls=world.trusting(), name=sni or host) as sock:
        return say(sock, data)


def request(
    world: World, name: str, line: str, *headers: tuple[str, str], body: bytes = b""
) -> bytes:
    """Return the bytes of a request with the weaker credentials."""
    host = f"{name}.{world.bench.domain}"
    lines = [f"{line} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{key}: {value}" for key, value in (ANN, *headers)]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


# --- that the guards are there, and that the judge is not blind -----------------------------------


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [
        ("elastic", "DELETE", "/index"),
        ("elastic", "POST", "/_security/user/ann"),
        ("elastic", "PUT", "/_cluster/settings"),
        ("elastic", "POST", "/_bulk"),
        ("nifi", "POST", "/nifi-api/flow"),
        ("nifi", "DELETE", "/nifi-api/process-groups/1"),
        ("grafana", "GET", "/api/admin/settings"),
        ("grafana", "GET", "/metrics"),
    ],
)
def test_guarded_operations_want_the_stronger_right(
    world: World, name: str, method: str, path: str
) -> None:
    """The weaker right gets 401, the stronger one an answer, and it is the guarded operation."""
    before = len(world.backends[name].seen)

    weak = world.bench.get(name, path, method=method, headers=[ANN])
    assert (weak.status, arrived(world, name, before)) == (401, [])
    strong = world.bench.get(name, path, method=method, headers=[BOSS])
    assert (strong.status, arrived(world, name, before)) == (200, [f"{method} {path}"])


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [
        ("elastic", "GET", "/_security/user/ann"),
        ("elastic", "POST", "/index/_search"),
        ("nifi", "GET", "/nifi-api/flow"),
        ("nifi", "POST", "/nifi-apis"),
        ("grafana", "GET", "/api/administrators"),
        ("grafana", "GET", "/d/metrics"),
    ],
)
def test_all_else_wants_the_weaker_right(world: World, name: str, method: str, path: str) -> None:
    """What is not guarded is open to the weaker right, and to nobody without."""
    assert world.bench.get(name, path, method=method, headers=[ANN]).status == 200
    assert world.bench.get(name, path, method=method).status == 401


# --- spellings of a path --------------------------------------------------------------------------

SPELLINGS = (
    "/{0}/{1}",
    "//{0}/{1}",
    "/{0}//{1}",
    "/./{0}/{1}",
    "/{0}/./{1}",
    "/x/../{0}/{1}",
    "/x/y/../../{0}/{1}",
    "/{0}/x/../{1}",
    "/../{0}/{1}",
    "/%2e%2e/{0}/{1}",
    "/x/%2e%2e/{0}/{1}",
    "/x/.%2e/{0}/{1}",
    "/x/..%2f{0}/{1}",
    "/x%2f..%2f{0}/{1}",
    "/%2e/{0}/{1}",
    "/{0}%2f{1}",
    "/{0}%2F{1}",
    "/%2f{0}/{1}",
    "/%2F%2F{0}/{1}",
    "/{0}\\{1}",
    "\\{0}\\{1}",
    "/{0}%5c{1}",
    "/{0};x/{1}",
    "/{0};/{1}",
    "/{0};x=../{1}",
    "/;x/{0}/{1}",
    "/x;/../{0}/{1}",
    "/x/..;/{0}/{1}",
    "/{0}%3bx/{1}",
    "/{0}/{1};x",
    "/{0}/{1}/",
    "/{0}/{1}//",
    "/{0}/{1}/.",
    "/{0}/{1}/x/..",
    "/{0}/{1}?",
    "/{0}/{1}?a=/b",
    "/{0}/{1}#x",
    "/{0}/{1}%23x",
    "/{0}/{1}%3fx",
    "/{0}/{1}%00",
    "/{0}%00/{1}",
    "/{0}/{1}%20",
    "/{0}/{1}%0d%0a",
    "/{0}%252f{1}",
    "/x/%252e%252e/{0}/{1}",
    "/%25%32%66{0}/{1}",
    "/{0}/{1}\t",
    "{0}/{1}",
    "/{0}%c0%af{1}",
    "/x/%c0%ae%c0%ae/{0}/{1}",
    "http://{host}/{0}/{1}",
    "https://{host}//{0}/{1}",
    "http://other.test/{0}/{1}",
    "http://{host}:80/x/../{0}/{1}",
    "//{host}/{0}/{1}",
)

GUARDED = (
    ("grafana", "GET", "api", "admin"),
    ("nifi", "POST", "nifi-api", "flow"),
    ("elastic", "PUT", "_cluster", "settings"),
)


def encoded(text: str) -> str:
    """Return a text with its first letter percent-encoded."""
    return f"%{ord(text[0]):02x}{text[1:]}"


@pytest.mark.parametrize(("name", "method", "first", "second"), GUARDED)
def test_no_spelling_of_a_path_gets_around_its_guard(
    world: World, name: str, method: str, first: str, second: str
) -> None:
    """However a guarded path is spelt, it is guarded, or it is no path at all."""
    before, host = len(world.backends[name].seen), f"{name}.{world.bench.domain}"

    for words in ((first, second), (encoded(first), second), (first, encoded(second))):
        for spelling in SPELLINGS:
            line = f"{method} {spelling.format(*words, host=host)}"
            reply = attack(world, name, request(world, name, line))
            assert (line, arrived(world, name, before)) == (line, [])
            assert (line, reply.status < 500) == (line, True)

    assert world.bench.get(name, headers=[ANN]).status == 200


# --- methods --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method", ["delete", "Delete", "dELETE", "DELETE\t", " DELETE", "DELETE\0"]
)
def test_no_spelling_of_a_method_gets_around_its_guard(world: World, method: str) -> None:
    """A method in another case is the same to some servers, so it is guarded too."""
    before = len(world.backends["elastic"].seen)

    attack(world, "elastic", request(world, "elastic", f"{method} /index"))

    assert arrived(world, "elastic", before) == []


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_no_header_makes_another_method(world: World, header: str) -> None:
    """Some servers take the method from a header: it does not reach them with a weaker right."""
    before = len(world.backends["elastic"].seen)

    for line in ("POST /index", "GET /index"):
        for name in (header, header.lower(), header.replace("-", "_")):
            attack(world, "elastic", request(world, "elastic", line, (name, "DELETE")))

    assert arrived(world, "elastic", before) == []


# --- hosts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelt",
    [
        "{0}",
        "{0}:443",
        "{0}:80",
        "{0}:99999",
        "{0}:x",
        "{0}.",
        "{0}..",
        "{0}.:443",
        " {0}",
        "{0} ",
        "x@{0}",
        "{0}@x",
        "{0}/",
        "{0}/x",
        "{0}\\x",
        "{0}?x",
        "{0}#x",
        "{0},web.test",
        "%62asic.{1}",
        "`{0}`",
        "a`) || Host(`{0}",
        "x.{0}",
        "{0}%00",
        "{0}\0",
        "[{0}]",
        "",
        "*",
        "*.{1}",
    ],
)
def test_no_spelling_of_a_host_gets_around_authentication(world: World, spelt: str) -> None:
    """Whatever stands in Host, the service is not reached without its password."""
    full = f"basic.{world.bench.domain}"
    before = len(world.backends["basic"].seen)

    for host in (spelt.format(full, world.bench.domain), spelt.format(full, "").upper()):
        for line in ("GET /", f"GET https://{full}/", f"GET http://web.{world.bench.domain}/"):
            data = f"{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            reply = attack(world, "basic", data.encode("latin-1"))
            assert (host, reply.status < 500) == (host, True)

    assert world.backends["basic"].seen[before:] == []


def test_two_hosts_are_one_too_many(world: World) -> None:
    """A request with two Host headers is no request."""
    before = {name: len(world.backends[name].seen) for name in ("basic", "web")}
    hosts = [f"web.{world.bench.domain}", f"basic.{world.bench.domain}"]

    for first, second in (hosts, hosts[::-1]):
        data = f"GET / HTTP/1.1\r\nHost: {first}\r\nHost: {second}\r\nConnection: close\r\n\r\n"
        assert attack(world, "web", data.encode()).status == 400

    assert before == {name: len(world.backends[name].seen) for name in before}


@pytest.mark.parametrize("name", ["mutual", "named"])
@pytest.mark.parametrize("sni", ["web", "basic", "nobody"])
def test_another_name_in_the_handshake_is_no_way_around(world: World, name: str, sni: str) -> None:
    """A handshake for an open host, then a request for one that wants client certificates."""
    before = len(world.backends[name].seen)
    data = f"GET / HTTP/1.1\r\nHost: {name}.{world.bench.domain}\r\nConnection: close\r\n\r\n"

    try:
        status = attack(world, sni, data.encode()).status
    except ssl.SSLError:
        status = 0

    assert status in (0, 403, 404, 421)
    assert world.backends[name].seen[before:] == []


def test_a_secure_route_is_not_to_be_had_without_tls(world: World) -> None:
    """On the port of HTTP there is nothing but the redirect, whatever the client claims."""
    claims = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "443"), ("Upgrade", "h2c")]
    for name in ("web", "basic", "mutual", "elastic"):
        before = len(world.backends[name].seen)
        reply = world.bench.plain(name, headers=claims)
        assert (name, reply.status // 100) == (name, 3)
        assert world.backends[name].seen[before:] == []


# --- headers --------------------------------------------------------------------------------------


def test_what_a_client_says_of_itself_is_not_believed(world: World) -> None:
    """Headers that a proxy in front would set come from the border alone."""
    lies = {
        "X-Forwarded-For": "10.1.2.3",
        "X-Forwarded-Host": "liar.test",
        "X-Forwarded-Port": "1",
        "X-Forwarded-Proto": "ftp",
        "X-Forwarded-Prefix": "/liar",
        "X-Forwarded-Server": "liar",
        "X-Forwarded-Tls-Client-Cert": "liar",
        "X-Forwarded-Tls-Client-Cert-Info": "liar",
        "X-Real-Ip": "10.1.2.3",
    }
    spelt = {name.replace("-", "_"): value for name, value in lies.items()}

    told = world.bench.get("web", headers=[*lies.items(), *spelt.items()]).json()["headers"]

    assert told["x-forwarded-for"] == world.bench.host.gateway
    assert told["x-forwarded-host"] == f"web.{world.bench.domain}"
    assert told["x-forwarded-proto"] == "https"
    assert not {name: value for name, value in told.items() if value in ("liar", "/liar", "ftp")}
    assert "10.1.2.3" not in str(told)


def test_hop_by_hop_headers_take_nothing_away(world: World) -> None:
    """A client cannot have the border's own headers dropped by naming them in Connection."""
    names = "close, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, X-Real-Ip"
    host = f"web.{world.bench.domain}"
    data = f"GET /hop HTTP/1.1\r\nHost: {host}\r\nConnection: {names}\r\n\r\n"

    told = attack(world, "web", data.encode()).json()["headers"]

    assert told["x-forwarded-for"] == world.bench.host.gateway
    assert told["x-forwarded-host"] == host


@pytest.mark.parametrize(
    "line",
    [
        "GET /%0d%0aX-Injected:%201 HTTP/1.1",
        "GET /\rX-Injected: 1 HTTP/1.1",
        "GET / HTTP/1.1\r\nX-A: 1\rX-Injected: 1",
        "GET / HTTP/1.1\r\nX-A: 1\nX-Injected\n: 1",
        "GET / HTTP/1.1\r\nX-A: 1\0X-Injected: 1",
        "GET / HTTP/1.1\r\nX-A: a\r\n X-Injected: 1",
        "GET / HTTP/1.1\r\nX-Injected : 1",
        "GET / HTTP/1.1\r\n: 1\r\nX-Injected: ",
        "GET / HTTP/9.9\r\nX-A: 1",
        "GET /",
        "GET  /  HTTP/1.1",
        "\0\0\0",
    ],
)
def test_broken_lines_inject_nothing(world: World, line: str) -> None:
    """Line ends and zeroes in a request make no header of their own at the service."""
    before = len(world.backends["web"].seen)
    host = f"web.{world.bench.domain}"

    attack(world, "web", f"{line}\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("latin-1"))

    for seen in world.backends["web"].seen[before:]:
        assert seen.header("x-injected") == ""
    assert world.bench.get("web").status == 200


def test_a_header_of_a_megabyte_is_refused(world: World) -> None:
    """More than a sane size of headers is refused, and costs nobody else an answer."""
    before = len(world.backends["web"].seen)

    reply = world.bench.get("web", headers=[("X-Big", "x" * (1 << 20))])
    long = world.bench.get("web", "/" + "x" * (1 << 20))

    assert {reply.status, long.status} <= {0, 400, 414, 431}
    assert world.backends["web"].seen[before:] == []
    assert world.bench.get("web").status == 200


# --- smuggling ------------------------------------------------------------------------------------

HIDDEN = b"DELETE /index HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
SHAPES = (
    b"Content-Length: {cl}\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: {cl}",
    b"Content-Length: 5\r\nContent-Length: {cl}",
    b"Content-Length: 5, {cl}",
    b"Content-Length: +5",
    b"Content-Length: 0x5",
    b"Content-Length: 5 ",
    b"Content-Length : 5",
    b"Content-Length:\x0b5",
    b"Transfer-Encoding: xchunked\r\nContent-Length: 5",
    b"Transfer-Encoding : chunked\r\nContent-Length: 5",
    b"Transfer-Encoding: chunked, identity\r\nContent-Length: 5",
    b"Transfer-Encoding: identity, chunked\r\nContent-Length: 5",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\nContent-Length: 5",
    b"Transfer-Encoding:\x0bchunked\r\nContent-Length: 5",
    b"Transfer-Encoding: \x00chunked\r\nContent-Length: 5",
    b"Transfer-Encoding\r\n: chunked\r\nContent-Length: 5",
    b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5",
    b"Transfer_Encoding: chunked\r\nContent-Length: 5",
)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "body", [b"0\r\n\r\n", b"5;x=\n\r\nhello\r\n0\r\n\r\n", b"0\n\n", b"hello"]
)
def test_no_request_hides_in_another(world: World, shape: bytes, body: bytes) -> None:
    """However the length of a body is said, the service gets no second request from within."""
    before = len(world.backends["elastic"].seen)
    data = body + HIDDEN
    head = [
        b"POST /index/_search HTTP/1.1",
        f"Host: elastic.{world.bench.domain}".encode(),
        ": ".join(ANN).encode(),
        shape.replace(b"{cl}", str(len(data)).encode()),
    ]

    attack(world, "elastic", b"\r\n".join(head) + b"\r\n\r\n" + data)

    assert arrived(world, "elastic", before) == []


# --- rules ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        RouteSettings(host="a`) || Host(`b"),
        RouteSettings(host='a") || Host("b'),
        RouteSettings(host="a b"),
        RouteSettings(host="a\nb"),
        RouteSettings(path="/a`) || PathPrefix(`/"),
        RouteSettings(path="/a/../b"),
        RouteSettings(path="/a%2Fb"),
        RouteSettings(path="a"),
    ],
)
def test_nothing_gets_into_a_rule(world: World, settings: RouteSettings) -> None:
    """A host or a path that is none is refused before anything is rendered."""
    border = Border(type="traefik", domain="x.test", anonymous=True, routes={"web.main": settings})

    with pytest.raises(ProjectError) as caught:
        world.bench.rendered(border)

    paths = {fault.path.rpartition(".")[0] for fault in caught.value.faults}
    assert "border.routes.web.main" in paths
