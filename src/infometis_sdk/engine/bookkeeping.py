"""What an apply writes about itself: the inventory ahead of the objects, and the Release."""

from __future__ import annotations

import datetime as dt
import getpass
import socket
from typing import TYPE_CHECKING

import attrs

from infometis_sdk.engine.inventory import Inventory, inventory_manifest
from infometis_sdk.engine.inventory_id import (
    CLUSTER_NAMESPACE,
    CLUSTER_PARENT,
    cluster_applyset_id,
)
from infometis_sdk.engine.marks import manager_of
from infometis_sdk.engine.release import KEPT, Release, release_manifest, release_name
from infometis_sdk.errors import ClusterError, ConflictError, InfometisError, LockedError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infometis_sdk.engine.fill import Materials
    from infometis_sdk.engine.lease import Writer
    from infometis_sdk.engine.live import Live
    from infometis_sdk.engine.waves import Progress
    from infometis_sdk.model.plan import Plan
    from infometis_sdk.ports.cluster import Cluster

__all__ = (
    "close_release",
    "inventory_ahead",
    "open_release",
    "write_inventory",
    "write_shared",
)


def inventory_ahead(plan: Plan, live: Live, materials: Materials) -> Inventory:
    base = live.inventory or Inventory(stack_id=plan.stack_id, namespace=plan.namespace)
    return attrs.evolve(
        base,
        cluster_uid=plan.cluster_uid or base.cluster_uid,
        claims=(*base.claims, *plan.claims),
        volatile={
            "environment": plan.environment,
            "plan": plan.digest,
            "core": plan.core_digest,
            "sdk": materials.sdk_version,
        },
    )


def write_inventory(writer: Writer, inventory: Inventory, materials: Materials, run: Run) -> None:
    body = inventory_manifest(inventory, materials.sdk_version)
    writer.write(
        Write(
            verb="apply",
            ref=ObjectRef.of(body),
            body=body,
            manager=manager_of(inventory.stack_id),
            force=True,
        ),
        run,
    )


def write_shared(writer: Writer, plan: Plan, run: Run) -> None:
    """Name this stack as a user of the cluster's singletons, ahead of applying them."""
    if not any(single for _, single in plan.members):
        return
    refs = sorted(f"{ref.group_kind}/{ref.name}" for ref, single in plan.members if single)
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": CLUSTER_NAMESPACE,
            "labels": {"app.kubernetes.io/managed-by": "infometis-sdk"},
        },
    }
    parent = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": CLUSTER_PARENT,
            "namespace": CLUSTER_NAMESPACE,
            "labels": {
                "applyset.kubernetes.io/id": cluster_applyset_id(),
                "app.kubernetes.io/managed-by": "infometis-sdk",
            },
        },
        "data": {plan.stack_id: "\n".join(refs)},
    }
    for body in (namespace, parent):
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


def open_release(
    writer: Writer,
    plan: Plan,
    materials: Materials,
    releases: Sequence[Release],
    inventory: Inventory,
    run: Run,
) -> Release:
    """Write the pending Release; its number makes a race of two writers a conflict."""
    number = max([inventory.release, *(r.number for r in releases)], default=0) + 1
    release = Release(
        number=number,
        status="pending",
        plan=plan.digest,
        core=plan.core_digest,
        actor=_actor(),
        time=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        sdk=materials.sdk_version,
        services={n: r for n, r in materials.services.items() if not plan.scope or n in plan.scope},
    )
    try:
        _put_release(writer, plan, release, "create", run)
    except ConflictError as error:
        msg = f"release {number} of stack {plan.stack_id} was begun by somebody else"
        raise LockedError(msg, holder="unknown", hint="run the same command again") from error
    # What is superseded by number is known; more than the last few tell nobody anything.
    for old in releases[: -(KEPT - 1)]:
        if old.status != "deployed" or old.number < number - 2 * KEPT:
            ref = _release_ref(plan, old.number)
            try:
                writer.write(Write(verb="delete", ref=ref), run)
            except ClusterError:
                continue
    return release


def _release_ref(plan: Plan, number: int) -> ObjectRef:
    return ObjectRef(
        api_version="v1",
        kind="ConfigMap",
        namespace=plan.namespace,
        name=release_name(plan.stack_id, number),
    )


def _put_release(writer: Writer, plan: Plan, release: Release, verb: str, run: Run) -> None:
    body = release_manifest(release, plan.stack_id, plan.namespace)
    writer.write(
        Write(
            verb=verb,
            ref=ObjectRef.of(body),
            body=body,
            manager=manager_of(plan.stack_id),
            force=verb == "apply",
        ),
        run,
    )


def close_release(
    cluster: Cluster, writer: Writer, plan: Plan, state: Progress, status: str
) -> None:
    """Say in the Release how it ended; a failure to say so changes nothing for the cluster."""
    if state.release is None:
        return
    run = Run.within(10)
    ref = _release_ref(plan, state.release.number)
    try:
        writer.write(
            Write(
                verb="merge-patch",
                ref=ref,
                body={"data": {"status": status}},
                manager=manager_of(plan.stack_id),
            ),
            run,
        )
        if status == "deployed":
            for number in range(max(1, state.release.number - 1), state.release.number):
                old = cluster.get(_release_ref(plan, number), run)
                if old and (old.get("data") or {}).get("status") == "deployed":
                    writer.write(
                        Write(
                            verb="merge-patch",
                            ref=_release_ref(plan, number),
                            body={"data": {"status": "superseded"}},
                            manager=manager_of(plan.stack_id),
                        ),
                        run,
                    )
    except InfometisError as error:
        state.warnings.append(f"the release's end could not be recorded: {error.message}")
    state.release = attrs.evolve(state.release, status=status)


def _actor() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
