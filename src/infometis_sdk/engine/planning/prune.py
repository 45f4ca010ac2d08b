"""What is no longer desired: which objects may go, which stay, and what forbids the whole.

Candidates carry our part-of label; never "all kinds", never by namespace alone.
An object goes only if every test says so; what stays is reported with the reason.
Source of the tests: KEP-3659, Flux, kluctl and Argo CD, merged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.engine.objects.fieldset import entries, ours
from infometis_sdk.engine.objects.fingerprint import fingerprint
from infometis_sdk.engine.objects.inventory_id import cluster_applyset_id, stack_applyset_id
from infometis_sdk.engine.objects.marks import KEEP, PART_OF, ROLE, SERVICE, STACK, manager_of
from infometis_sdk.engine.objects.order import SINGLETONS, delete_rank
from infometis_sdk.engine.planning.occupied import still_needed
from infometis_sdk.model.plan import PlanItem
from infometis_sdk.model.reference import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from infometis_sdk.engine.reading.live import Live
    from infometis_sdk.model.release import ServiceRecord
    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("Pruned", "members", "prune", "service_of")

_NAME = "app.kubernetes.io/name"
_COPIES = frozenset({"Endpoints", "EndpointSlice"})
"""Kinds that Kubernetes makes for a Service, with a copy of its labels, ours among them."""

_DATA = frozenset({"PersistentVolumeClaim", "PersistentVolume"})


@frozen(kw_only=True)
class Pruned:
    """What prune would do.

    Attributes:
        items: deletions and releases, in order.
        kept: what is not desired and stays, with the reason.
        problems: what forbids the prune as a whole.
        confirm: why the plan's digest is demanded as confirmation; empty where it is not.
    """

    items: tuple[PlanItem, ...] = field(default=(), converter=tuple[PlanItem, ...])
    kept: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    problems: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    confirm: str = ""


def members(live: Live, stack_id: str, namespace: str) -> list[Mapping[str, Any]]:
    """Return every live object of the stack's inventory, and what it holds in the cluster's."""
    mine, shared = stack_applyset_id(stack_id, namespace), cluster_applyset_id()
    manager = manager_of(stack_id)
    found = []
    for obj in live.objects.values():
        if obj["kind"] in _COPIES and ours(obj, manager) is None:
            continue
        part_of = (obj["metadata"].get("labels") or {}).get(PART_OF)
        if part_of == mine or (part_of == shared and ours(obj, manager) is not None):
            found.append(obj)
    return found


def prune(
    cluster: Cluster,
    manifests: ManifestSet,
    live: Live,
    deployed: Mapping[str, ServiceRecord],
    run: Run,
    *,
    data_loss: Iterable[str] = (),
    teardown: bool = False,
    keep_data: bool = False,
    ignore: Collection[tuple[str, str, str, str]] = (),
) -> Pruned:
    """Decide about everything that the stack has and no longer wants.

    Args:
        cluster: asked only for what a decision needs (custom resources of a CRD).
        manifests: what is desired.
        live: what is there.
        deployed: services known to run, to tell a removed service from a lost object.
        run: deadline and cancel token.
        data_loss: objects that were named as losing their data.
        teardown: everything goes, by the operator's word; no circuit breaker.
        keep_data: in a teardown, what holds data stays.
        ignore: objects that go besides, so that they keep no namespace.

    """
    policy = manifests.environment.policies.prune
    wanted = {m.ref.key for m in manifests.manifests}
    owned = members(live, manifests.stack_id, manifests.namespace)
    candidates = [obj for obj in owned if ObjectRef.of(obj).key not in wanted]
    unmarked = tuple(
        f"{ObjectRef.of(obj)}: somebody took our label {PART_OF} away"
        for obj in _unmarked(live, manifests.stack_id)
        if ObjectRef.of(obj).key not in wanted
    )
    if not candidates:
        return Pruned(kept=unmarked)
    if not policy.enabled and not teardown:
        return Pruned(
            kept=tuple(f"{ObjectRef.of(o)}: policies.prune.enabled is false" for o in candidates)
        )
    if not any(m.service for m in manifests.manifests) and not teardown:
        return Pruned(
            problems=[
                (
                    f"nothing is desired any more, so all {len(candidates)} objects would go: "
                    f"that is what `infometis down` is for"
                )
            ]
        )
    # Grows with each decision, in the order of deletion: what stays, of whosever, is not in it when
    # its namespace or its definition is looked at.
    going = set(ignore)
    items: list[PlanItem] = []
    kept, problems = list(unmarked), []
    agreed = set(data_loss)
    for obj in sorted(candidates, key=lambda o: (delete_rank(ObjectRef.of(o)), ObjectRef.of(o))):
        ref = ObjectRef.of(obj)
        if obj["metadata"].get("deletionTimestamp"):
            going.add(ref.key)
            continue
        others = _others(obj, manifests.stack_id) if ref.kind in SINGLETONS else []
        reason = _stays(cluster, obj, manifests.stack_id, run, going=going, shared=bool(others))
        if not reason and teardown and keep_data and ref.kind in _DATA:
            reason = "data stays until it is deleted by name"
        if reason:
            kept.append(f"{ref}: {reason}")
            continue
        if _loses_data(obj) and str(ref) not in agreed and (keep_data or not teardown):
            cure = (
                "delete the data too (--delete-data)"
                if teardown
                else f"or name it (--accept-data-loss {ref})"
            )
            problems.append(
                f"{ref} would go with its data; keep it with the annotation "
                f"{KEEP[0][0]}: {KEEP[0][1]}, {cure}"
            )
        items.append(_removal(obj, ref, others))
        going.add(ref.key)
    confirm = "" if teardown else _breaker(manifests, items, len(owned), deployed)
    return Pruned(items=items, kept=kept, problems=problems, confirm=confirm)


def _removal(obj: Mapping[str, Any], ref: ObjectRef, others: list[str]) -> PlanItem:
    return PlanItem(
        action="release" if others else "delete",
        ref=ref,
        service=service_of(obj),
        singleton=ref.kind in SINGLETONS,
        state="pending",
        uid=obj["metadata"]["uid"],
        fingerprint=fingerprint(obj),
        payload=_identity(ref) if others else {},
        warnings=(f"other stacks use it: {', '.join(others)}",) if others else (),
    )


def service_of(obj: Mapping[str, Any]) -> str:
    """Return the service that a live object of ours belongs to."""
    labels = obj["metadata"].get("labels") or {}
    # Raw manifests keep the usual name label that they brought along.
    return str(labels.get(SERVICE) or labels.get(_NAME) or "")


def _unmarked(live: Live, stack_id: str) -> list[Mapping[str, Any]]:
    """Return what we applied and still labels as the stack's, but no longer as its inventory's."""
    manager = manager_of(stack_id)
    return [
        obj
        for obj in live.objects.values()
        if (labels := obj["metadata"].get("labels") or {}).get(STACK) == stack_id
        and PART_OF not in labels
        and ROLE not in labels
        and ours(obj, manager) is not None
    ]


def _identity(ref: ObjectRef) -> dict[str, Any]:
    """Return an object with nothing but its identity: applying it gives up every field of ours."""
    return {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": {"name": ref.name}}


def _others(obj: Mapping[str, Any], stack_id: str) -> list[str]:
    mine = manager_of(stack_id)
    return sorted(
        {
            owner.manager
            for owner in entries(obj)
            if owner.manager.startswith("infometis.") and owner.manager != mine
        }
    )


def _stays(
    cluster: Cluster,
    obj: Mapping[str, Any],
    stack_id: str,
    run: Run,
    *,
    going: set[tuple[str, str, str, str]],
    shared: bool,
) -> str:
    """Return why an object must stay; empty where it may go."""
    meta = obj["metadata"]
    notes = meta.get("annotations") or {}
    for name, value in KEEP:
        if notes.get(name) == value:
            return f"annotation {name}: {value}"
    if ours(obj, manager_of(stack_id)) is None:
        return "it carries our label, but we never applied it"
    owners = [f"{o.get('kind')}/{o.get('name')}" for o in meta.get("ownerReferences") or ()]
    if owners:
        return f"it is owned by {', '.join(owners)}"
    if shared:
        return ""  # it stays for the others; only our part of it is given up
    if obj["kind"] in ("Namespace", "CustomResourceDefinition"):
        return still_needed(cluster, obj, stack_id, run, going=going)
    return ""


def _loses_data(obj: Mapping[str, Any]) -> bool:
    if obj["kind"] in _DATA:
        return True
    policy = (obj.get("spec") or {}).get("persistentVolumeClaimRetentionPolicy") or {}
    return obj["kind"] == "StatefulSet" and policy.get("whenDeleted") == "Delete"


def _breaker(
    manifests: ManifestSet,
    items: list[PlanItem],
    owned: int,
    deployed: Mapping[str, ServiceRecord],
) -> str:
    """Return why so large a prune needs confirmation.

    The objects of one service that was taken out of the project are one decision that somebody
    wrote down, and do not count; objects that vanish for any other reason do.
    """
    policy = manifests.environment.policies.prune
    removed = {i.service for i in items if i.service in deployed} - set(manifests.services)
    spared = removed if len(removed) == 1 else set()
    counted = [item for item in items if item.service not in spared]
    limit = max(policy.max_count, owned * policy.max_percent // 100)
    if len(counted) <= limit:
        return ""
    return (
        f"{len(counted)} of {owned} objects would be deleted, "
        f"more than the {limit} that policies.prune allows without a word"
    )
