"""What the audit says: whether its records are whole, and what they tell."""

from __future__ import annotations

import html

from attrs import field, frozen

from infometis_sdk.model.audit import AuditEvent, AuditHead
from infometis_sdk.model.report import Report
from infometis_sdk.model.table import Table, visible

__all__ = ("AuditFault", "AuditReport", "AuditTimeline")


@frozen(kw_only=True)
class AuditFault:
    """One record that is not as it was written.

    Attributes:
        kind: ``changed``, ``removed``, ``truncated``, ``reordered``, ``repeated`` or ``foreign``.
        sequence: number of the record; 0 where it cannot be told.
        where: file and line; empty where nothing is there.
        message: what is wrong, in one line.

    """

    kind: str
    sequence: int = 0
    where: str = ""
    message: str


@frozen(kw_only=True, repr=False)
class AuditReport(Report):
    """Whether a chain is whole.

    Attributes:
        records: how many there are.
        head: the newest one.
        faults: every record that was removed, changed, reordered or cut off.
        notes: what is odd and no fault, such as a line that a crash left unfinished.
        witnesses: where heads are kept that the chain was compared with.

    """

    stack_id: str
    records: int = 0
    head: AuditHead | None = None
    faults: tuple[AuditFault, ...] = field(default=(), converter=tuple[AuditFault, ...])
    notes: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    witnesses: tuple[str, ...] = field(default=(), converter=tuple[str, ...])

    @property
    def intact(self) -> bool:
        """Whether nothing was tampered with."""
        return not self.faults

    def headline(self) -> str:
        """Count records and faults."""
        if self.faults:
            count = len(self.faults)
            what = f"{count} fault{'s' * (count != 1)} in {self.records} records"
        elif not self.records:
            what = "no record"
        else:
            what = f"{self.records} records, none removed, changed or reordered"
        return f"audit of {self.stack_id}: {what}"

    def table(self) -> Table:
        """Show one row a fault."""
        footer = list(self.notes)
        if self.head:
            footer.append(f"head {self.head}")
        footer.append(f"compared with: {', '.join(self.witnesses) or 'no kept head'}")
        return Table(
            title=self.headline(),
            columns=("FAULT", "RECORD", "WHERE", "WHAT"),
            rows=tuple((f.kind, str(f.sequence or ""), f.where, f.message) for f in self.faults),
            footer=tuple(footer),
        )


_MARKS = {"begin": "┌", "end": "└", "": "•"}


@frozen(kw_only=True, repr=False)
class AuditTimeline(Report):
    """The records that were asked for, oldest first."""

    stack_id: str
    events: tuple[AuditEvent, ...] = field(default=(), converter=tuple[AuditEvent, ...])
    unreadable: int = 0

    def headline(self) -> str:
        """Count the records."""
        count = len(self.events)
        return f"audit of {self.stack_id}: {count} record{'s' * (count != 1)}"

    def table(self) -> Table:
        """Show one row a record; begin and end of an action are bracketed."""
        footer = (f"{self.unreadable} lines cannot be read",) if self.unreadable else ()
        return Table(
            title=self.headline(),
            columns=("TIME", "", "KIND", "VERB", "RESULT", "ACTOR", "WHAT", "REASON"),
            rows=tuple(
                (
                    event.time[:19].replace("T", " "),
                    _MARKS[event.phase],
                    event.kind,
                    event.verb,
                    event.result,
                    event.actor,
                    _what(event),
                    event.reason,
                )
                for event in self.events
            ),
            footer=footer,
        )

    def _repr_html_(self) -> str:
        """Draw the timeline: a line of days, with the details of a record behind its summary."""
        parts = [f"<p><strong>{html.escape(self.headline())}</strong></p>"]
        day = ""
        for event in self.events:
            if event.time[:10] != day:
                day = event.time[:10]
                parts.append(f"<h4>{html.escape(day)}</h4>")
            color = _color(event)
            title = " ".join(
                filter(None, (event.time[11:19], event.kind, event.verb, event.phase, event.result))
            )
            rest = " · ".join(filter(None, (event.actor, _what(event), event.reason)))
            details = "".join(f"<li>{html.escape(visible(line))}</li>" for line in _details(event))
            parts.append(
                f'<details style="border-left:3px solid {color};padding-left:.6em;margin:.2em 0">'
                f"<summary><b>{html.escape(visible(title))}</b> {html.escape(visible(rest))}"
                f"</summary><ul>{details}</ul></details>"
            )
        return "".join(parts)


def _color(event: AuditEvent) -> str:
    if event.result in ("failed", "refused"):
        return "#c0392b"
    return {"write": "#2980b9", "heal": "#27ae60", "override": "#d35400"}.get(event.kind, "#7f8c8d")


def _what(event: AuditEvent) -> str:
    parts = []
    if event.release:
        parts.append(f"release {event.release}")
    if touched := _touched(event):
        parts.append(touched)
    if what := _listed(event, "what"):
        more = f" and {len(what) - 1} more" if len(what) > 1 else ""
        parts.append(f"{what[0]}{more}")
    subject = event.evidence.get("subject")
    if subject:
        parts.append(str(subject))
    error = event.evidence.get("error")
    if error:
        parts.append(str(error).splitlines()[0][:120])
    return ", ".join(parts)


def _touched(event: AuditEvent) -> str:
    """Name the only field or object of an action, or count the objects."""
    names = [outcome.object for outcome in event.outcomes] or _listed(event, "objects")
    if len(names) == 1:
        change = event.diff[0] if len(event.diff) == 1 else None
        return f"{change.object} {change.path}" if change else names[0]
    # Of many only the first are listed.
    return f"{event.evidence.get('items', len(names))} objects" if names else ""


def _listed(event: AuditEvent, name: str) -> list[str]:
    """Return a list among the evidence; an edited record may hold anything."""
    found = event.evidence.get(name)
    return [str(each) for each in found] if isinstance(found, list | tuple) else []


def _details(event: AuditEvent) -> list[str]:
    lines = [f"record {event.sequence}, {event.hash}"]
    if event.plan:
        lines.append(f"plan {event.plan}")
    lines += [f"{o.action} {o.object}: {o.result} {o.detail}".rstrip() for o in event.outcomes]
    lines += [f"{c.object} {c.op} {c.path}: {c.old} -> {c.new}" for c in event.diff]
    lines += [f"{key}: {value}" for key, value in event.evidence.items()]
    return lines
