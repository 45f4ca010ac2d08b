"""What is wrong with a border's section as a whole: words, certificates, ways to authenticate."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from infometis_sdk.engine.border.check_routes import route_faults
from infometis_sdk.engine.border.clashes import clashes, member_clashes
from infometis_sdk.engine.border.routes import routes_of
from infometis_sdk.engine.border.teller import DNS, Teller
from infometis_sdk.engine.border.words import HEADER, LABEL, OBJECT_NAME, dns_name, url
from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.model.border import (
    ACME_CHALLENGES,
    AUTH_TYPES,
    CERTIFICATE_SOURCES,
    OPEN,
    PUBLISHED_BY,
    TLS_VERSIONS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_sdk.model.border import Auth, Border, Route
    from infometis_sdk.model.environment import Environment
    from infometis_sdk.model.fault import Fault
    from infometis_sdk.model.service import Service

__all__ = ("border_faults", "member_faults")

_SOURCE_NEEDS: Mapping[str, tuple[str, ...]] = {
    "acme": ("acme",),
    "cert-manager": ("issuer",),
    "files": ("certificate", "key"),
    "secret": ("secret",),
}
_ALL_NEEDS = ("acme", "certificate", "issuer", "key", "secret")


def border_faults(services: Mapping[str, Service], environment: Environment) -> Iterator[Fault]:
    """Yield everything that is wrong with a border in neutral words, whichever adapter it names.

    Example:
        >>> from infometis_sdk.model import Border, Environment
        >>> bad = Environment("dev", border=Border(type="traefik", domain="no name"))
        >>> [fault.path for fault in border_faults({}, bad)]
        ['border.domain']

    """
    border = environment.border
    if border.type == "none":
        return
    tell = Teller(environment)
    yield from _section_faults(border, tell)
    yield from _tls_faults(border, tell)
    for name, auth in border.auth.items():
        yield from _auth_faults(name, auth, tell)
    yield from _named_auths(border, tell)
    yield from _named_endpoints(services, border, tell)
    routes = routes_of(services, environment)
    for route in routes:
        yield from route_faults(route, border, tell)
    yield from clashes(routes, border, tell)


def member_faults(routes: tuple[Route, ...], environment: Environment) -> Iterator[Fault]:
    """Yield what is wrong with routes once the number of every service's pods is known."""
    yield from member_clashes(routes, Teller(environment))


def _section_faults(border: Border, tell: Teller) -> Iterator[Fault]:
    if not dns_name(border.domain):
        yield tell("domain", "not a DNS name", found=repr(border.domain), legal=DNS)
    yield from tell.port("http_port", border.http_port)
    yield from tell.port("https_port", border.https_port)
    if border.http_port == border.https_port:
        yield tell(
            "https_port",
            "the same port as http_port",
            found=str(border.https_port),
            legal="two ports",
        )
    yield from tell.word("published_by", border.published_by, PUBLISHED_BY)


def _tls_faults(border: Border, tell: Teller) -> Iterator[Fault]:
    tls = border.tls
    yield from tell.word("tls.source", tls.source, CERTIFICATE_SOURCES)
    yield from tell.word("tls.minimum", tls.minimum, TLS_VERSIONS)
    wanted = _SOURCE_NEEDS.get(tls.source, ())
    for name in _ALL_NEEDS:
        given = bool(getattr(tls, name))
        if name in wanted and not given:
            yield tell(f"tls.{name}", f"source {tls.source!r} needs it", legal=f"{name}: …")
        elif given and name not in wanted and tls.source in CERTIFICATE_SOURCES:
            yield tell(
                f"tls.{name}",
                f"source {tls.source!r} has no use for it",
                legal=f"another source, or no {name}",
            )
    if tls.source == "none" and tls.required:
        yield tell(
            "tls.required",
            "TLS is required, and there is no certificate",
            found="source: none",
            legal="a source, or required: false",
        )
    if tls.hsts < 0:
        yield tell("tls.hsts", "is out of bounds", found=str(tls.hsts), legal="0 or more seconds")
    if tls.hsts and tls.source in ("none", "development"):
        yield tell(
            "tls.hsts",
            "browsers would remember a certificate that they do not trust",
            found=f"source: {tls.source}",
            legal="0",
        )
    if tls.secret and not OBJECT_NAME.fullmatch(tls.secret):
        yield tell("tls.secret", "not the name of a Secret", found=repr(tls.secret), legal="a name")
    if tls.acme:
        yield from tell.word("tls.acme.challenge", tls.acme.challenge, ACME_CHALLENGES)
        if "@" not in tls.acme.email:
            yield tell(
                "tls.acme.email", "no address", found=repr(tls.acme.email), legal="name@example.com"
            )
        if not url(tls.acme.server, "https"):
            yield tell(
                "tls.acme.server",
                "no URL of HTTPS",
                found=repr(tls.acme.server),
                legal="https://HOST/directory",
            )
    if tls.issuer:
        yield from tell.word("tls.issuer.kind", tls.issuer.kind, ("Issuer", "ClusterIssuer"))


def _auth_faults(name: str, auth: Auth, tell: Teller) -> Iterator[Fault]:
    path = f"auth.{name}"
    if name == OPEN or not LABEL.fullmatch(name):
        yield tell(
            path,
            "not a name for a way to authenticate",
            found=repr(name),
            legal=f"lower-case letters, digits and hyphens, and not {OPEN!r}",
        )
    yield from tell.word(f"{path}.type", auth.type, AUTH_TYPES)
    if auth.type == "basic":
        yield from _basic_faults(path, auth, tell)
    elif auth.type == "forward":
        yield from _forward_faults(path, auth, tell)
    elif auth.type == "mtls" and auth.ca is None:
        yield tell(f"{path}.ca", "no authority whose certificates count", legal="file:PATH")


def _basic_faults(path: str, auth: Auth, tell: Teller) -> Iterator[Fault]:
    if not auth.users:
        yield tell(f"{path}.users", "nobody can pass", legal="user name: reference, such as env:X")
    for user in auth.users:
        if not re.fullmatch(r"[\x21-\x39\x3b-\x7e]+", user):
            yield tell(
                f"{path}.users.{user}",
                "not a user name",
                found=repr(user),
                legal="visible ASCII characters without a colon",
            )
    if not re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]+", auth.realm):
        yield tell(
            f"{path}.realm",
            "not a realm",
            found=repr(auth.realm),
            legal="visible ASCII without quotes and backslashes",
        )


def _forward_faults(path: str, auth: Auth, tell: Teller) -> Iterator[Fault]:
    if not url(auth.address, "http", "https"):
        yield tell(
            f"{path}.address",
            "no URL",
            found=repr(auth.address),
            legal="http://HOST:PORT/PATH, without a user name in it",
        )
    for field in ("request_headers", "response_headers"):
        for header in getattr(auth, field):
            if not HEADER.fullmatch(header):
                yield tell(
                    f"{path}.{field}",
                    "not the name of a header",
                    found=repr(header),
                    legal="a token of RFC 9110",
                )


def _named_auths(border: Border, tell: Teller) -> Iterator[Fault]:
    named = {
        "default_auth": border.default_auth,
        "default_sensitive_auth": border.default_sensitive_auth,
    }
    for key, settings in border.routes.items():
        named[f"routes.{key}.auth"] = settings.auth
        named[f"routes.{key}.sensitive_auth"] = settings.sensitive_auth
    for path, name in named.items():
        if name and name != OPEN and name not in border.auth:
            yield tell(
                path,
                f"there is no auth {name!r}",
                legal=", ".join([*border.auth, OPEN]),
                nearest=nearest(name, [*border.auth, OPEN]),
            )


def _named_endpoints(
    services: Mapping[str, Service], border: Border, tell: Teller
) -> Iterator[Fault]:
    every = {
        f"{service.name}.{name}": endpoint
        for service in services.values()
        for name, endpoint in service.endpoints.items()
    }
    public = [name for name, endpoint in every.items() if endpoint.public]
    for name in border.routes:
        if name not in every:
            yield tell(
                f"routes.{name}",
                f"there is no endpoint {name!r}",
                legal=", ".join(public) or "no public endpoint",
                nearest=nearest(name, every),
            )
        elif name not in public and border.routes[name].publish:
            yield tell(
                f"routes.{name}",
                "the service keeps this endpoint inside",
                legal=", ".join(public) or "no public endpoint",
            )
