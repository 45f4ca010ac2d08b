"""What happened to a stack, as records of a hash chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from attrs import field, frozen
from attrs.validators import in_

__all__ = (
    "FORMAT",
    "KINDS",
    "PHASES",
    "AuditChange",
    "AuditEvent",
    "AuditHead",
    "AuditLine",
    "AuditOutcome",
)

FORMAT = "infometis.io/audit/v1"

KINDS = ("write", "gate", "approval", "override", "heal", "credential", "promotion")
"""What is recorded; what a kind is about is in :class:`AuditEvent`."""

PHASES = ("", "begin", "end")
"""A change of a cluster is two records, one before the first write and one after the last."""


@frozen(kw_only=True)
class AuditOutcome:
    """What became of one object, in the words of :class:`~infometis_sdk.model.report.Outcome`."""

    object: str
    namespace: str = ""
    action: str
    result: str
    detail: str = ""


@frozen(kw_only=True)
class AuditChange:
    """One field that a change is about; values are short texts, and masked where secret."""

    object: str
    path: str
    op: str
    old: str = ""
    new: str = ""


@frozen(kw_only=True)
class AuditEvent:
    """One record: who did what to which stack, when, why, and how it ended.

    Secrets never enter it: credentials are named, values of Secrets are keyed hashes.

    Attributes:
        kind: one of :data:`KINDS`: ``write`` (the cluster or what we remember of it was changed),
            ``gate``, ``approval``, ``override`` (a protection was set aside by name), ``heal``,
            ``credential`` (one was created) or ``promotion`` (a stage of one).
        verb: what was done, such as ``apply``, ``down`` or ``abandon``.
        phase: ``begin``, ``end``, or empty where one record is all.
        action: ties the records of one action together.
        stack_id, environment: which stack.
        actor: who, as ``user@host``; told by the machine, not proven.
        reason: why, in the actor's words.
        result: how it ended, such as ``done``, ``failed``, ``opened`` or ``refused``.
        plan: digest of the plan.
        cluster_uid: UID of the cluster.
        release: number of the Release; 0 where there is none.
        outcomes: what became of each object.
        diff: the fields that change.
        evidence: whatever else is worth knowing, as plain data.
        time: UTC, ISO 8601, by the clock of this machine; set when it is recorded.
        chain, sequence, previous, hash: place in the chain; set when it is recorded.

    """

    kind: str = field(validator=in_(KINDS))
    verb: str = ""
    phase: str = field(default="", validator=in_(PHASES))
    action: str = ""
    stack_id: str
    environment: str = ""
    actor: str = ""
    reason: str = ""
    result: str = ""
    plan: str = ""
    cluster_uid: str = ""
    release: int = 0
    outcomes: tuple[AuditOutcome, ...] = field(default=(), converter=tuple[AuditOutcome, ...])
    diff: tuple[AuditChange, ...] = field(default=(), converter=tuple[AuditChange, ...])
    evidence: Mapping[str, Any] = field(factory=dict)
    time: str = ""
    format: str = FORMAT
    chain: str = ""
    sequence: int = 0
    previous: str = ""
    hash: str = ""

    @property
    def head(self) -> AuditHead:
        """The head of the chain that ends with this record."""
        return AuditHead(
            stack_id=self.stack_id,
            chain=self.chain,
            sequence=self.sequence,
            hash=self.hash,
            time=self.time,
        )


@frozen(kw_only=True)
class AuditHead:
    """The end of a chain: whoever keeps it can tell when records are taken from the end.

    Attributes:
        chain: the chain's own name, made at random with its first record.
        sequence: number of the newest record, counted from 1.
        hash: hash of that record.
        ledger: which place keeps the chain, as a hash; two chains of one place mean that the
            older one was taken away.

    """

    stack_id: str
    chain: str
    sequence: int
    hash: str
    time: str = ""
    ledger: str = ""

    def __str__(self) -> str:
        return f"{self.chain}/{self.sequence}/{self.hash}"

    def kept_by(self, ledger: str) -> AuditHead:
        """Return the head with the place that keeps the chain."""
        return attrs.evolve(self, ledger=ledger)


@frozen(kw_only=True)
class AuditLine:
    """One line as it is kept: ``where`` is for people, ``text`` exactly what is there."""

    where: str
    text: str
