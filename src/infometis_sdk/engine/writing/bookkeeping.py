"""What an apply writes about itself: the inventory ahead of the objects, and the Release."""

from __future__ import annotations

import datetime as dt
import getpass
import socket
from typing import TYPE_CHECKING

import attrs

from infometis_sdk.engine.writing.inventory import Inventory, inventory_manifest
from infometis_sdk.engine.writing.release import (
    Release,
    latest,
    outdated,
    release_manifest,
    release_name,
)
from infometis_sdk.errors import ClusterError, ConflictError, InfometisError, LockedError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from infometis_sdk.engine.reading.live import Live
    from infometis_sdk.engine.writing.job import Job, Materials
    from infometis_sdk.engine.writing.lease import Writer
    from infometis_sdk.model.plan import Plan

__all__ = ("close_release", "inventory_ahead", "open_release", "write_inventory")


def inventory_ahead(plan: Plan, live: Live, sdk_version: str) -> Inventory:
    """Return the inventory as it was found, with what this plan adds but kinds."""
    base = live.inventory or Inventory(stack_id=plan.stack_id, namespace=plan.namespace)
    return attrs.evolve(
        base,
        cluster_uid=plan.cluster_uid or base.cluster_uid,
        claims=(*base.claims, *plan.claims),
        volatile={
            "environment": plan.environment,
            "plan": plan.digest,
            "core": plan.core_digest,
            "sdk": sdk_version,
        },
    )


def write_inventory(job: Job, writer: Writer, inventory: Inventory) -> None:
    """Write the parent object."""
    body = inventory_manifest(inventory, inventory.volatile.get("sdk", "0"))
    writer.write(
        Write(verb="apply", ref=ObjectRef.of(body), body=body, manager=job.manager, force=True),
        job.run,
    )


def open_release(job: Job, writer: Writer, materials: Materials, inventory: Inventory) -> None:
    """Write the pending Release; its number makes a race of two writers a conflict.

    A Release of one service carries on what is known of the others, so that the newest one always
    tells the whole stack.

    Raises:
        LockedError: another writer opened one of that number.

    """
    plan, earlier = job.plan, job.progress.earlier
    number = max([inventory.release, *(r.number for r in earlier)], default=0) + 1
    services = dict(materials.services)
    if plan.scope:
        chosen = {name: record for name, record in services.items() if name in plan.scope}
        services = {**latest(earlier), **chosen}
    release = Release(
        number=number,
        status="pending",
        plan=plan.digest,
        core=plan.core_digest,
        actor=_actor(),
        time=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        sdk=materials.sdk_version,
        services=services,
    )
    body = release_manifest(release, plan.stack_id, plan.namespace)
    try:
        writer.write(
            Write(verb="create", ref=ObjectRef.of(body), body=body, manager=job.manager), job.run
        )
    except ConflictError as error:
        msg = f"release {number} of stack {plan.stack_id} was begun by somebody else"
        raise LockedError(msg, holder="unknown", hint="run the same command again") from error
    job.progress.release = release


def close_release(job: Job, writer: Writer, status: str) -> None:
    """Say in the Release how it ended; a failure to say so changes nothing for the cluster.

    Where it is deployed, what it supersedes is marked so, and a Release that was still pending was
    left by an apply that died. Releases that tell nobody anything any more are deleted.
    """
    progress = job.progress
    if progress.release is None:
        return
    run = Run.within(10)
    try:
        _mark(job, writer, progress.release.number, status, run)
        if status == "deployed":
            for old in progress.earlier:
                if old.status == "deployed":
                    _mark(job, writer, old.number, "superseded", run)
                elif old.status == "pending":
                    _mark(job, writer, old.number, "failed", run)
        for old in outdated((*progress.earlier, progress.release)):
            writer.write(Write(verb="delete", ref=_release_ref(job.plan, old.number)), run)
    except (ClusterError, InfometisError) as error:
        progress.warnings.append(f"the release's end could not be recorded: {error.message}")
    progress.release = attrs.evolve(progress.release, status=status)


def _mark(job: Job, writer: Writer, number: int, status: str, run: Run) -> None:
    writer.write(
        Write(
            verb="merge-patch",
            ref=_release_ref(job.plan, number),
            body={"data": {"status": status}},
            manager=job.manager,
        ),
        run,
    )


def _release_ref(plan: Plan, number: int) -> ObjectRef:
    return ObjectRef(
        api_version="v1",
        kind="ConfigMap",
        namespace=plan.namespace,
        name=release_name(plan.stack_id, number),
    )


def _actor() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
