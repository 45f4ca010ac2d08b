"""What to do about a refusal of the API server."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infometis_sdk._adapters.asked import Asked

__all__ = ("advice",)

_BY_WORDS: Mapping[int, Iterable[tuple[str, str]]] = {
    HTTPStatus.FORBIDDEN: (
        ("exceeded quota", "ask for less, free something, or have the ResourceQuota raised"),
        (
            "violates PodSecurity",
            "adapt the securityContext, or the namespace's pod-security level",
        ),
        ("being terminated", "wait until the namespace is gone; finalizers may hold it"),
        ("", "an admission rule of the cluster forbids it; the message names it"),
    ),
    HTTPStatus.NOT_FOUND: (
        ("namespaces ", "the namespace does not exist: create it first"),
        ("", ""),
    ),
    HTTPStatus.CONFLICT: (
        ("conflict with", "decide who holds these fields: take them over, or leave them"),
        ("already exists", "somebody made it meanwhile; look at it before you adopt it"),
        ("", "it changed meanwhile: read it again and repeat"),
    ),
    HTTPStatus.BAD_REQUEST: (
        ("strict decoding error", "correct the spelling of these fields, or drop them"),
        ("not declared in schema", "correct the spelling of this field, or drop it"),
        ("", "correct the manifest, or the values it is rendered from"),
    ),
    HTTPStatus.UNPROCESSABLE_ENTITY: (
        ("strict decoding error", "correct the spelling of these fields, or drop them"),
        ("immutable", "it cannot be changed in place: the object has to be made anew"),
        ("are forbidden", "it cannot be changed in place: the object has to be made anew"),
        ("rejected our request", "the object does not look as the patch expects"),
        ("", "correct the manifest, or the values it is rendered from"),
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (("", "objects are limited to about 1.5 MB: split it"),),
    HTTPStatus.TOO_MANY_REQUESTS: (
        ("disruption budget", "a PodDisruptionBudget forbids it for now; try later"),
        ("", "the API server is overloaded, or its priority-and-fairness limits are low"),
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: (
        ("failed calling webhook", "an admission webhook is down: repair or remove it"),
        ("", "look at the API server's health: kubectl get --raw '/readyz?verbose'"),
    ),
}


def advice(code: int, asked: Asked, said: str, reason: str, certificate: bytes) -> str:
    """Return the hint for a refusal.

    Args:
        code: HTTP status.
        asked: what was asked.
        said: the API server's message.
        reason: the API server's own word for it.
        certificate: our client certificate (PEM); an expired one explains a 401.

    """
    if code == HTTPStatus.UNAUTHORIZED:
        return _log_in(certificate)
    if code == HTTPStatus.FORBIDDEN and " cannot " in said:
        where = f" in namespace {asked.namespace}" if asked.namespace else " in the whole cluster"
        return (
            f"ask the cluster's administrator for the verb {asked.rbac_verb!r} "
            f"on {asked.rbac_resource!r}{where}"
        )
    if reason == "AlreadyExists":
        said = "already exists"
    rules = _BY_WORDS.get(min(code, HTTPStatus.INTERNAL_SERVER_ERROR), ())
    return next((hint for words, hint in rules if words in said), "")


def _log_in(certificate: bytes) -> str:
    """Say whether our own certificate has expired, the commonest cause and the hardest to see."""
    if certificate:
        from datetime import UTC, datetime

        from cryptography.x509 import load_pem_x509_certificate

        try:
            end = load_pem_x509_certificate(certificate).not_valid_after_utc
        except ValueError:
            end = datetime.max.replace(tzinfo=UTC)
        if end < datetime.now(UTC):
            return f"the client certificate expired on {end:%Y-%m-%d}: get a new kubeconfig"
    return "log in again, or get a new kubeconfig; was the cluster made anew?"
