"""Taking a stack down: its objects go; volumes and credentials stay unless told otherwise."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping
from typing import Any

import attrs

from infometis_sdk.engine.credentials import key_ref
from infometis_sdk.engine.fingerprint import fingerprint
from infometis_sdk.engine.inventory import Inventory, inventory_manifest
from infometis_sdk.engine.inventory_id import CLUSTER_NAMESPACE, CLUSTER_PARENT
from infometis_sdk.engine.lease import Writer
from infometis_sdk.engine.live import Live, observe
from infometis_sdk.engine.marks import ROLE, manager_of
from infometis_sdk.engine.parallel import parallel
from infometis_sdk.engine.perform import perform
from infometis_sdk.engine.plan import cluster_uid, digest_of
from infometis_sdk.engine.prune import prune
from infometis_sdk.engine.volumes import claims_of
from infometis_sdk.engine.waves import await_gone, waves
from infometis_sdk.errors import (
    ApplyError,
    ClusterError,
    NotFoundError,
    PlanRefusedError,
    WrongClusterError,
)
from infometis_sdk.model.plan import Plan, PlanItem
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.report import ApplyReport, Outcome
from infometis_sdk.model.run import Event, Run
from infometis_sdk.model.stack import ManifestSet
from infometis_sdk.ports.cluster import Cluster, Write

__all__ = ("plan_teardown", "tear_down")


def plan_teardown(
    cluster: Cluster, manifests: ManifestSet, run: Run, *, delete_data: bool = False, pinned: str = ""
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
    if pinned and uid and uid != pinned:
        msg = f"this cluster is {uid}, but the stack lives on {pinned}"
        raise WrongClusterError(msg, hint="set the kubeconfig or its context right")
    live = observe(cluster, manifests.stack_id, manifests.namespace, (), run)
    nothing = attrs.evolve(manifests, manifests=(), credentials=(), services={})
    data = _data(cluster, manifests, live, run) if delete_data else []
    pruned = prune(
        cluster,
        nothing,
        live,
        {},
        (str(item.ref) for item in data) if delete_data else (),
        run,
        teardown=True,
        ignore={item.ref.key for item in data},
    )
    items = [*data, *pruned.items]
    made = Plan(
        stack_id=manifests.stack_id,
        environment=manifests.environment.name,
        namespace=manifests.namespace,
        cluster_uid=uid,
        items=tuple(items),
        kept=pruned.kept,
        problems=pruned.problems,
        incomplete=live.incomplete,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    return attrs.evolve(made, digest=digest_of(made))


def _data(cluster: Cluster, manifests: ManifestSet, live: Live, run: Run) -> list[PlanItem]:
    """Return the deletions of what holds data: claims that our sets made, and credentials."""
    claims = live.inventory.claims if live.inventory else ()
    found: list[Mapping[str, Any]] = []
    if claims:
        found += [claim for _, claim in claims_of(cluster, manifests.namespace, claims, run)]
    found += [
        obj
        for obj in live.of_kind("Secret")
        if (obj["metadata"].get("labels") or {}).get(ROLE) == "credential"
    ]
    return [
        PlanItem(
            action="delete",
            ref=ObjectRef.of(obj),
            service=(obj["metadata"].get("labels") or {}).get("app.kubernetes.io/name", ""),
            state="pending",
            uid=obj["metadata"]["uid"],
            fingerprint=fingerprint(obj),
        )
        for obj in found
    ]


def tear_down(cluster: Cluster, plan: Plan, run: Run, *, delete_data: bool = False) -> ApplyReport:
    """Do what :func:`plan_teardown` found; may be repeated until nothing is left.

    Raises:
        PlanRefusedError: the plan is blocked.
        LockedError: another writer holds the stack.
        ApplyError: something could not be deleted; ``.report`` says what.

    """
    begun = time.monotonic()
    if plan.blocked:
        msg = "the stack may not be taken down: " + "; ".join(plan.blocked)
        raise PlanRefusedError(msg, plan=plan)
    outcomes: list[Outcome] = []

    def note(outcome: Outcome) -> None:
        outcomes.append(outcome)
        run.emit(
            Event(
                name="delete object",
                subject=str(outcome.ref),
                state="failed" if outcome.result == "failed" else "finished",
                detail=outcome.detail,
                done=len(outcomes),
                total=len(plan.items),
                unit="objects",
            )
        )

    live = observe(cluster, plan.stack_id, plan.namespace, ((i.ref, i.singleton) for i in plan.items), run)
    if live.inventory is None and not plan.items:
        return ApplyReport(stack_id=plan.stack_id, plan_digest=plan.digest, outcomes=())
    home_goes = any(
        i.ref.kind == "Namespace" and i.ref.name == plan.namespace and i.action == "delete"
        for i in plan.items
    )
    lease = None
    with Writer(cluster, plan.stack_id, plan.namespace, run) as writer:
        manager = manager_of(plan.stack_id)

        def one(item: PlanItem) -> Outcome:
            return perform(
                cluster, writer.write, item, item.payload, live.get(item.ref), manager, run
            )

        for wave in waves((item, item.payload) for item in plan.items):
            parallel(one, [item for item, _ in wave], run, "deleting", on_result=note)
            await_gone(cluster, [(i.ref, i.uid) for i, _ in wave if i.action == "delete"], run)
        failed = [o for o in outcomes if o.result == "failed"]
        if not failed and not home_goes:
            _bookkeeping(writer, plan, live, run, everything=delete_data and not plan.kept)
            if delete_data and not plan.kept:
                lease = writer.ref
        if not failed:
            _leave_shared(cluster, writer, plan, run)
    if lease is not None:
        _quietly(cluster.write, Write(verb="delete", ref=lease), run)
    report = ApplyReport(
        stack_id=plan.stack_id,
        plan_digest=plan.digest,
        outcomes=tuple(outcomes),
        seconds=time.monotonic() - begun,
        warnings=tuple(f"kept: {reason}" for reason in plan.kept),
    )
    if report.failed:
        msg = f"{len(report.failed)} objects could not be deleted: " + "; ".join(
            f"{o.ref}: {o.detail}" for o in report.failed[:5]
        )
        raise ApplyError(msg, report=report, hint="mend the cause and run the same command again")
    return report


def _quietly(send: Any, write: Write, run: Run) -> None:  # noqa: ANN401 - a door for writes
    try:
        send(write, run)
    except (NotFoundError, ClusterError):
        return


def _bookkeeping(writer: Writer, plan: Plan, live: Live, run: Run, *, everything: bool) -> None:
    """Shrink the inventory, or remove every trace where nothing is left to remember."""
    inventory = live.inventory
    if inventory is None:
        return
    if not everything:
        kept: Inventory = attrs.evolve(inventory, kinds=inventory.kinds if plan.kept else ())
        body = inventory_manifest(kept, str(inventory.volatile.get("sdk", "0")))
        writer.write(
            Write(
                verb="apply",
                ref=ObjectRef.of(body),
                body=body,
                manager=manager_of(plan.stack_id),
                force=True,
            ),
            run,
        )
        return
    for obj in live.of_kind("ConfigMap"):
        if (obj["metadata"].get("labels") or {}).get(ROLE) == "release":
            _quietly(writer.write, Write(verb="delete", ref=ObjectRef.of(obj)), run)
    _quietly(writer.write, Write(verb="delete", ref=key_ref(plan.stack_id, plan.namespace)), run)
    if live.inventory_object is not None:
        _quietly(writer.write, Write(verb="delete", ref=ObjectRef.of(live.inventory_object)), run)


def _leave_shared(cluster: Cluster, writer: Writer, plan: Plan, run: Run) -> None:
    """Take this stack off the list of users of the cluster's singletons."""
    ref = ObjectRef(
        api_version="v1", kind="ConfigMap", namespace=CLUSTER_NAMESPACE, name=CLUSTER_PARENT
    )
    try:
        parent = cluster.get(ref, run)
    except ClusterError:
        return  # a guest may not look there, and put nothing there
    if parent and plan.stack_id in (parent.get("data") or {}):
        _quietly(
            writer.write,
            Write(
                verb="merge-patch",
                ref=ref,
                body={"data": {plan.stack_id: None}},
                manager=manager_of(plan.stack_id),
            ),
            run,
        )
