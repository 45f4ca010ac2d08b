"""Carry out the items of a plan wave by wave: side by side within a rank of kinds, rank after rank."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import define, field

from infometis_sdk.engine.established import wait_established
from infometis_sdk.engine.marks import manager_of
from infometis_sdk.engine.order import apply_rank, delete_rank
from infometis_sdk.engine.parallel import parallel
from infometis_sdk.engine.perform import perform
from infometis_sdk.engine.release import Release
from infometis_sdk.model.report import Outcome
from infometis_sdk.model.run import Event, Run

if TYPE_CHECKING:
    from infometis_sdk.engine.lease import Writer
    from infometis_sdk.engine.live import Live
    from infometis_sdk.model.plan import Plan, PlanItem
    from infometis_sdk.model.reference import ObjectRef
    from infometis_sdk.ports.cluster import Cluster

__all__ = (
    "REMOVING",
    "Progress",
    "await_gone",
    "note",
    "perform_wave",
    "skip_stages",
    "skipped",
    "waves",
)

Object = Mapping[str, Any]

REMOVING = frozenset({"delete", "release"})
"""Actions that take away; they come last, in the reverse order of kinds."""


@define
class Progress:
    """What one apply knows while it runs."""

    outcomes: list[Outcome] = field(factory=list)
    failed_services: set[str] = field(factory=set)
    warnings: list[str] = field(factory=list)
    release: Release | None = None


def waves(
    work: Iterable[tuple[PlanItem, Object]],
) -> list[list[tuple[PlanItem, Object]]]:
    """Group items that may be written side by side: by rank of their kind; deletions last, reversed."""
    waves: dict[tuple[int, int], list[tuple[PlanItem, Object]]] = {}
    for item, payload in work:
        removing = item.action in REMOVING
        if item.action == "resize":
            rank = apply_rank(item.ref)  # claims come before the workload that mounts them
        else:
            rank = delete_rank(item.ref) if removing else apply_rank(item.ref)
        waves.setdefault((int(removing), rank), []).append((item, payload))
    return [waves[key] for key in sorted(waves)]


def perform_wave(
    cluster: Cluster,
    writer: Writer,
    plan: Plan,
    wave: Sequence[tuple[PlanItem, Object]],
    live: Live,
    state: Progress,
    run: Run,
) -> None:
    manager = manager_of(plan.stack_id)
    removing = wave[0][0].action in REMOVING
    if removing and state.failed_services:
        # Prune only after everything else went well: a half-applied stack keeps what it had.
        for item, _ in wave:
            note(skipped(item, "something else failed first"), state, run)
        return
    ready: list[tuple[PlanItem, Object]] = []
    for item, payload in wave:
        if item.service in state.failed_services:
            note(skipped(item, f"an earlier object of {item.service} failed"), state, run)
        else:
            ready.append((item, payload))

    def one(pair: tuple[PlanItem, Object]) -> Outcome:
        item, payload = pair
        have = live.get(item.ref)
        if item.action == "resize":
            have = cluster.get(item.ref, run)
        return perform(cluster, writer.write, item, payload, have, manager, run)

    parallel(one, ready, run, "applying", on_result=lambda outcome: note(outcome, state, run))
    early = [
        item.ref
        for item, _ in ready
        if not removing and item.ref.kind in ("Namespace", "CustomResourceDefinition")
    ]
    if early and not state.failed_services:
        wait_established(cluster, early, run)
    if removing:
        await_gone(cluster, [(i.ref, i.uid) for i, _ in ready if i.action == "delete"], run)


def await_gone(cluster: Cluster, going: Sequence[tuple[ObjectRef, str]], run: Run) -> None:
    """Wait until deleted objects are gone, naming the finalizers that hold one up."""
    patience = time.monotonic() + 60
    left = list(going)
    while left:
        found = parallel(lambda pair: cluster.get(pair[0], run), left, run, "waiting for deletions")
        left = [
            pair
            for pair, obj in zip(left, found, strict=True)
            if obj is not None and obj["metadata"]["uid"] == pair[1]
        ]
        if left and time.monotonic() > patience:
            held = [
                f"{ref} (finalizers: {', '.join(obj['metadata'].get('finalizers') or ['none'])})"
                for (ref, _), obj in zip(left, (cluster.get(r, run) for r, _ in left), strict=True)
                if obj is not None
            ]
            run.emit(
                Event(name="delete", state="info", detail=f"still waiting for {', '.join(held)}")
            )
            patience = time.monotonic() + 60
        if left:
            run.sleep(0.3, f"waiting for {left[0][0]} to go")


def skipped(item: PlanItem, why: str) -> Outcome:
    return Outcome(
        ref=item.ref, service=item.service, action=item.action, result="skipped", detail=why
    )


def skip_stages(stages: Sequence[Sequence[PlanItem]], state: Progress) -> None:
    names = ", ".join(sorted(name or "the stack" for name in state.failed_services))
    for stage in stages:
        state.outcomes += [skipped(item, f"{names} failed first") for item in stage]


def note(outcome: Outcome, state: Progress, run: Run) -> None:
    state.outcomes.append(outcome)
    if outcome.result == "failed":
        state.failed_services.add(outcome.service)
    run.emit(
        Event(
            name="apply object",
            subject=str(outcome.ref),
            state="failed" if outcome.result == "failed" else "finished",
            detail=outcome.detail,
            done=len(state.outcomes),
            unit="objects",
        )
    )
