"""What Traefik is told when it starts: its static configuration, as arguments.

Source: https://doc.traefik.io/traefik/reference/install-configuration/configuration-options/
and the list that ``traefik --help`` of 3.7.15 prints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_border_traefik.layout import (
    CHECK_PORT,
    METRICS_PORT,
    STATUS,
    STATUS_PORT,
    WEB,
)
from infometis_border_traefik.names import RESOLVER
from infometis_border_traefik.routing.auth import CHECK
from infometis_border_traefik.settings import ENCODED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_border_traefik.layout import Layout, Listener
    from infometis_border_traefik.settings import Traefik
    from infometis_sdk.model.border import Acme
    from infometis_sdk.ports.border import Scene

__all__ = (
    "ACME_CA",
    "ROUTES_FILE",
    "SECRETS",
    "arguments",
    "draining",
    "entry_point",
    "quiet",
)

ROUTES_FILE = "/etc/traefik/routes/routes.yaml"
SECRETS = "/etc/traefik/secrets"
ACME_CA = "/etc/traefik/acme-ca/ca.crt"
_ACCEPT_SECONDS = 10
"""So long a pod that was told to stop takes requests, until nobody sends it any more."""


def arguments(scene: Scene, layout: Layout) -> list[str]:
    """Return the arguments; pure."""
    settings: Traefik = scene.settings
    made = [
        *quiet(settings.log_level),
        *entry_point(STATUS, f":{STATUS_PORT}"),
        *entry_point("metrics", f":{METRICS_PORT}"),
        *_self_service(),
        # Served by no entry point of its own, but by a route on the loopback interface.
        "--api=true",
        "--api.dashboard=false",
        "--ping=true",
        "--ping.entrypoint=traefik",
        # Same metrics for every router: by code, so that refusals of each route can be counted.
        "--metrics.prometheus=true",
        "--metrics.prometheus.entrypoint=metrics",
        "--metrics.prometheus.addrouterslabels=true",
        *_access_log(),
        "--core.stricttlsoptions=true",
    ]
    for listener in layout.listeners:
        made += _published(listener, settings)
    made += _file_provider() if layout.reads_files else _resource_provider(layout)
    if scene.border.tls.acme is not None:
        made += _acme(scene.border.tls.acme)
    return made


def quiet(log_level: str) -> list[str]:
    """Return what every Traefik of ours is told: to log for machines, and to call nobody."""
    return [
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        "--log.format=json",
        f"--log.level={log_level}",
    ]


def _self_service() -> list[str]:
    """Return the entry point on which Traefik asks itself: on the loopback interface."""
    point = f"--entrypoints.{CHECK}"
    return [
        *entry_point(CHECK, f"127.0.0.1:{CHECK_PORT}"),
        # The question carries what the certificate says in such a header.
        f"{point}.forwardedheaders.trustedips=127.0.0.1/32",
        f"{point}.observability.accesslogs=false",
        f"{point}.observability.metrics=false",
        f"{point}.observability.tracing=false",
    ]


def _access_log() -> Iterator[str]:
    """Yield the log of requests, without headers and without what stands behind a ``?``."""
    yield "--accesslog=true"
    yield "--accesslog.format=json"
    yield "--accesslog.fields.defaultmode=keep"
    yield "--accesslog.fields.headers.defaultmode=drop"
    yield "--accesslog.fields.headers.names.User-Agent=keep"
    yield "--accesslog.fields.queryparameters.defaultmode=drop"


def _hardening(point: str, allowed: tuple[str, ...]) -> Iterator[str]:
    """Yield what keeps requests from being read otherwise by Traefik than by a service."""
    for word in ENCODED:
        option = f"allowencoded{word.replace('-', '')}"
        yield f"{point}.http.encodedcharacters.{option}={str(word in allowed).lower()}"
    yield f"{point}.http.sanitizepath=true"


def draining(point: str) -> Iterator[str]:
    """Yield what lets requests end well when a pod is told to stop."""
    yield f"{point}.transport.lifecycle.requestacceptgracetimeout={_ACCEPT_SECONDS}s"
    yield f"{point}.transport.lifecycle.gracetimeout=30s"


def entry_point(name: str, address: str) -> list[str]:
    """Return what holds for every entry point.

    ``X_Forwarded_For`` is ``X-Forwarded-For`` to some services, so such headers are taken off.
    """
    point = f"--entrypoints.{name}"
    return [f"{point}.address={address}/tcp", f"{point}.http.aliasheadersstrategy=delete"]


def _published(listener: Listener, settings: Traefik) -> Iterator[str]:
    point = f"--entrypoints.{listener.name}"
    yield from entry_point(listener.name, f":{listener.port}")
    yield from draining(point)
    if settings.trusted_proxies and settings.proxy_protocol:
        yield f"{point}.proxyprotocol.trustedips={','.join(settings.trusted_proxies)}"
    if not listener.http:
        return
    if settings.trusted_proxies:
        yield f"{point}.forwardedheaders.trustedips={','.join(settings.trusted_proxies)}"
    if listener.name != WEB:
        # Without it a route that forgot its TLS would answer in plain text on this port.
        yield f"{point}.http.tls=true"
    yield f"{point}.http.maxheaderbytes=65536"
    yield from _hardening(point, settings.encoded_characters)


def _resource_provider(layout: Layout) -> Iterator[str]:
    provider = "--providers.kubernetescrd"
    yield f"{provider}=true"
    # Only the stack's own: another environment of the cluster has a Traefik of its own.
    namespaces = dict.fromkeys((layout.home, layout.namespace))
    yield f"{provider}.namespaces={','.join(namespaces)}"
    yield f"{provider}.disableclusterscoperesources=true"
    yield f"{provider}.ingressclass={layout.ingress_class}"
    # A service without ready pods answers 503; without this its routes would be gone: 404.
    yield f"{provider}.allowemptyservices=true"
    yield f"{provider}.allowcrossnamespace=false"
    yield f"{provider}.allowexternalnameservices=false"
    yield f"{provider}.crossprovidernamespaces={layout.namespace}"
    yield f"{provider}.defaulttlsresourcesnamespace={layout.namespace}"
    yield f"{provider}.safenaming=true"


def _file_provider() -> Iterator[str]:
    yield f"--providers.file.filename={ROUTES_FILE}"
    # Another file brings other pods, whose names for it carry its digest; nothing to watch for.
    yield "--providers.file.watch=false"


def _acme(acme: Acme) -> Iterator[str]:
    resolver = f"--certificatesresolvers.{RESOLVER}.acme"
    yield f"{resolver}.email={acme.email}"
    yield f"{resolver}.storage=/data/acme.json"
    yield f"{resolver}.caserver={acme.server}"
    yield f"{resolver}.keytype=EC256"
    if acme.challenge == "http":
        yield f"{resolver}.httpchallenge.entrypoint={WEB}"
    else:
        yield f"{resolver}.tlschallenge=true"
    if acme.ca is not None:
        yield f"{resolver}.cacertificates={ACME_CA}"
