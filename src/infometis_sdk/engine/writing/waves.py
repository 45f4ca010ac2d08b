"""Carry out the items of a plan in waves: side by side within a rank of kinds, rank after rank."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk.engine.objects.order import apply_rank, delete_rank
from infometis_sdk.engine.planning.held import held_up
from infometis_sdk.engine.planning.occupied import still_needed
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.engine.writing.established import wait_established
from infometis_sdk.engine.writing.job import REMOVING, Job, skipped
from infometis_sdk.engine.writing.perform import perform
from infometis_sdk.errors import DeadlineError
from infometis_sdk.model.plan import PlanItem
from infometis_sdk.model.run import Event

if TYPE_CHECKING:
    from infometis_sdk.engine.reading.live import Live
    from infometis_sdk.engine.writing.lease import Writer
    from infometis_sdk.model.report import Outcome

__all__ = (
    "GONE_SECONDS",
    "Object",
    "Work",
    "perform_wave",
    "waves",
)

Object = Mapping[str, Any]
Work = tuple[PlanItem, Object]

GONE_SECONDS = 300.0
"""How long a deleted object is waited for: pods get 30 s to end, some databases minutes."""

_HEARTBEAT = 10.0
_HOLDERS = ("Namespace", "CustomResourceDefinition")


def waves(work: Iterable[Work]) -> list[list[Work]]:
    """Group items that may be written side by side, by the rank of their kind.

    Deletions come last and in reverse; those of autoscalers come first.
    """
    found: dict[tuple[int, int], list[Work]] = {}
    for item, payload in work:
        removing = item.action in REMOVING
        place = -1 if item.ahead else int(removing)
        # Claims that grow come before the workload that mounts them, as claims that are made do.
        rank = delete_rank(item.ref) if removing else apply_rank(item.ref)
        found.setdefault((place, rank), []).append((item, payload))
    return [found[key] for key in sorted(found)]


def perform_wave(job: Job, writer: Writer, wave: Sequence[Work], live: Live) -> None:
    """Write the items of one wave side by side, and wait where the next wave builds on them.

    Raises:
        LockedError: the Lease was lost.
        UnreachableError: the API server went away.
        NotReadyError: a Namespace or a CustomResourceDefinition did not become usable.
        DeadlineError, CancelledError: see :meth:`Run.check`.

    """
    ready: list[Work] = []
    for item, payload in wave:
        why = _held_back(job, item)
        if why:
            job.note(skipped(item, why))
        else:
            ready.append((item, payload))

    def one(pair: Work) -> Outcome:
        item, payload = pair
        have = live.get(item.ref)
        if item.action == "resize":
            # Claims of a StatefulSet carry no label of ours, so no LIST has found them.
            have = job.cluster.get(item.ref, job.run)
        if item.action == "delete" and have is not None and item.ref.kind in _HOLDERS:
            why = still_needed(job.cluster, have, job.plan.stack_id, job.run)
            if why:
                return attrs.evolve(skipped(item, why), result="kept")
        return perform(
            job.cluster, writer.write, item, payload, have, manager=job.manager, run=job.run
        )

    if wave[0][0].action in REMOVING:
        outcomes = parallel(one, ready, job.run, "deleting")
        held = _await_gone(job, [(i, o) for (i, _), o in zip(ready, outcomes, strict=True)])
        for outcome in outcomes:
            why = held.get(str(outcome.ref), "")
            job.note(attrs.evolve(outcome, result="failed", detail=why) if why else outcome)
        return
    parallel(one, ready, job.run, "applying", on_result=job.note)
    early = [item.ref for item, _ in ready if item.ref.kind in _HOLDERS]
    if early and not job.progress.failed_services:
        wait_established(job.cluster, early, job.run)


def _held_back(job: Job, item: PlanItem) -> str:
    """Return why an item is not even tried."""
    failed = job.progress.failed_services
    if item.action not in REMOVING:
        if item.service in failed:
            return f"an earlier object of {item.service or 'the stack'} failed"
        lost = sorted(failed & _needed(job.plan.needs, item.service))
        return f"it needs {', '.join(lost)}, of which something failed" if lost else ""
    if failed:
        # Prune only after everything else went well: a half-applied stack keeps what it had.
        return "something else failed first"
    if job.progress.failed_removals and item.ref.kind in _HOLDERS:
        return "something that it may hold could not be deleted"
    return ""


def _needed(needs: Mapping[str, Sequence[str]], service: str) -> set[str]:
    """Return all services that one needs, directly or not."""
    found: set[str] = set()
    todo = [service]
    while todo:
        new = set(needs.get(todo.pop(), ())) - found
        found |= new
        todo += new
    return found


def _await_gone(job: Job, done: Sequence[tuple[PlanItem, Outcome]]) -> dict[str, str]:
    """Wait until deleted objects are gone; return what is still there, and what holds it up."""
    cluster, run = job.cluster, job.run
    left = [item for item, outcome in done if outcome.result == "deleted" and item.uid]
    end, told = time.monotonic() + GONE_SECONDS, time.monotonic() + _HEARTBEAT
    while left:
        found = parallel(
            lambda item: cluster.get(item.ref, run), left, run, "waiting for deletions"
        )
        there = [
            (item, obj)
            for item, obj in zip(left, found, strict=True)
            if obj is not None and obj["metadata"]["uid"] == item.uid
        ]
        left = [item for item, _ in there]
        held = {str(item.ref): held_up(obj) for item, obj in there}
        if not left or time.monotonic() > end:
            return held
        if time.monotonic() > told:
            told += _HEARTBEAT
            run.emit(
                Event(name="delete object", subject=next(iter(held)), detail=held[next(iter(held))])
            )
        try:
            run.sleep(0.2, f"waiting for {left[0].ref} to go")
        except DeadlineError as error:
            text = "; ".join(f"{ref} {why}" for ref, why in held.items())
            msg = f"no time left: {text}"
            raise DeadlineError(msg, hint="mend what holds it up and run this again") from error
    return {}
