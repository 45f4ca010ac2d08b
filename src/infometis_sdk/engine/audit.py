"""Lines and kept heads -> which records were removed, changed, reordered or cut off; pure."""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from infometis_sdk._serde.audit_lines import hash_of
from infometis_sdk.model.audit import AuditHead, AuditLine
from infometis_sdk.model.audit_report import AuditFault, AuditReport

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


__all__ = ("Copies", "sort_copies", "verify")


@frozen
class _Entry:
    """A line that is a record, whether true or not."""

    where: str
    record: Mapping[str, Any]
    sequence: int
    sound: bool

    def get(self, key: str) -> str:
        value = self.record.get(key, "")
        return value if isinstance(value, str) else ""


def verify(
    stack_id: str, lines: Iterable[AuditLine], heads: Mapping[str, Sequence[AuditHead]]
) -> AuditReport:
    """Compare every record with its own hash, with its neighbours and with the kept heads.

    A line that is no record and that no record is missing for was left by a crash:
    the record after it goes on where the one before it ended.
    Where a record is missing for it, it was changed.

    Args:
        stack_id: which stack.
        lines: everything that is kept, oldest first.
        heads: who kept which heads, such as ``{"the cluster": (head,)}``.

    Returns:
        Every fault, each naming the record.

    """
    entries, unread = _parse(lines)
    faults = [
        _fault("changed", e.sequence, e.where, "its content does not fit its own hash")
        for e in entries
        if not e.sound
    ]
    by_number: dict[int, _Entry] = {}
    highest = 0
    for entry in entries:
        first = by_number.setdefault(entry.sequence, entry)
        if first is not entry:
            what = f"it is on {first.where} too"
            faults.append(_fault("repeated", entry.sequence, entry.where, what))
        elif entry.sequence < highest:
            what = f"it stands after record {highest}"
            faults.append(_fault("reordered", entry.sequence, entry.where, what))
        highest = max(highest, entry.sequence)
    missing = sorted(set(range(1, highest + 1)) - by_number.keys())
    last = by_number.get(highest)
    kept = [(who, head) for who, group in heads.items() for head in group]
    chain = last.get("chain") if last else ""
    cut = _cut(highest, chain, kept)
    faults += _lost(missing, cut, unread, by_number)
    faults += _links(by_number)
    faults += _strangers(stack_id, entries, chain)
    faults += _against(kept, by_number, chain, highest)
    notes = [
        f"{where}: an unfinished line, as a crash leaves it; no record is missing"
        for where, _ in unread[len(missing) + len(cut) :]
    ]
    return AuditReport(
        stack_id=stack_id,
        records=len(entries),
        head=_head(stack_id, last) if last else None,
        faults=sorted(faults, key=lambda f: (f.sequence, f.kind)),
        notes=notes,
        witnesses=[who for who, group in heads.items() if group],
    )


@frozen(kw_only=True)
class Copies:
    """Copies of records, sorted.

    Attributes:
        heads: what those of our own chains stand for.
        others: the lines of each other chain.
        faults: copies that were edited.

    """

    heads: tuple[AuditHead, ...]
    others: Mapping[str, Sequence[AuditLine]]
    faults: tuple[AuditFault, ...]


def sort_copies(stack_id: str, lines: Iterable[AuditLine], ours: Collection[str]) -> Copies:
    """Part copies of records by the chain that they belong to.

    Args:
        stack_id: which stack.
        lines: copies, as they are kept elsewhere.
        ours: names of the chains whose records themselves are at hand.

    """
    heads: list[AuditHead] = []
    others: dict[str, list[AuditLine]] = {}
    faults: list[AuditFault] = []
    for line in lines:
        entry = next(iter(_parse([line])[0]), None)
        if entry is not None and entry.get("chain") not in ours:
            others.setdefault(entry.get("chain"), []).append(line)
        elif entry is not None and entry.sound:
            heads.append(_head(stack_id, entry))
        else:
            number = entry.sequence if entry else 0
            faults.append(_fault("changed", number, line.where, "this copy was edited"))
    return Copies(heads=tuple(heads), others=others, faults=tuple(faults))


def _parse(lines: Iterable[AuditLine]) -> tuple[list[_Entry], list[tuple[str, int]]]:
    """Split lines into records and what is none, the latter with the record before it."""
    entries: list[_Entry] = []
    unread: list[tuple[str, int]] = []
    for line in lines:
        if not line.text:
            continue
        try:
            record = json.loads(line.text)
            sequence = operator.index(record["sequence"])
            # The same value in other bytes was edited too, such as a key that stands there twice.
            same = line.text == json.dumps(record, sort_keys=True, separators=(",", ":"))
            sound = same and hash_of(record) == record.get("hash")
        except (ValueError, TypeError, KeyError, RecursionError):
            unread.append((line.where, entries[-1].sequence if entries else 0))
            continue
        entries.append(_Entry(line.where, record, sequence, sound))
    return entries, unread


def _fault(kind: str, sequence: int, where: str, message: str) -> AuditFault:
    return AuditFault(kind=kind, sequence=sequence, where=where, message=message)


def _cut(highest: int, chain: str, kept: Sequence[tuple[str, AuditHead]]) -> list[int]:
    """Return the numbers of records that a kept head knows and that are not there at the end."""
    known = [head.sequence for _, head in kept if not chain or head.chain == chain]
    return list(range(highest + 1, max(known, default=0) + 1))


def _lost(
    missing: Sequence[int],
    cut: Sequence[int],
    unread: list[tuple[str, int]],
    by_number: Mapping[int, _Entry],
) -> list[AuditFault]:
    """Name records that are not there; a line in their place that is no record is that record."""
    found = []
    # What stands right behind the record before the gap goes first.
    unread.sort(key=lambda item: item[1] + 1 not in missing and item[1] + 1 not in cut)
    spare = iter(list(unread))
    for number in [*missing, *cut]:
        where = next(spare, ("", 0))[0]
        if where:
            found.append(_fault("changed", number, where, "the line is no record any more"))
        elif number in cut:
            found.append(_fault("truncated", number, "", "it was cut off from the end"))
        else:
            after = next((n for n in range(number - 1, 0, -1) if n in by_number), 0)
            place = f"after record {after}" if after else "before the first that is there"
            found.append(_fault("removed", number, "", f"it is missing {place}"))
    return found


def _links(by_number: Mapping[int, _Entry]) -> list[AuditFault]:
    found = []
    for number, entry in by_number.items():
        follower = by_number.get(number + 1)
        # A record that does not fit its own hash is named already, and proves nothing of others.
        if follower is None or not entry.sound or not follower.sound:
            continue
        if follower.get("previous") != entry.get("hash"):
            what = f"record {number + 1} knows it by another hash"
            found.append(_fault("changed", number, entry.where, what))
    first = by_number.get(1)
    if first is not None and first.sound and first.get("previous"):
        found.append(_fault("changed", 1, first.where, "the first record names one before it"))
    return found


def _strangers(stack_id: str, entries: Sequence[_Entry], chain: str) -> list[AuditFault]:
    found = []
    for entry in entries:
        if entry.get("stack_id") != stack_id:
            what = f"it is of stack {entry.get('stack_id')!r}"
        elif entry.get("chain") != chain:
            what = f"it is of another chain, {entry.get('chain')!r}"
        else:
            continue
        found.append(_fault("foreign", entry.sequence, entry.where, what))
    return found


def _against(
    kept: Sequence[tuple[str, AuditHead]],
    by_number: Mapping[int, _Entry],
    chain: str,
    highest: int,
) -> list[AuditFault]:
    """Compare with the kept heads; where one is of another chain, that chain was taken away."""
    found = []
    for who, head in kept:
        if chain and head.chain != chain:
            what = f"{who} knows chain {head.chain} with {head.sequence} records, which is gone"
            found.append(_fault("removed", head.sequence, "", what))
            continue
        entry = by_number.get(head.sequence)
        if entry is not None and entry.get("hash") != head.hash and head.sequence <= highest:
            what = f"{who} knows it by another hash"
            found.append(_fault("changed", head.sequence, entry.where, what))
    return found


def _head(stack_id: str, entry: _Entry) -> AuditHead:
    return AuditHead(
        stack_id=stack_id,
        chain=entry.get("chain"),
        sequence=entry.sequence,
        hash=entry.get("hash"),
        time=entry.get("time"),
    )
