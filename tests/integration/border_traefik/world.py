"""A stack of small services, each with another kind of route, and a genuine Traefik before it."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trustme
from attrs import frozen
from tests.backends import Answer, Backend, Echo, Seen
from tests.border_bench import Bench

from infometis_sdk.catalogue import __file__ as catalogue
from infometis_sdk.model.border import Auth, Border, BorderTls, Rate, RouteSettings
from infometis_sdk.model.secret import SecretRef
from infometis_sdk.model.service import Credential, Service

if TYPE_CHECKING:
    import contextlib

    from infometis_sdk.model.service import Endpoint

__all__ = ("PASSWORD", "STRONGER", "World", "make_world", "served")

PASSWORD = "right-and-long"
STRONGER = "stronger-and-longer"


@frozen(kw_only=True)
class World:
    """The border and what is behind it.

    Attributes:
        bench: the stack and its Traefik.
        backends: servers by name.
        authority: signs the border's certificate and the clients'.
        stranger: an authority that nobody trusts.
        certificate, key: the files that the border's certificate is made of.

    """

    bench: Bench
    backends: Mapping[str, Backend]
    authority: trustme.CA
    stranger: trustme.CA
    certificate: Path
    key: Path
    folder: Path

    def trusting(self, *, client: str = "", of: trustme.CA | None = None) -> ssl.SSLContext:
        """Return a client's TLS: it trusts the authority, and is a client of that name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        if client:
            (of or self.authority).issue_cert(client, common_name=client).configure_cert(context)
        return context


def served(name: str) -> Endpoint:
    """Return the public endpoint of a service of the catalogue."""
    service = Service.load(Path(catalogue).parent / name)
    return next(each for each in service.endpoints.values() if each.public)


def decide(seen: Seen) -> Answer:
    """Decide as a proxy of OpenID Connect does: by the cookie alone."""
    if "session=good" in seen.header("cookie"):
        return Answer(status=202, headers={"x-auth-user": "ann", "x-other": "no"})
    return Answer(status=401, headers={"x-why": "no session"}, body=b"log in first")


def make_world(bench: Bench, folder: Path, stack: contextlib.ExitStack) -> World:
    """Serve, apply and start everything; it ends with the stack of contexts."""
    authority, stranger = trustme.CA(), trustme.CA()
    files = {"tls.crt": b"", "tls.key": b"", "ca.crt": authority.cert_pem.bytes()}
    leaf = authority.issue_cert(bench.domain, f"*.{bench.domain}")
    files["tls.crt"] = b"".join(each.bytes() for each in leaf.cert_chain_pems)
    files["tls.key"] = leaf.private_key_pem.bytes()
    files |= {"password": PASSWORD.encode(), "stronger": STRONGER.encode()}
    for name, data in files.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(data)

    def ref(name: str) -> SecretRef:
        return SecretRef.parse(f"file:{folder / name}")

    def backend(name: str, **more: object) -> Backend:
        return stack.enter_context(Backend(bench.host.listen(), name, **more))  # type: ignore[arg-type]

    inner = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("secret-web").configure_cert(inner)
    sealed = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    passed = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(f"passed.{bench.domain}").configure_cert(passed)

    plain: tuple[str, ...] = (
        "web",
        "app",
        "apple",
        "basic",
        "forward",
        "allow",
        "rate",
        "flight",
        "retry",
        "body",
    )
    plain += ("headers", "mutual", "named", "elastic", "nifi", "grafana", "rolling", "mixed")
    backends = {name: backend(name) for name in plain}
    backends["decides"] = backend("decides", answer=decide)
    backends["passed"] = backend("passed", tls=passed)
    for name in plain:
        given: dict[str, Any] = {"path": "/apple"} if name == "apple" else {}
        if name in ("elastic", "nifi", "grafana"):
            found = served({"elastic": "elasticsearch"}.get(name, name))
            given = {"sensitive": found.sensitive}
        elif name == "mixed":
            given = {"sensitive": served("nifi").sensitive}
        bench.service(name, backends[name].address, **given)
    bench.service("gone")
    bench.service("passed", backends["passed"].address, protocol="https", port=443)
    backends["secret-web"] = backend("secret-web", tls=inner)
    bench.service("secret-web", backends["secret-web"].address, protocol="https", port=443)
    backends["sealed"] = backend("sealed", tls=sealed)
    bench.service(
        "sealed",
        backends["sealed"].address,
        credentials={"tls": Credential(type="tls", hosts=("sealed",))},
        protocol="https",
        port=443,
    )
    echo, echoed = stack.enter_context(Echo(bench.host.listen())), bench.host.listen()
    bench.service("line", echo.address, protocol="tcp", port=7000)
    bench.service(
        "named-line", stack.enter_context(Echo(echoed)).address, protocol="tcp", port=7000
    )
    auth = {
        "team": Auth(type="basic", users={"ann": ref("password")}),
        "boss": Auth(type="basic", users={"boss": ref("stronger")}),
        "proxy": Auth(
            type="forward",
            address="http://{}:{}/decide".format(*backends["decides"].address),
            response_headers=("X-Auth-User",),
        ),
        "any-client": Auth(type="mtls", ca=ref("ca.crt")),
        "client": Auth(type="mtls", ca=ref("ca.crt"), names=("robot", "other")),
    }
    border = Border(
        type="traefik",
        domain=bench.domain,
        anonymous=True,
        auth=auth,
        published_by="cluster",
        tls=BorderTls(
            source="files",
            certificate=ref("tls.crt"),
            key=ref("tls.key"),
            hsts=60,
            required=False,
        ),
        routes=_routes(bench),
    )
    bench.up(border)
    _seal(bench, sealed, folder)
    return World(
        bench=bench,
        backends=backends,
        authority=authority,
        stranger=stranger,
        certificate=folder / "tls.crt",
        key=folder / "tls.key",
        folder=folder,
    )


def _seal(bench: Bench, context: ssl.SSLContext, folder: Path) -> None:
    """Give a server the certificate that the engine made for its service."""
    made = bench.cluster.get(bench.ref("Secret", "sealed-tls"), bench.run())
    assert made is not None
    path = folder / "sealed.pem"
    path.touch(mode=0o600)
    path.write_bytes(b"".join(base64.b64decode(made["data"][k]) for k in ("tls.crt", "tls.key")))
    context.load_cert_chain(path)


def _routes(bench: Bench) -> dict[str, RouteSettings]:
    paths = f"paths.{bench.domain}"
    guarded = RouteSettings(auth="team", sensitive_auth="boss")
    return {
        "app.main": RouteSettings(host=paths, path="/app", strip=True),
        "apple.main": RouteSettings(host=paths, path="/apple"),
        "basic.main": RouteSettings(auth="team"),
        "forward.main": RouteSettings(auth="proxy"),
        "allow.main": RouteSettings(allow=(f"{bench.host.clients[0]}/32",)),
        "rate.main": RouteSettings(rate=Rate(average=1, burst=3)),
        "flight.main": RouteSettings(in_flight=2),
        "retry.main": RouteSettings(retries=2),
        "body.main": RouteSettings(body_limit="1Ki"),
        "headers.main": RouteSettings(
            request_headers={"X-In": "set", "X-Gone": ""},
            response_headers={"X-Out": "set", "X-Backend-Version": ""},
        ),
        "mutual.main": RouteSettings(auth="any-client"),
        "named.main": RouteSettings(auth="client"),
        "mixed.main": RouteSettings(sensitive_auth="any-client"),
        "elastic.main": guarded,
        "nifi.main": guarded,
        "grafana.main": guarded,
        "passed.main": RouteSettings(tls="passthrough"),
        "line.main": RouteSettings(port=17000),
        "named-line.main": RouteSettings(tls="terminate"),
    }
