"""Who may pass: each way to authenticate as middlewares, and as demands on the TLS handshake.

A client certificate is shown in the handshake, and no rule of a router can look into it.
So where only some names may pass, or where only part of a host demands a certificate, Traefik
writes what the certificate says into a header, and asks itself on an entry point of the loopback
interface, whose routers look at that header; a header of the client's own is taken off first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_border_traefik.layout import CHECK_PORT
from infometis_border_traefik.names import auth_object
from infometis_border_traefik.routing.rules import (
    all_of,
    any_of,
    client_name,
    header_matches,
    quote,
)
from infometis_border_traefik.routing.values import (
    INTERNAL,
    Backend,
    HttpRoute,
    HttpRule,
    Middleware,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from infometis_sdk.model.border import Auth, Route

__all__ = ("CHECK", "CLIENT_HEADER", "checks", "demanded_by_host", "guards", "inspected")

CHECK = "check"
"""Entry point on which Traefik asks itself."""

CLIENT_HEADER = "X-Forwarded-Tls-Client-Cert-Info"
"""Header in which Traefik says what stands on the certificate of a client."""

_NOWHERE = "255.255.255.255/32"
_FORWARD_ANSWER_MAX = 1 << 20


def guards(name: str, auth: Auth, *, inspect: bool) -> Iterator[Middleware]:
    """Yield the middlewares through which one way to authenticate lets pass.

    Args:
        name: of the entry in the border's ``auth``.
        auth: what it says.
        inspect: for ``mtls``: whether the handshake alone does not decide.

    """
    own = auth_object(name)
    if auth.type == "basic":
        spec: dict[str, Any] = {
            "secret": own,
            "realm": auth.realm,
            # The password of the border is nothing that a service need know.
            "removeHeader": True,
        }
        yield Middleware(name=own, kind="basicAuth", spec=spec)
    elif auth.type == "forward":
        yield Middleware(name=own, kind="forwardAuth", spec=_forward(auth))
    elif inspect:
        yield from _inspection(own, name, auth)


def _forward(auth: Auth) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "address": auth.address,
        "trustForwardHeader": False,
        "maxResponseBodySize": _FORWARD_ANSWER_MAX,
    }
    if auth.request_headers:
        spec["authRequestHeaders"] = list(auth.request_headers)
    if auth.response_headers:
        spec["authResponseHeaders"] = list(auth.response_headers)
    return spec


def _inspection(own: str, name: str, auth: Auth) -> Iterator[Middleware]:
    clear: dict[str, Any] = {"customRequestHeaders": {CLIENT_HEADER: ""}}
    yield Middleware(name=f"{own}-clear", kind="headers", spec=clear)
    shown: dict[str, Any] = (
        {"subject": {"commonName": True}, "sans": True} if auth.names else {"serialNumber": True}
    )
    yield Middleware(name=f"{own}-show", kind="passTLSClientCert", spec={"info": shown})
    ask = {
        "address": f"http://127.0.0.1:{CHECK_PORT}/{name}",
        # Traefik drops its own header otherwise; what a client says in it is gone by now.
        "trustForwardHeader": True,
        "authRequestHeaders": [CLIENT_HEADER],
        "maxResponseBodySize": _FORWARD_ANSWER_MAX,
    }
    yield Middleware(name=f"{own}-ask", kind="forwardAuth", spec=ask)


def checks(
    auths: Mapping[str, Auth], asked: Iterable[str]
) -> tuple[list[HttpRoute], list[Middleware]]:
    """Return the routers that answer to Traefik's own questions, for the named ways to pass."""
    names = sorted(set(asked))
    if not names:
        return [], []
    rules = [
        HttpRule(
            match=all_of(f"Path({quote(f'/{name}')})", _shown(auths[name])),
            priority=2,
            backend=Backend(service=f"ping{INTERNAL}"),
        )
        for name in names
    ]
    refuse = Middleware(name="border-refuse", kind="ipAllowList", spec={"sourceRange": [_NOWHERE]})
    rules.append(
        HttpRule(
            match=f"PathPrefix({quote('/')})",
            priority=1,
            middlewares=[refuse.name],
            backend=Backend(service=f"noop{INTERNAL}"),
        )
    )
    route = HttpRoute(name="border-client-names", entry_point=CHECK, rules=rules, apart=True)
    return [route], [refuse]


def _shown(auth: Auth) -> str:
    if not auth.names:
        return header_matches(CLIENT_HEADER, "^SerialNumber%3D%22[0-9]+%22")
    forms = [form for name in auth.names for form in client_name(name)]
    return any_of(*(header_matches(CLIENT_HEADER, form) for form in forms))


def demanded_by_host(
    routes: Iterable[Route], auths: Mapping[str, Auth]
) -> Mapping[tuple[str, int], tuple[str, bool]]:
    """Return which client certificates each host on a port asks for, and whether all demand them.

    Options of TLS hold for a host on a port: the handshake is over before any path is known.
    What is open on one port must not make another one ask for less.
    """
    words: dict[tuple[str, int], list[str]] = {}
    for route in routes:
        if route.tls == "terminate":
            here = words.setdefault((route.host, route.public_port), [])
            here += [route.auth, *(guarded.auth for guarded in route.guarded)]
    found = {}
    for place, all_words in words.items():
        mutual = [word for word in all_words if word in auths and auths[word].type == "mtls"]
        if mutual:
            found[place] = (mutual[0], len(mutual) == len(all_words))
    return found


def inspected(auth: Auth, *, demanded: bool) -> bool:
    """Tell whether the certificate must be looked at after the handshake too."""
    return auth.type == "mtls" and (bool(auth.names) or not demanded)
