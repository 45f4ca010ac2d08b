"""Taking a stack down: its objects go; volumes and credentials stay unless told otherwise."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

import attrs

from infometis_sdk.engine.objects.marks import BUNDLE_OF, ROLE
from infometis_sdk.engine.plan import digest_of
from infometis_sdk.engine.planning.data import data_of
from infometis_sdk.engine.planning.prune import prune
from infometis_sdk.engine.planning.stale import refuse_moved
from infometis_sdk.engine.reading.cluster_identity import cluster_uid, differ
from infometis_sdk.engine.reading.live import Live, observe
from infometis_sdk.engine.writing.bookkeeping import write_inventory
from infometis_sdk.engine.writing.credentials import key_ref
from infometis_sdk.engine.writing.job import Job
from infometis_sdk.engine.writing.lease import Writer
from infometis_sdk.engine.writing.shared import leave_singletons
from infometis_sdk.engine.writing.waves import perform_wave, waves
from infometis_sdk.errors import (
    ApplyError,
    ClusterError,
    PlanRefusedError,
    StalePlanError,
    WrongClusterError,
)
from infometis_sdk.model.plan import Plan
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.report import ApplyReport
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Callable

    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("plan_teardown", "tear_down")


def plan_teardown(
    cluster: Cluster,
    manifests: ManifestSet,
    run: Run,
    *,
    delete_data: bool = False,
    pinned: str = "",
) -> Plan:
    """Find everything that goes when the stack goes; reads only.

    Args:
        cluster: the API.
        manifests: the stack (only its identity and policies count).
        run: deadline and cancel token.
        delete_data: volumes and credentials go too, and with them the inventory.
        pinned: UID of the cluster of the first apply, where it is known.

    Raises:
        WrongClusterError: it is another cluster than ``pinned``.

    """
    uid = cluster_uid(cluster, run)
    if differ(pinned, uid):
        msg = f"this cluster is {uid}, but the stack lives on {pinned}"
        raise WrongClusterError(msg, hint="set the kubeconfig or its context right")
    # The first apply may have ended when its Namespace was made and its inventory was not.
    homes = [(m.ref, m.singleton) for m in manifests.manifests if m.ref.kind == "Namespace"]
    live = observe(cluster, manifests.stack_id, manifests.namespace, homes, run)
    nothing = attrs.evolve(manifests, manifests=(), credentials=(), services={})
    data = data_of(cluster, live, run)
    gone = data if delete_data else []
    pruned = prune(
        cluster,
        nothing,
        live,
        {},
        run,
        teardown=True,
        keep_data=not delete_data,
        ignore={item.ref.key for item in gone},
    )
    kept = pruned.kept
    if not delete_data:
        kept += tuple(f"{item.ref}: data stays until it is deleted by name" for item in data)
    made = Plan(
        stack_id=manifests.stack_id,
        environment=manifests.environment.name,
        namespace=manifests.namespace,
        cluster_uid=uid,
        items=(*gone, *pruned.items),
        kept=kept,
        problems=pruned.problems,
        incomplete=live.incomplete,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    )
    return attrs.evolve(made, digest=digest_of(made))


def tear_down(
    cluster: Cluster,
    plan: Plan,
    run: Run,
    *,
    delete_data: bool = False,
    before: Callable[[Plan], None] | None = None,
) -> ApplyReport:
    """Do what :func:`plan_teardown` found; may be repeated until nothing is left.

    Args:
        cluster: the API.
        plan: from :func:`plan_teardown`.
        run: deadline and cancel token.
        delete_data: see :func:`plan_teardown`.
        before: told of the plan after every refusal has been decided.

    Raises:
        PlanRefusedError: the plan is blocked.
        StalePlanError: the plan was edited, or the cluster moved.
        WrongClusterError: this is another cluster.
        LockedError: another writer holds the stack.
        ApplyError: something could not be deleted; ``.report`` says what.

    """
    begun = time.monotonic()
    if digest_of(plan) != plan.digest:
        msg = "the plan was changed after it was made: its digest does not fit"
        raise StalePlanError(msg, hint="make the plan again")
    if plan.blocked:
        msg = "the stack may not be taken down: " + "; ".join(plan.blocked)
        raise PlanRefusedError(msg, plan=plan)
    actual = cluster_uid(cluster, run)
    if differ(plan.cluster_uid, actual):
        msg = f"the plan was made for cluster {plan.cluster_uid}, this is {actual}"
        raise WrongClusterError(msg, hint="set the kubeconfig or its context right, or plan again")
    job = Job(cluster=cluster, plan=plan, run=run)
    live = _look(job)
    if live.inventory is None and not plan.items:
        return _report(job, begun)
    if before:
        before(plan)
    home = [i for i in plan.items if i.ref.kind == "Namespace" and i.ref.name == plan.namespace]
    with Writer(cluster, plan.stack_id, plan.namespace, run) as writer:
        live = _mark_down(job, writer, _look(job))
        refuse_moved(plan.items, live)
        for wave in waves((item, item.payload) for item in plan.items if item not in home):
            perform_wave(job, writer, wave, live)
        unfinished = job.progress.unfinished
        if not unfinished:
            leave_singletons(job, writer)
        if home:
            # It takes inventory, Releases and the Lease with it, so it goes last of all.
            perform_wave(job, writer, [(item, item.payload) for item in home], live)
        elif not unfinished:
            nothing_left = delete_data or not data_of(cluster, live, run)
            _bookkeeping(job, writer, live, everything=nothing_left and not plan.kept)
    if not home and not job.progress.unfinished and not plan.kept:
        _quietly(job, Write(verb="delete", ref=writer.ref), None)
    report = _report(job, begun)
    if report.failed:
        msg = f"{len(report.failed)} objects could not be deleted: " + "; ".join(
            f"{o.ref}: {o.detail}" for o in report.failed[:5]
        )
        raise ApplyError(msg, report=report, hint="mend the cause and run the same command again")
    return report


def _look(job: Job) -> Live:
    plan = job.plan
    wanted = ((item.ref, item.singleton) for item in plan.items)
    return observe(job.cluster, plan.stack_id, plan.namespace, wanted, job.run)


def _mark_down(job: Job, writer: Writer, live: Live) -> Live:
    """Say first that the stack goes down, so that no guard takes what goes for drift."""
    if live.inventory is None:
        return live
    marked = live.inventory.going_down(dt.datetime.now(dt.UTC).isoformat(timespec="seconds"))
    write_inventory(job, writer, marked)
    return attrs.evolve(live, inventory=marked)


def _report(job: Job, begun: float) -> ApplyReport:
    return ApplyReport(
        stack_id=job.plan.stack_id,
        plan_digest=job.plan.digest,
        outcomes=tuple(job.progress.outcomes),
        seconds=time.monotonic() - begun,
        warnings=(*job.progress.warnings, *(f"kept: {reason}" for reason in job.plan.kept)),
    )


def _quietly(job: Job, write: Write, writer: Writer | None) -> None:
    send = writer.write if writer else job.cluster.write
    try:
        send(write, job.run)
    except ClusterError as error:
        job.progress.warnings.append(f"{write.ref} could not be removed: {error.message}")


def _bookkeeping(job: Job, writer: Writer, live: Live, *, everything: bool) -> None:
    """Shrink the inventory, or remove every trace where nothing is left to remember."""
    inventory = live.inventory
    if inventory is None:
        return
    if not everything:
        kept = attrs.evolve(inventory, kinds=inventory.kinds if job.plan.kept else ())
        write_inventory(job, writer, kept)
        return
    for obj in live.of_kind("ConfigMap"):
        if (obj["metadata"].get("labels") or {}).get(ROLE) in ("release", "release-part", "audit"):
            _quietly(job, Write(verb="delete", ref=ObjectRef.of(obj)), writer)
    stored = f"{BUNDLE_OF}={job.plan.stack_id}"
    for obj in job.cluster.list("v1", "ConfigMap", job.run, namespace=job.plan.namespace,
                                labels=stored, metadata_only=True):  # fmt: skip
        _quietly(job, Write(verb="delete", ref=ObjectRef.of(obj)), writer)
    key = key_ref(job.plan.stack_id, job.plan.namespace)
    if live.get(key) is not None:
        _quietly(job, Write(verb="delete", ref=key), writer)
    if live.inventory_object is not None:
        _quietly(job, Write(verb="delete", ref=ObjectRef.of(live.inventory_object)), writer)
