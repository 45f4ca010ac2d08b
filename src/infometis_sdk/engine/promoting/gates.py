"""The declared gates, each a decision on values."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from infometis_sdk.model.equivalence import VERDICTS
from infometis_sdk.model.pipeline import seconds_of
from infometis_sdk.model.promotion import GateResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from infometis_sdk.model.equivalence import EquivalenceReport
    from infometis_sdk.model.promotion import Approval
    from infometis_sdk.model.release import Release
    from infometis_sdk.model.report import DriftReport

__all__ = (
    "approval_gate",
    "authors_of",
    "backup_gate",
    "drift_gate",
    "equivalence_gate",
    "evidence_gate",
    "soak_gate",
)

_SKEW = 60.0
"""Seconds by which two clocks that are kept may well differ."""
_FEW = 5


def _span(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f}{unit}"
    return f"{seconds:.0f}s"


def soak_gate(release: Release, soak: str, now: dt.datetime) -> GateResult:
    """Demand that a Release has been deployed for so long.

    Args:
        release: the source's.
        soak: such as ``24h``.
        now: with its time zone.

    """
    name, wanted = "soak", seconds_of(soak)
    since = release.ended or release.time
    evidence = {"release": release.number, "deployed": since, "wanted": soak}
    try:
        age = (now - dt.datetime.fromisoformat(since)).total_seconds()
    except (ValueError, TypeError):
        why = f"release {release.number} does not say when it was deployed"
        return GateResult(
            name=name, opened=False, reason=why, opens="deploy the source anew", evidence=evidence
        )
    if age < -_SKEW:
        why = f"release {release.number} was deployed {_span(-age)} in the future: clocks differ"
        opens = "set the clocks of the machines right"
        return GateResult(name=name, opened=False, reason=why, opens=opens, evidence=evidence)
    why = f"deployed for {_span(max(age, 0.0))} of {soak}"
    if age >= wanted:
        return GateResult(name=name, opened=True, reason=why, evidence=evidence)
    when = (dt.datetime.fromisoformat(since) + dt.timedelta(seconds=wanted)).astimezone(dt.UTC)
    opens = f"wait until {when.isoformat(timespec='seconds')}"
    return GateResult(name=name, opened=False, reason=why, opens=opens, evidence=evidence)


def drift_gate(report: DriftReport, environment: str) -> GateResult:
    """Demand that nothing in the source differs from its Release."""
    open_items = [item for item in report.items if item.state in ("drift", "foreign", "pending")]
    evidence = {
        "checked": report.checked,
        "items": [
            {"object": str(i.ref), "path": i.path, "state": i.state, "manager": i.manager}
            for i in open_items[:_FEW]
        ],
    }
    if report.incomplete:
        why = f"not everything could be looked at: {'; '.join(report.incomplete)}"
        opens = "grant the right to look at it"
        return GateResult(name="drift", opened=False, reason=why, opens=opens, evidence=evidence)
    if not open_items:
        why = f"none in {report.checked} objects"
        return GateResult(name="drift", opened=True, reason=why, evidence=evidence)
    first = open_items[0]
    who = f" by {first.manager}" if first.manager else ""
    what = f"{len(open_items)} in {environment}, such as {first.ref} {first.path}{who}"
    opens = f"'infometis drift -e {environment}' shows it; 'infometis up -e {environment}' ends it"
    return GateResult(name="drift", opened=False, reason=what, opens=opens, evidence=evidence)


def equivalence_gate(report: EquivalenceReport, worst: str) -> GateResult:
    """Demand a verdict of at least ``worst``."""
    opened = VERDICTS.index(report.verdict) <= VERDICTS.index(worst)
    reasons = [reason for service in report.services for reason in service.reasons]
    why = report.headline() + (f": {'; '.join(reasons[:_FEW])}" if reasons and not opened else "")
    evidence = {"verdict": report.verdict, "wanted": worst, "root": report.a.root}
    opens = "" if opened else f"'infometis prove' says what keeps it from {worst}"
    return GateResult(name="equivalence", opened=opened, reason=why, opens=opens, evidence=evidence)


def backup_gate(newest: str, wanted: str, environment: str, now: dt.datetime) -> GateResult:
    """Demand a backup of the target that is younger than ``wanted``.

    Args:
        newest: when the newest one was made, ISO 8601; empty for none.
        wanted: such as ``24h``.
        environment: the target.
        now: with its time zone.

    """
    name, evidence = "backup", {"newest": newest, "wanted": wanted}
    opens = f"'infometis cluster backup FOLDER -e {environment}' makes one"
    if not newest:
        why = f"no backup of {environment} is on record"
        return GateResult(name=name, opened=False, reason=why, opens=opens, evidence=evidence)
    age = (now - dt.datetime.fromisoformat(newest)).total_seconds()
    why = f"the newest is {_span(max(age, 0.0))} old, at most {wanted} will do"
    opened = -_SKEW <= age <= seconds_of(wanted)
    return GateResult(
        name=name, opened=opened, reason=why, opens="" if opened else opens, evidence=evidence
    )


def evidence_gate(simulated: Iterable[str], allow: Sequence[str]) -> GateResult:
    """Refuse evidence of clusters whose containers do not really run, unless allowed by name."""
    names = sorted(simulated)
    evidence = {"simulated": names}
    if not names:
        return GateResult(name="evidence", opened=True, reason="genuine", evidence=evidence)
    why = f"the containers of {' and '.join(names)} are simulated: nothing ran that could fail"
    if "simulated" in allow:
        return GateResult(
            name="evidence", opened=True, reason=f"{why}; allowed by name", evidence=evidence
        )
    opens = "allow 'simulated' by name, for rehearsals only, or use genuine clusters"
    return GateResult(name="evidence", opened=False, reason=why, opens=opens, evidence=evidence)


def authors_of(release: Release, promoter: str) -> tuple[str, ...]:
    """Return who may not approve: who deployed the Release, and who promotes it."""
    return tuple(dict.fromkeys(name for name in (release.actor, promoter) if name))


def approval_gate(
    approvals: Sequence[Approval], needed: int, authors: Iterable[str], plan: str
) -> GateResult:
    """Demand signatures of so many people, each with a key of their own, none of them an author.

    A principal is taken for an author where both have the same name before the ``@``:
    whoever signs as ``ann@example.com`` may well be ``ann@laptop``.
    A key that has several names is whoever of them would count least.

    Args:
        approvals: signatures over the plan's digest that were found good.
        needed: how many people.
        authors: as ``user@host``.
        plan: the plan's digest.

    """
    own = {_person(author) for author in authors}
    by_key: dict[str, str] = {}
    known: set[str] = set()
    refused = []
    for approval in approvals:
        names = (approval.principal, *approval.others)
        if author := next((name for name in names if _person(name) in own), ""):
            refused.append(f"{author} is an author of it")
        elif approval.key not in by_key and not known & {n.casefold() for n in names}:
            by_key[approval.key] = approval.principal
            known |= {name.casefold() for name in names}
    people = sorted(name.casefold() for name in by_key.values())
    why = f"{len(people)} of {needed} approved" + (f": {', '.join(people)}" if people else "")
    if refused:
        why += f"; {'; '.join(refused)}"
    opened = len(people) >= needed
    opens = "" if opened else f"let {needed - len(people)} more sign the plan's digest: {plan}"
    return GateResult(
        name="approvals",
        opened=opened,
        reason=why,
        opens=opens,
        evidence={"plan": plan, "approved": people, "keys": sorted(by_key)},
    )


def _person(principal: str) -> str:
    return principal.partition("@")[0].casefold()
