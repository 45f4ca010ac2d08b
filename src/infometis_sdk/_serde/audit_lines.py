"""AuditEvent <-> one line of canonical JSON that carries the hash of everything else in it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk.model.audit import FORMAT, AuditChange, AuditEvent, AuditHead, AuditOutcome
from infometis_sdk.model.report import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("audit_line", "hash_of", "read_audit_line", "record_of", "seal")

_ALWAYS = ("format", "chain", "sequence", "previous", "hash", "time", "kind", "stack_id")


def record_of(event: AuditEvent) -> dict[str, Any]:
    """Return the plain data of a record; what is empty is left out."""
    data: dict[str, Any] = plain(event)
    return {key: value for key, value in data.items() if key in _ALWAYS or value}


def _text(record: Mapping[str, Any]) -> str:
    # The keys are text by construction, or by json.loads; ASCII, since a file name may be no text.
    return json.dumps(record, sort_keys=True, allow_nan=False, separators=(",", ":"))


def hash_of(record: Mapping[str, Any]) -> str:
    """Return the hash of a record: SHA-256 over its canonical JSON without ``hash``.

    It covers ``previous``, the hash of the record before, which makes the chain.

    Example:
        >>> hash_of({"sequence": 1, "hash": "whatever"}) == hash_of({"sequence": 1})
        True

    """
    text = _text({key: value for key, value in record.items() if key != "hash"})
    return "sha256:" + hashlib.sha256(text.encode("ascii")).hexdigest()


def seal(event: AuditEvent, head: AuditHead | None, *, chain: str, time: str) -> AuditEvent:
    """Give an event its place behind ``head``.

    Args:
        event: what happened.
        head: the newest record of the chain; ``None`` for the first one.
        chain: name of the chain, where this record is its first.
        time: UTC, ISO 8601.

    """
    placed = attrs.evolve(
        event,
        time=time,
        chain=head.chain if head else chain,
        sequence=head.sequence + 1 if head else 1,
        previous=head.hash if head else "",
        hash="",
    )
    return attrs.evolve(placed, hash=hash_of(record_of(placed)))


def audit_line(event: AuditEvent) -> str:
    """Return the line of a record, without its end."""
    return _text(record_of(event))


def read_audit_line(text: str) -> AuditEvent:
    """Return the record of a line; whether it fits the chain is not looked at.

    Raises:
        ValueError: it is no record, or one of a later format.

    """
    data = json.loads(text)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else type(data).__name__
        msg = f"no audit record of format {FORMAT!r}: {found!r}"
        raise ValueError(msg)
    known = {f.name for f in attrs.fields(AuditEvent)}
    fields = {key: value for key, value in data.items() if key in known}
    try:
        fields["outcomes"] = [AuditOutcome(**one) for one in fields.get("outcomes", ())]
        fields["diff"] = [AuditChange(**one) for one in fields.get("diff", ())]
        return AuditEvent(**fields)
    except TypeError as error:
        msg = f"no audit record: {error}"
        raise ValueError(msg) from error
