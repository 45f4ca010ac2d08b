"""TLS: whose certificate a route shows, and what the handshake demands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_border_traefik.names import (
    ACME_AUTHORITY,
    CERTIFICATE,
    RESOLVER,
    auth_object,
)
from infometis_border_traefik.routing.values import TlsOptions, TlsUse
from infometis_sdk.ports.border import BorderSecret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_sdk.model.border import BorderTls
    from infometis_sdk.ports.border import Scene

__all__ = ("CIPHERS", "certificate_objects", "hosts", "secrets", "tls_options", "tls_use")

CIPHERS = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
)
"""Of TLS 1.2: forward secrecy and authenticated encryption only; TLS 1.3 has no others.

Source: the intermediate configuration of https://wiki.mozilla.org/Security/Server_Side_TLS.
"""


def hosts(scene: Scene) -> list[str]:
    """Return every name that the environment's certificate must hold."""
    names = {route.host for route in scene.routes if route.tls == "terminate"}
    names |= {
        member.host
        for route in scene.routes
        if route.tls == "terminate"
        for member in route.members
    }
    return sorted(names - {""})


def secret_of(tls: BorderTls) -> str:
    """Return the Secret with the certificate; empty where Traefik holds it itself."""
    if tls.source in ("acme", "none"):
        return ""
    return tls.secret or CERTIFICATE


def tls_use(scene: Scene, demanded: tuple[str, bool] | None) -> TlsUse:
    """Return how a route that the border terminates uses TLS."""
    options = CERTIFICATE
    if demanded is not None:
        options = _options_name(*demanded)
    resolver = RESOLVER if scene.border.tls.source == "acme" else ""
    return TlsUse(options=options, secret=secret_of(scene.border.tls), resolver=resolver)


def _options_name(auth: str, demanded: bool) -> str:  # noqa: FBT001 - of a pair
    return auth_object(auth) if demanded else f"{auth_object(auth)}-optional"


def tls_options(
    scene: Scene, demanded: Mapping[tuple[str, int], tuple[str, bool]]
) -> Iterator[TlsOptions]:
    """Yield the options of all routes, and those for names that no route has."""
    minimum = scene.border.tls.minimum
    if not scene.settings.use_existing:
        # A cluster has one such; where Traefik is not ours, it is not ours to set.
        yield TlsOptions(name="default", minimum=minimum)
    yield TlsOptions(name=CERTIFICATE, minimum=minimum)
    for auth, everywhere in sorted(set(demanded.values())):
        yield TlsOptions(
            name=_options_name(auth, everywhere),
            minimum=minimum,
            authority=auth_object(auth),
            demanded=everywhere,
        )


def secrets(scene: Scene) -> Iterator[BorderSecret]:
    """Yield what must be made at apply: the certificate, passwords, authorities."""
    border = scene.border
    names = hosts(scene)
    if border.tls.source == "development" and names:
        yield BorderSecret(name=CERTIFICATE, kind="certificate", hosts=names)
    if border.tls.source == "files" and border.tls.certificate and border.tls.key:
        sources = {"tls.crt": border.tls.certificate, "tls.key": border.tls.key}
        yield BorderSecret(name=CERTIFICATE, kind="certificate", sources=sources, hosts=names)
    used = {word for route in scene.routes for word in _words(route)}
    for name, auth in sorted(border.auth.items()):
        if name not in used:
            continue
        if auth.type == "basic":
            yield BorderSecret(name=auth_object(name), kind="users", sources=auth.users)
        elif auth.type == "mtls" and auth.ca is not None:
            sources = {"ca.crt": auth.ca}
            yield BorderSecret(name=auth_object(name), kind="authorities", sources=sources)
    if border.tls.acme is not None and border.tls.acme.ca is not None:
        sources = {"ca.crt": border.tls.acme.ca}
        yield BorderSecret(name=ACME_AUTHORITY, kind="authorities", sources=sources)


def _words(route: Any) -> list[str]:  # noqa: ANN401 - a Route
    return [route.auth, *(guarded.auth for guarded in route.guarded)]


def certificate_objects(scene: Scene) -> Iterator[dict[str, Any]]:
    """Yield what asks cert-manager for a certificate.

    Source: https://cert-manager.io/docs/usage/certificate/
    """
    issuer, names = scene.border.tls.issuer, hosts(scene)
    if scene.border.tls.source != "cert-manager" or issuer is None or not names:
        return
    yield {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": CERTIFICATE},
        "spec": {
            "secretName": CERTIFICATE,
            "dnsNames": names,
            "issuerRef": {"group": "cert-manager.io", "kind": issuer.kind, "name": issuer.name},
            "privateKey": {"algorithm": "ECDSA", "rotationPolicy": "Always", "size": 256},
            "usages": ["digital signature", "server auth"],
        },
    }
