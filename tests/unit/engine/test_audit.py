"""Verification of an audit chain: whatever is done to the records is found and named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs
import pytest
from hypothesis import given, strategies as st

from infometis_sdk._serde.audit_lines import audit_line, hash_of, read_audit_line, seal
from infometis_sdk.engine.audit import verify
from infometis_sdk.model.audit import AuditChange, AuditEvent, AuditHead, AuditLine, AuditOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infometis_sdk.model.audit_report import AuditReport

STACK = "demo-dev"


def chain(length: int, name: str = "c0ffee") -> list[str]:
    """Return the lines of a whole chain."""
    lines: list[str] = []
    head: AuditHead | None = None
    for number in range(1, length + 1):
        event = AuditEvent(
            kind="write",
            verb="apply",
            stack_id=STACK,
            actor="ann@lab",
            reason=f"change {number}",
            outcomes=[AuditOutcome(object="ConfigMap/a", action="update", result="applied")],
            diff=[AuditChange(object="ConfigMap/a", path="data.k", op="replace", old="1", new="2")],
        )
        sealed = seal(event, head, chain=name, time=f"2026-11-24T08:00:00.{number:03d}+00:00")
        head = sealed.head
        lines.append(audit_line(sealed))
    return lines


def head_of(line: str) -> AuditHead:
    """Return the head of a chain that ends with this line."""
    return read_audit_line(line).head


def check(lines: Sequence[str], *heads: AuditHead) -> AuditReport:
    """Verify lines against heads that somebody kept."""
    numbered = [AuditLine(where=f"records.jsonl:{n}", text=t) for n, t in enumerate(lines, 1)]
    return verify(STACK, numbered, {"the cluster": heads})


def faults(report: AuditReport) -> set[tuple[str, int]]:
    """Return kind and record of each fault."""
    return {(f.kind, f.sequence) for f in report.faults}


def rehashed(line: str, **changes: object) -> str:
    """Change a record and give it the hash that it then should have, as a forger would."""
    record = json.loads(line) | changes
    record["hash"] = hash_of(record)
    return json.dumps(record, sort_keys=True, separators=(",", ":"))


def test_a_whole_chain_has_no_fault() -> None:
    """Nothing is found where nothing was done."""
    lines = chain(5)
    report = check(lines, head_of(lines[-1]), head_of(lines[2]))
    assert report.intact, str(report)
    assert (5, head_of(lines[-1])) == (report.records, report.head)


def test_an_event_is_read_as_it_was_written() -> None:
    """A record survives the way to its line and back."""
    (line,) = chain(1)
    event = read_audit_line(line)
    assert audit_line(event) == line
    assert event.reason == "change 1"
    assert event.outcomes[0].object == "ConfigMap/a"


@given(length=st.integers(2, 9), data=st.data())
def test_any_removed_record_is_named(length: int, data: st.DataObject) -> None:
    """Whichever record is taken out, its number is told, also where it was the last one."""
    lines = chain(length)
    gone = data.draw(st.integers(0, length - 1))
    report = check([*lines[:gone], *lines[gone + 1 :]], head_of(lines[-1]))
    kind = "truncated" if gone == length - 1 else "removed"
    assert {(kind, gone + 1)} == faults(report)


@given(length=st.integers(1, 6), data=st.data())
def test_any_changed_byte_is_named(length: int, data: st.DataObject) -> None:
    """Whichever byte of whichever record is changed, that record is told, and maybe a neighbour."""
    lines = chain(length)
    at = data.draw(st.integers(0, length - 1))
    where = data.draw(st.integers(0, len(lines[at]) - 1))
    other = data.draw(st.sampled_from('x0" {').filter(lambda c: c != lines[at][where]))
    lines[at], head = lines[at][:where] + other + lines[at][where + 1 :], head_of(lines[-1])
    report = check(lines, head)
    assert report.faults, "nothing was found"
    # A changed number of a record makes it another one, so that its own is missing.
    assert at + 1 in {f.sequence for f in report.faults}, str(report)


@given(length=st.integers(2, 6), data=st.data())
def test_a_forged_record_is_named(length: int, data: st.DataObject) -> None:
    """A record changed and hashed anew does not fit what the next one, or a head, knows."""
    lines = chain(length)
    at = data.draw(st.integers(0, length - 1))
    head = head_of(lines[-1])
    lines[at] = rehashed(lines[at], actor="mallory@lab")
    assert {("changed", at + 1)} == faults(check(lines, head))


def test_a_whole_chain_forged_anew_does_not_fit_the_kept_head() -> None:
    """Who hashes everything anew cannot change the head that the cluster keeps."""
    lines = chain(4)
    kept = head_of(lines[-1])
    forged: list[str] = []
    head: AuditHead | None = None
    for line in lines:
        event = attrs.evolve(read_audit_line(line), actor="mallory@lab")
        sealed = seal(event, head, chain=event.chain, time=event.time)
        head = sealed.head
        forged.append(audit_line(sealed))
    assert check(forged).intact, "without a head nobody can know"
    assert {("changed", 4)} == faults(check(forged, kept))


def test_records_in_another_order_are_named() -> None:
    """Swapped records are told as reordered, and no other one is accused."""
    lines = chain(5)
    lines[1], lines[3] = lines[3], lines[1]
    report = check(lines, head_of(lines[-1]))
    assert {("reordered", 3), ("reordered", 2)} == faults(report)


def test_a_record_that_stands_twice_is_named() -> None:
    """A copy is told."""
    lines = chain(3)
    assert {("repeated", 2)} == faults(check([*lines, lines[1]]))


def test_a_line_that_a_crash_left_is_no_fault() -> None:
    """Where no record is missing for it, an unfinished line is noted and nothing more."""
    lines = chain(4)
    torn = lines[2][:40]
    for there in ([*lines[:2], torn, *lines[2:]], [*lines, torn]):
        report = check(there, head_of(lines[-1]))
        assert report.intact, str(report)
        assert len(report.notes) == 1


def test_a_record_made_unreadable_is_told_from_a_crash() -> None:
    """Where a record is missing for it, an unreadable line was that record."""
    lines = chain(4)
    head = head_of(lines[-1])
    report = check([lines[0], lines[1][:40], *lines[2:]], head)
    assert {("changed", 2)} == faults(report)
    assert {("changed", 4)} == faults(check([*lines[:3], lines[3][:40]], head))


def test_a_chain_that_went_on_after_a_cut_is_found() -> None:
    """A head that the cluster kept before the cut does not fit what was recorded since."""
    lines = chain(4)
    kept = head_of(lines[3])
    cut = lines[:2]
    event = AuditEvent(kind="write", verb="apply", stack_id=STACK)
    for _ in range(3):
        sealed = seal(event, head_of(cut[-1]), chain="", time="2026-11-24T09:00:00.000+00:00")
        cut.append(audit_line(sealed))
    assert {("changed", 4)} == faults(check(cut, kept))


def test_a_chain_that_is_gone_is_found() -> None:
    """Who removes the file and starts anew is found by the older chain's head."""
    old, new = chain(3), chain(1, "decade")
    report = check(new, head_of(old[-1]), head_of(new[-1]))
    assert {("removed", 3)} == faults(report)
    assert "c0ffee" in report.faults[0].message
    assert {("truncated", n) for n in (1, 2, 3)} == faults(check([], head_of(old[-1])))


def test_records_of_another_stack_are_named() -> None:
    """A record that was made for another stack does not belong here."""
    lines = chain(2)
    lines.append(rehashed(chain(3)[2], stack_id="demo-prod"))
    assert ("foreign", 3) in faults(check(lines))


@pytest.mark.parametrize("text", ["[]", "3", '"x"', "{}", '{"sequence":"1"}', "\x00", "[" * 5000])
def test_lines_of_anything_are_survived(text: str) -> None:
    """A line may hold anything at all."""
    lines = chain(2)
    report = check([lines[0], text, lines[1]], head_of(lines[-1]))
    assert report.intact, str(report)
