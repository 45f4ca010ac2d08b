"""Plan -> ApplyReport: the only writer.

The order of things is what makes a crash at any point harmless:
the home namespace, the Lease, the pending Release, the inventory (written ahead),
the credentials (created if absent), the objects in stages, the deletions,
the inventory (shrunk) and the Release's end.
Every step may be repeated: kill it anywhere, run it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import attrs

from infometis_sdk.engine.bookkeeping import (
    close_release,
    inventory_ahead,
    open_release,
    write_inventory,
    write_shared,
)
from infometis_sdk.engine.established import wait_established
from infometis_sdk.engine.fill import Materials, ensure_credentials, payload_of
from infometis_sdk.engine.fingerprint import fingerprint
from infometis_sdk.engine.inventory import kinds_of
from infometis_sdk.engine.lease import Writer
from infometis_sdk.engine.live import Live, observe
from infometis_sdk.engine.marks import manager_of
from infometis_sdk.engine.perform import perform
from infometis_sdk.engine.plan import cluster_uid, digest_of
from infometis_sdk.engine.release import read_releases
from infometis_sdk.engine.waves import REMOVING, Progress, note, perform_wave, skip_stages, waves
from infometis_sdk.errors import (
    ApplyError,
    InfometisError,
    PlanRefusedError,
    StalePlanError,
    WrongClusterError,
)
from infometis_sdk.model.report import ApplyReport

if TYPE_CHECKING:
    from infometis_sdk.model.plan import Plan, PlanItem
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("Materials", "apply")

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
        LockedError: another writer holds the stack, or took it.
        ApplyError: some objects were not applied; ``.report`` says which.

    """
    begun = time.monotonic()
    _refuse(plan, confirm)
    _same_cluster(cluster, plan, run)
    _check_materials(plan, materials)
    if before:
        before(plan)
    state = Progress()
    if plan.empty:
        return _report(plan, state, begun)
    _home(cluster, plan, state, run)
    stages = _stages(plan)
    for number, stage in enumerate(stages):
        first, last = number == 0, number == len(stages) - 1
        with Writer(cluster, plan.stack_id, plan.namespace, run) as writer:
            try:
                _stage(cluster, writer, plan, materials, stage, state, run, first=first, last=last)
            except InfometisError:
                close_release(cluster, writer, plan, state, "failed")
                raise
        if state.failed_services and not last:
            skip_stages(stages[number + 1 :], state)
            with Writer(cluster, plan.stack_id, plan.namespace, run) as writer:
                close_release(cluster, writer, plan, state, "failed")
            break
        if not last and gate:
            ready_first = _gates(stages[number + 1], stage)
            if ready_first:
                gate(ready_first)
    report = _report(plan, state, begun)
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


def _same_cluster(cluster: Cluster, plan: Plan, run: Run) -> None:
    if plan.empty or not plan.cluster_uid:
        return
    actual = cluster_uid(cluster, run)
    if actual != plan.cluster_uid:
        msg = f"the plan was made for cluster {plan.cluster_uid}, this is {actual or 'unknown'}"
        raise WrongClusterError(msg, hint="set the kubeconfig or its context right, or plan again")


def _check_materials(plan: Plan, materials: Materials) -> None:
    """Refuse before the first write what would be missing in the middle."""
    for item in plan.items:
        if item.ref.kind == "Secret" and item.action not in REMOVING:
            known = materials.secrets.get(item.ref.key)
            if known is None:
                msg = f"the plan applies {item.ref}, but the project no longer renders it"
                raise StalePlanError(msg, moved=(item.ref,), hint="make the plan again")


def _home(cluster: Cluster, plan: Plan, state: Progress, run: Run) -> None:
    """Make the home namespace first: the Lease lives in it. Two writers may both do so."""
    for item in plan.items:
        if (
            item.ref.kind == "Namespace"
            and item.ref.name == plan.namespace
            and item.action == "create"
        ):
            outcome = perform(
                cluster, cluster.write, item, item.payload, None, manager_of(plan.stack_id), run
            )
            note(outcome, state, run)
            if outcome.result == "failed":
                msg = f"the namespace {plan.namespace} could not be made: {outcome.detail}"
                raise ApplyError(msg, report=_report(plan, state, time.monotonic()))
            wait_established(cluster, (item.ref,), run)


def _stages(plan: Plan) -> list[list[PlanItem]]:
    """Split a plan into stages by needs; deletions belong to the last one."""
    home = [
        i
        for i in plan.items
        if i.ref.kind == "Namespace" and i.ref.name == plan.namespace and i.action == "create"
    ]
    rest = [item for item in plan.items if item not in home]
    level = {name: n for n, names in enumerate(plan.stages) for name in names}
    count = max(len(plan.stages), 1)
    stages: list[list[PlanItem]] = [[] for _ in range(count)]
    for item in rest:
        if item.action in REMOVING:
            stages[-1].append(item)
        elif item.ref.kind in ("Namespace", "CustomResourceDefinition"):
            stages[0].append(item)
        else:
            stages[level.get(item.service, 0)].append(item)
    kept = [stage for stage in stages if stage]
    return kept or [[]]


def _gates(coming: Sequence[PlanItem], done: Sequence[PlanItem]) -> list[str]:
    """Return the services to wait for: those just installed, where new ones come next."""
    if not any(item.action == "create" for item in coming):
        return []
    return sorted({item.service for item in done if item.action == "create" and item.service})


def _stage(
    cluster: Cluster,
    writer: Writer,
    plan: Plan,
    materials: Materials,
    stage: Sequence[PlanItem],
    state: Progress,
    run: Run,
    *,
    first: bool,
    last: bool,
) -> None:
    live = observe(
        cluster,
        plan.stack_id,
        plan.namespace,
        ((item.ref, item.singleton) for item in stage),
        run,
    )
    _fresh(stage, live)
    inventory = inventory_ahead(plan, live, materials)
    if first:
        releases = read_releases(live.of_kind("ConfigMap"))
        state.release = open_release(writer, plan, materials, releases, inventory, run)
        inventory = attrs.evolve(inventory, release=state.release.number)
        write_inventory(writer, inventory.with_kinds(kinds_of(plan.members)), materials, run)
        write_shared(writer, plan, run)
    hashes = ensure_credentials(cluster, writer, plan, materials, live, run)
    payloads = [payload_of(item, materials, hashes, plan) for item in stage]
    work = list(zip(stage, payloads, strict=True))
    for wave in waves(work):
        perform_wave(cluster, writer, plan, wave, live, state, run)
    if last:
        # The record of what this apply meant for the next prune: only once nothing failed.
        failed = [o for o in state.outcomes if o.result in ("failed", "skipped")]
        if not failed and not plan.scope:
            kinds = kinds_of(plan.members)
            kept = [k for k in inventory.kinds if plan.kept or plan.incomplete]
            number = state.release.number if state.release else inventory.release
            write_inventory(
                writer,
                attrs.evolve(inventory, kinds=(*kinds, *kept), release=number),
                materials,
                run,
            )
        close_release(cluster, writer, plan, state, "failed" if failed else "deployed")


def _fresh(stage: Sequence[PlanItem], live: Live) -> None:
    """Refuse where anything that the plan rests on has moved."""
    moved = []
    for item in stage:
        have = live.get(item.ref)
        if item.action == "resize":
            continue  # claims carry no label of ours; the write itself re-reads
        if (item.fingerprint and have is None and item.action not in REMOVING) or (item.fingerprint and have is not None and fingerprint(have) != item.fingerprint) or (item.action == "create" and have is not None):
            moved.append(item.ref)
    if moved:
        names = ", ".join(str(ref) for ref in moved[:5])
        msg = f"{len(moved)} objects moved since the plan was made: {names}"
        raise StalePlanError(msg, moved=moved, hint="plan again and look at what changed")


def _report(plan: Plan, state: Progress, begun: float) -> ApplyReport:
    return ApplyReport(
        stack_id=plan.stack_id,
        plan_digest=plan.digest,
        outcomes=tuple(state.outcomes),
        release=state.release.number if state.release else 0,
        seconds=time.monotonic() - begun,
        warnings=tuple(state.warnings),
    )
