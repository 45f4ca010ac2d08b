"""The API server's refusals as typed errors, in words for people and without secrets."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from infometis_sdk._adapters.advice import advice
from infometis_sdk.errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    ThrottledError,
    UnauthorizedError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infometis_sdk._adapters.asked import Asked
    from infometis_sdk._adapters.transport import Answer

__all__ = ("mask", "object_at_fault", "refusal")

_LONGEST = 2000
"""Characters of a server's message that are kept: some quote whole objects."""

_SHORTEST_SECRET = 4

_WHOLE = re.compile(r'Invalid value: "\{(?:[^"\\]|\\.)*\}"')
"""Some refusals quote the whole live object, with values that were never sent by us."""

_VALUE = re.compile(r'Invalid value: (?:"(?:[^"\\]|\\.)*"|[\[{].*[\]}])', re.DOTALL)

_AT_FAULT = re.compile(
    rb"failed to create typed patch object|unable to convert unstructured object"
)
"""Server-side apply reports unknown fields and wrong types so, and with status 500."""

_KINDS: Mapping[int, type[ClusterError]] = {
    HTTPStatus.BAD_REQUEST: InvalidError,
    HTTPStatus.UNAUTHORIZED: UnauthorizedError,
    HTTPStatus.FORBIDDEN: ForbiddenError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: InvalidError,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: InvalidError,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidError,
    HTTPStatus.TOO_MANY_REQUESTS: ThrottledError,
    HTTPStatus.BAD_GATEWAY: UnreachableError,
    HTTPStatus.SERVICE_UNAVAILABLE: UnreachableError,
    HTTPStatus.GATEWAY_TIMEOUT: UnreachableError,
}


def refusal(answer: Answer, asked: Asked, secrets: Iterable[str] = ()) -> ClusterError:
    """Return the error for an answer with a status of 400 or above.

    Args:
        answer: what came.
        asked: what was asked.
        secrets: strings that must not show up in the message.

    """
    status = _status(answer)
    hidden = (*secrets, answer.channel.credentials.authorization.partition(" ")[2])
    secret = asked.ref is not None and asked.ref.kind == "Secret"

    def clean(text: object) -> str:
        words = str(text or "")
        words = _VALUE.sub("Invalid value: ***", words) if secret else words
        return mask(_WHOLE.sub("Invalid value: {…}", words), hidden)

    causes = tuple(
        {**cause, "message": clean(cause.get("message"))}
        for cause in (status.get("details") or {}).get("causes") or ()
    )
    reason = str(status.get("reason") or "")
    said = clean(status.get("message"))
    code = answer.status
    if code == HTTPStatus.INTERNAL_SERVER_ERROR and object_at_fault(answer.data):
        code = HTTPStatus.BAD_REQUEST
    if code == HTTPStatus.UNPROCESSABLE_ENTITY and _moved(causes):
        code = HTTPStatus.CONFLICT  # a precondition, not a fault of the object
    kind = _KINDS.get(code, ClusterError)
    return kind(
        _message(code, asked, said, causes, answer),
        status=answer.status,
        ref=asked.ref,
        reason=reason,
        causes=causes,
        hint=advice(code, asked, said, reason, answer.channel.credentials.certificate),
    )


def object_at_fault(data: bytes) -> bool:
    """Whether the body of a 500 blames the object that was sent, so that no retry can help."""
    return _AT_FAULT.search(data) is not None


def mask(text: str, secrets: Iterable[str]) -> str:
    """Take secrets out of a text, as they are and as Go quotes them.

    Example:
        >>> mask("Bearer abc.def was refused, hunter2 too", ["hunter2"])
        'Bearer *** was refused, *** too'

    """
    text = re.sub(r"(?i)\b(bearer|basic) [A-Za-z0-9._~+/=-]+", r"\1 ***", text)
    known = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
    for secret in sorted(known, key=len, reverse=True):
        quoted = json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]
        for form in (secret, *quoted):
            text = text.replace(form, "***")
    if len(text) <= _LONGEST:
        return text
    # What matters stands at either end; what is quoted stands in between.
    return f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"


def _status(answer: Answer) -> dict[str, Any]:
    """Return the Kubernetes ``Status`` of an answer, or what comes close to it."""
    try:
        status = json.loads(answer.data)
    except ValueError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return status
    return {"message": answer.data[:200].decode("utf-8", "replace").strip()}


def _moved(causes: Iterable[Mapping[str, Any]]) -> bool:
    """Whether all causes are about the identity of the object: it was made anew meanwhile."""
    fields = {str(cause.get("field") or "") for cause in causes}
    return bool(fields) and fields <= {"metadata.uid", "metadata.resourceVersion"}


def _message(
    code: int,
    asked: Asked,
    said: str,
    causes: tuple[dict[str, Any], ...],
    answer: Answer,
) -> str:
    connection = answer.channel.connection
    text = f"{asked.doing}: {said or f'the API server answers {answer.status}'}"
    if code == HTTPStatus.UNAUTHORIZED:
        text = f"{connection.server} does not accept our credentials ({connection.source})"
    elif code == HTTPStatus.TOO_MANY_REQUESTS:
        text = f"{asked.doing}: {connection.server} asks us to wait, still after the last try"
    elif code == HTTPStatus.FORBIDDEN and " cannot " in said:
        where = f" in namespace {asked.namespace}" if asked.namespace else ""
        user = re.match(r'.*?User "([^"]*)"', said)
        who = repr(user[1]) if user else "this user"
        text = f"{who} may not {asked.rbac_verb} {asked.rbac_resource}{where}: {said}"
    elif code == HTTPStatus.UNPROCESSABLE_ENTITY and causes:
        head = f"{asked.doing}: the API server finds {_count(causes, 'fault')}"
        text = "\n".join((head, *map(_cause, causes)))
    elif any(cause.get("reason") == "FieldManagerConflict" for cause in causes):
        head = f"{asked.doing}: others hold {_count(causes, 'field')} of it"
        text = "\n".join((head, *map(_cause, causes)))
    return text


def _count(causes: tuple[dict[str, Any], ...], word: str) -> str:
    return f"{len(causes)} {word}s" if len(causes) > 1 else f"1 {word}"


def _cause(cause: Mapping[str, Any]) -> str:
    name, text = str(cause.get("field") or ""), str(cause.get("message") or "")
    return f"  - {name}: {text}" if name else f"  - {text}"
