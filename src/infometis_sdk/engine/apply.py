"""Plan -> ApplyReport: the only writer.

The order of things is what makes a crash at any point harmless:
the home namespace, the Lease, the pending Release, the inventory (written ahead),
the credentials (created if absent), the objects in stages, the deletions,
the inventory (shrunk) and the Release's end.
Every step may be repeated: kill it anywhere, run it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from infometis_sdk.engine.objects.order import early
from infometis_sdk.engine.plan import digest_of
from infometis_sdk.engine.planning.stale import refuse_moved
from infometis_sdk.engine.reading.cluster_identity import cluster_uid, differ
from infometis_sdk.engine.reading.live import observe
from infometis_sdk.engine.writing.bookkeeping import (
    close_release,
    inventory_ahead,
    open_release,
    write_inventory,
)
from infometis_sdk.engine.writing.credentials import reader_hash
from infometis_sdk.engine.writing.established import wait_established
from infometis_sdk.engine.writing.fill import ensure_credentials, payload_of, prepare
from infometis_sdk.engine.writing.inventory import kinds_of
from infometis_sdk.engine.writing.job import REMOVING, Job, Materials
from infometis_sdk.engine.writing.lease import Writer
from infometis_sdk.engine.writing.perform import perform
from infometis_sdk.engine.writing.predicted import ask_again
from infometis_sdk.engine.writing.release import read_releases, record_digest
from infometis_sdk.engine.writing.renewals import prepare_renewals, renew
from infometis_sdk.engine.writing.shared import write_singletons
from infometis_sdk.engine.writing.waves import perform_wave, waves
from infometis_sdk.errors import (
    ApplyError,
    InfometisError,
    PlanRefusedError,
    RefusedError,
    StalePlanError,
    WrongClusterError,
)
from infometis_sdk.model.report import ApplyReport
from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from infometis_sdk.model.plan import Plan, PlanItem
    from infometis_sdk.model.reference import ObjectRef
    from infometis_sdk.model.release import Release
    from infometis_sdk.ports.cluster import Cluster

__all__ = (
    "Gate",
    "Materials",
    "apply",
)

Gate = Callable[[Sequence[str]], None]


def apply(
    cluster: Cluster,
    plan: Plan,
    materials: Materials,
    run: Run,
    *,
    confirm: str = "",
    gate: Gate | None = None,
    before: Callable[[Plan], None] | None = None,
) -> ApplyReport:
    """Do what the plan says, exactly, or refuse.

    Args:
        cluster: the API.
        plan: from :func:`infometis_sdk.engine.plan.plan`, in this process or from a file.
        materials: what the plan refers to.
        run: deadline, events, cancel token.
        confirm: the plan's digest, where circuit breakers demand it.
        gate: called between two stages of a first install with the services that must be ready;
            the Lease is given back meanwhile.
        before: told of the plan after every refusal has been decided.

    Raises:
        PlanRefusedError: the plan is blocked, or not confirmed.
        StalePlanError: the plan was edited, or the cluster moved.
        WrongClusterError: this is another cluster.
        SecretError: a source of a credential is missing; nothing was written.
        LockedError: another writer holds the stack, or took it.
        ApplyError: some objects were not applied; ``.report`` says which.

    """
    begun = time.monotonic()
    job = Job(cluster=cluster, plan=plan, run=run)
    _refuse(plan, confirm)
    _same_cluster(job)
    _check_materials(plan, materials)
    if plan.empty and not plan.unfinished:
        if before:
            before(plan)
        return _report(job, begun)
    prepared = prepare(job, materials)
    renewed = prepare_renewals(job, materials)
    if before:
        before(plan)
    _home(job, begun)
    stages = _stages(plan)
    for number, stage in enumerate(stages):
        last = number == len(stages) - 1
        with Writer(cluster, plan.stack_id, plan.namespace, run) as writer:
            try:
                _stage(job, writer, materials, prepared, stage, last=last)
                if last:
                    renew(job, writer, renewed)
                if last:
                    status = "failed" if job.progress.unfinished else "deployed"
                    close_release(job, writer, materials, status)
            except InfometisError:
                close_release(job, writer, materials, "failed")
                raise
        if gate and not last:
            _await_needs(job, gate, materials, _gates(job, stages[number + 1], stage))
    return _ended(job, begun)


def _await_needs(job: Job, gate: Gate, materials: Materials, services: Sequence[str]) -> None:
    """Wait for what the next stage needs; where it does not become ready, the Release says so."""
    if not services:
        return
    try:
        gate(services)
    except InfometisError:
        with Writer(job.cluster, job.plan.stack_id, job.plan.namespace, Run.within(10)) as writer:
            close_release(job, writer, materials, "failed")
        raise


def _ended(job: Job, begun: float) -> ApplyReport:
    report = _report(job, begun)
    if report.failed:
        count = len(report.failed)
        msg = f"{count} of {len(report.outcomes)} objects were not applied: " + "; ".join(
            f"{o.ref}: {o.detail}" for o in report.failed[:5]
        )
        raise ApplyError(msg, report=report, hint="mend the cause and run the same command again")
    return report


def _refuse(plan: Plan, confirm: str) -> None:
    if digest_of(plan) != plan.digest:
        msg = "the plan was changed after it was made: its digest does not fit"
        raise StalePlanError(msg, hint="make the plan again")
    if plan.blocked:
        lines = "\n".join(f"  - {reason}" for reason in plan.blocked)
        msg = f"the plan for {plan.environment} may not be applied:\n{lines}"
        raise PlanRefusedError(msg, plan=plan, hint="see `infometis plan`; nothing was changed")
    if plan.confirm and confirm != plan.digest:
        msg = f"the plan needs confirmation: {plan.confirm}"
        raise PlanRefusedError(
            msg, plan=plan, hint=f"look at it, then repeat with --confirm {plan.digest}"
        )


def _same_cluster(job: Job) -> None:
    plan = job.plan
    if not plan.cluster_uid or (plan.empty and not plan.unfinished):
        return
    actual = cluster_uid(job.cluster, job.run)
    if differ(plan.cluster_uid, actual):
        msg = f"the plan was made for cluster {plan.cluster_uid}, this is {actual}"
        raise WrongClusterError(msg, hint="set the kubeconfig or its context right, or plan again")


def _check_materials(plan: Plan, materials: Materials) -> None:
    """Refuse before the first write what would be missing in the middle, or recorded wrongly."""
    for item in plan.items:
        if item.ref.kind == "Secret" and item.action not in REMOVING:
            known = materials.secrets.get(item.ref.key)
            if known is None:
                msg = f"the plan applies {item.ref}, but the project no longer renders it"
                raise StalePlanError(msg, moved=(item.ref,), hint="make the plan again")
    if plan.record and plan.record != record_digest(materials.record.services):
        msg = "the project's core or its values are others than when the plan was made"
        raise StalePlanError(msg, hint="make the plan again and look at what changed")


def _is_home(item: PlanItem, plan: Plan) -> bool:
    named = item.ref.kind == "Namespace" and item.ref.name == plan.namespace
    return named and item.action == "create"


def _home(job: Job, begun: float) -> None:
    """Make the home namespace first: the Lease lives in it. Two writers may both do so."""
    for item in job.plan.items:
        if _is_home(item, job.plan):
            outcome = perform(
                job.cluster,
                job.cluster.write,
                item,
                item.payload,
                None,
                manager=job.manager,
                run=job.run,
            )
            job.note(outcome)
            if outcome.result == "failed":
                msg = f"the namespace {job.plan.namespace} could not be made: {outcome.detail}"
                raise ApplyError(msg, report=_report(job, begun))
            wait_established(job.cluster, (item.ref,), job.run)


def _stages(plan: Plan) -> list[list[PlanItem]]:
    """Split a plan into stages by needs; deletions belong to the last one, but for a few."""
    level = {name: n for n, names in enumerate(plan.stages) for name in names}
    stages: list[list[PlanItem]] = [[] for _ in range(max(len(plan.stages), 1))]
    for item in plan.items:
        if _is_home(item, plan):
            continue
        if item.ahead or (early(item.ref) and item.action not in REMOVING):
            stages[0].append(item)
        elif item.action in REMOVING:
            stages[-1].append(item)
        else:
            stages[level.get(item.service, 0)].append(item)
    kept = [stage for stage in stages if stage]
    return kept or [[]]


def _gates(job: Job, coming: Sequence[PlanItem], done: Sequence[PlanItem]) -> list[str]:
    """Return the services to wait for: those just installed that newly installed ones need."""
    needed = {
        name
        for item in coming
        if item.action == "create"
        for name in job.plan.needs.get(item.service, ())
    }
    installed = {item.service for item in done if item.action == "create"}
    return sorted((needed & installed) - job.progress.failed_services)


def _stage(
    job: Job,
    writer: Writer,
    materials: Materials,
    prepared: Mapping[str, dict[str, bytes]],
    stage: Sequence[PlanItem],
    *,
    last: bool,
) -> None:
    plan, progress = job.plan, job.progress
    first = progress.release is None
    # What the first stage looks at is the whole plan: where anything moved, nothing is written.
    looked = [i for i in plan.items if not _is_home(i, plan)] if first else stage
    live = observe(
        job.cluster,
        plan.stack_id,
        plan.namespace,
        ((item.ref, item.singleton) for item in looked),
        job.run,
    )
    refuse_moved(looked, live)
    releases, damaged = read_releases(live.of_kind("ConfigMap"))
    if damaged:
        raise RefusedError("; ".join(damaged), hint="nothing was changed by this step")
    inventory = inventory_ahead(plan, live, materials.record.sdk)
    if first:
        progress.earlier = releases
        open_release(job, writer, materials, inventory)
    _only_one(job, releases)
    number = progress.release.number if progress.release else inventory.release
    inventory = attrs.evolve(inventory, release=number)
    if first:
        write_inventory(job, writer, inventory.with_kinds(kinds_of(plan.members)))
        if used := [*_singletons(plan), *_given_up(plan)]:
            write_singletons(job, writer, used)
    filling = ensure_credentials(job, writer, materials, live, prepared)
    progress.hashes |= {
        name: reader_hash(filling.key, {name: data}) for name, data in filling.data.items()
    }

    def carry_out(items: Iterable[PlanItem]) -> None:
        ended = progress.ended
        left = [item for item in items if item.ref.key not in ended]
        for wave in waves((item, payload_of(item, materials, filling)) for item in left):
            perform_wave(job, writer, wave, live)

    if first:
        carry_out(i for i in stage if early(i.ref) and i.action not in REMOVING)
        foretold = [item for item in plan.items if item.certainty == "predicted"]
        ask_again(job, [(item, payload_of(item, materials, filling)) for item in foretold])
    carry_out(stage)
    if last and not progress.unfinished and not plan.scope:
        # What the next prune looks at may shrink only now, since nothing failed.
        stays = plan.kept or plan.incomplete or any(o.result == "kept" for o in progress.outcomes)
        kinds = (*kinds_of(plan.members), *(inventory.kinds if stays else ()))
        write_inventory(job, writer, attrs.evolve(inventory, kinds=kinds))
        if _given_up(plan):
            write_singletons(job, writer, _singletons(plan))


def _singletons(plan: Plan) -> list[ObjectRef]:
    return [ref for ref, single in plan.members if single]


def _given_up(plan: Plan) -> list[ObjectRef]:
    return [item.ref for item in plan.items if item.singleton and item.action in REMOVING]


def _only_one(job: Job, releases: Sequence[Release]) -> None:
    """Refuse to go on where another apply came in while the Lease was given back."""
    mine = job.progress.release
    newest = max((r.number for r in releases), default=0)
    if mine is not None and newest > mine.number:
        msg = f"release {newest} was begun while this one, {mine.number}, waited"
        raise StalePlanError(msg, hint="plan again and look at what changed")


def _report(job: Job, begun: float) -> ApplyReport:
    progress = job.progress
    return ApplyReport(
        stack_id=job.plan.stack_id,
        plan_digest=job.plan.digest,
        outcomes=tuple(progress.outcomes),
        release=progress.release.number if progress.release else 0,
        seconds=time.monotonic() - begun,
        warnings=(*progress.warnings, *(f"kept: {reason}" for reason in job.plan.left)),
    )
