"""What an apply writes about itself: the inventory ahead of the objects, and the Release."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import attrs

from infometis_sdk.engine.writing.inventory import Inventory, inventory_manifest
from infometis_sdk.engine.writing.release import latest, outdated
from infometis_sdk.engine.writing.release_store import ClusterReleases
from infometis_sdk.errors import InfometisError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infometis_sdk.engine.reading.live import Live
    from infometis_sdk.engine.writing.job import Job, Materials
    from infometis_sdk.engine.writing.lease import Writer
    from infometis_sdk.model.plan import Plan
    from infometis_sdk.model.release import Release

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
        StoreError: it cannot be kept; nothing of the stack was changed.

    """
    plan, earlier = job.plan, job.progress.earlier
    # Elsewhere there may be Releases of a cluster that is gone; their numbers are not used again.
    known = [r.number for store in materials.copies for r in store.releases(job.run).items]
    services = dict(materials.record.services)
    if plan.scope:
        chosen = {name: record for name, record in services.items() if name in plan.scope}
        services = {**latest(earlier), **chosen}
    release = attrs.evolve(
        materials.record,
        number=max([inventory.release, *known, *(r.number for r in earlier)], default=0) + 1,
        status="pending",
        mixed=bool(plan.scope),
        stack_id=plan.stack_id,
        environment=plan.environment,
        namespace=plan.namespace,
        bundle=plan.core_digest,
        bundle_digest=materials.bundle.digest if materials.bundle else "",
        scope=plan.scope,
        plan=plan.digest,
        cluster_uid=plan.cluster_uid,
        time=_now(),
        services=services,
        credentials={
            secret: {"from": dict(keys) or "generated"} for secret, keys in plan.credentials.items()
        },
    )
    for store in (*materials.copies, _store(job, writer)):
        store.add(release, materials.bundle, job.run)
    job.progress.release = release
    if materials.record.actor and materials.bundle is None:
        job.progress.warnings.append(
            f"release {release.number} keeps no bundle, since a Secret of the project has its "
            "values in plain sight: nobody can return to it, or promote it"
        )


def close_release(job: Job, writer: Writer, materials: Materials, status: str) -> None:
    """Say in the Release how it ended; a failure to say so changes nothing for the cluster.

    Where it is deployed, what it supersedes is marked so, and a Release that was still pending was
    left by an apply that died. Releases that tell nobody anything any more are deleted.
    """
    progress = job.progress
    if progress.release is None:
        return
    run = Run.within(10)
    store = _store(job, writer)
    failed = status == "failed"
    release = attrs.evolve(
        progress.release,
        status=status,
        mixed=failed or progress.release.mixed,
        ended=_now(),
        credentials={
            secret: {**told, **({"hmac": mac} if (mac := progress.hashes.get(secret)) else {})}
            for secret, told in progress.release.credentials.items()
        },
    )
    progress.release = release
    try:
        earlier = () if failed else progress.earlier
        ended = [_ended(old) for old in earlier]
        changed = [new for new, old in zip(ended, earlier, strict=True) if new != old]
        for each in (*materials.copies, store):
            # The new one last: killed in between, it is pending, and the next apply ends it.
            for one in (*changed, release):
                each.save(one, run)
        if failed:
            return
        gone = [old.number for old in outdated((*ended, release), materials.kept)]
        if gone or release.bundle_digest != _last_bundle(ended):
            store.remove(gone, run)
    except InfometisError as error:
        progress.warnings.append(f"the release's end could not be recorded: {error.message}")


def _ended(old: Release) -> Release:
    if old.status == "deployed":
        return attrs.evolve(old, status="superseded")
    if old.status == "pending":
        return attrs.evolve(old, status="failed", mixed=True)
    return old


def _last_bundle(earlier: Sequence[Release]) -> str:
    return earlier[-1].bundle_digest if earlier else ""


def _store(job: Job, writer: Writer) -> ClusterReleases:
    return ClusterReleases(job.cluster, job.plan.stack_id, job.plan.namespace, writer)


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
