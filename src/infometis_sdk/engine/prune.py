"""What is no longer desired: which objects may go, which stay, and what forbids the whole.

Candidates carry our part-of label; never "all kinds", never by namespace alone.
An object goes only if every test says so; what stays is reported with the reason.
Source of the tests: KEP-3659, Flux, kluctl and Argo CD, merged.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from attrs import field, frozen

from infometis_sdk.engine.fieldset import entries, ours
from infometis_sdk.engine.fingerprint import fingerprint
from infometis_sdk.engine.inventory_id import cluster_applyset_id, stack_applyset_id
from infometis_sdk.engine.live import Live
from infometis_sdk.engine.marks import KEEP, PART_OF, manager_of
from infometis_sdk.engine.order import SINGLETONS, delete_rank
from infometis_sdk.engine.release import ServiceRecord
from infometis_sdk.errors import ClusterError
from infometis_sdk.model.plan import PlanItem
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.model.stack import ManifestSet
from infometis_sdk.ports.cluster import Cluster

__all__ = ("Pruned", "members", "prune")

_SERVICE = "app.kubernetes.io/name"
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
    """Return every live object that belongs to the stack's inventory, or that it holds in the cluster's."""
    mine, shared = stack_applyset_id(stack_id, namespace), cluster_applyset_id()
    manager = manager_of(stack_id)
    found = []
    for obj in live.objects.values():
        part_of = (obj["metadata"].get("labels") or {}).get(PART_OF)
        if part_of == mine or (part_of == shared and ours(obj, manager) is not None):
            found.append(obj)
    return found


def prune(  # noqa: PLR0913 - every argument is part of the decision
    cluster: Cluster,
    manifests: ManifestSet,
    live: Live,
    deployed: Mapping[str, ServiceRecord],
    data_loss: Iterable[str],
    run: Run,
    *,
    teardown: bool = False,
    ignore: Collection[tuple[str, str, str, str]] = (),
) -> Pruned:
    """Decide about everything that the stack has and no longer wants.

    Args:
        cluster: asked only for what a decision needs (custom resources of a CRD).
        manifests: what is desired.
        live: what is there.
        deployed: services known to run, to tell a removed service from a lost object.
        data_loss: objects that were named as losing their data.
        run: deadline and cancel token.
        teardown: everything goes, by the operator's word; no circuit breaker.
        ignore: objects that go besides, so that they keep no namespace.
    """
    policy = manifests.environment.policies.prune
    wanted = {m.ref.key for m in manifests.manifests}
    owned = members(live, manifests.stack_id, manifests.namespace)
    candidates = [obj for obj in owned if ObjectRef.of(obj).key not in wanted]
    if not candidates:
        return Pruned()
    if not policy.enabled and not teardown:
        return Pruned(
            kept=tuple(f"{ObjectRef.of(o)}: policies.prune.enabled is false" for o in candidates)
        )
    if not manifests.manifests and not teardown:
        return Pruned(
            problems=(
                f"nothing is desired any more, so all {len(candidates)} objects would go; "
                "that is what `infometis down` is for",
            )
        )
    going = {ObjectRef.of(obj).key for obj in candidates} | set(ignore)
    items, kept, problems = [], [], []
    for obj in sorted(candidates, key=lambda o: (delete_rank(ObjectRef.of(o)), ObjectRef.of(o))):
        ref = ObjectRef.of(obj)
        if obj["metadata"].get("deletionTimestamp"):
            continue
        reason = _stays(cluster, obj, ref, manifests.stack_id, going, run)
        if reason:
            kept.append(f"{ref}: {reason}")
            continue
        if _loses_data(obj) and str(ref) not in set(data_loss):
            problems.append(
                f"{ref} would go with its data; keep it with the annotation "
                f"{KEEP[0][0]}: {KEEP[0][1]}, or name it (--accept-data-loss {ref})"
            )
        single = ref.kind in SINGLETONS
        action = "release" if single and _others(obj, manifests.stack_id) else "delete"
        items.append(
            PlanItem(
                action=action,
                ref=ref,
                service=(obj["metadata"].get("labels") or {}).get(_SERVICE, ""),
                singleton=single,
                state="pending",
                uid=obj["metadata"]["uid"],
                fingerprint=fingerprint(obj),
                payload=_identity(ref) if action == "release" else {},
                warnings=(
                    (f"other stacks use it: {', '.join(_others(obj, manifests.stack_id))}",)
                    if action == "release"
                    else ()
                ),
            )
        )
    confirm = "" if teardown else _breaker(manifests, items, len(owned), deployed)
    return Pruned(items=items, kept=kept, problems=problems, confirm=confirm)


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


def _stays(  # noqa: PLR0911 - one return a reason
    cluster: Cluster,
    obj: Mapping[str, Any],
    ref: ObjectRef,
    stack_id: str,
    going: set[tuple[str, str, str, str]],
    run: Run,
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
    if ref.kind == "Namespace":
        return _occupied(cluster, ref, stack_id, going, run)
    if ref.kind == "CustomResourceDefinition":
        return _in_use(cluster, obj, going, run)
    return ""


def _in_use(
    cluster: Cluster, obj: Mapping[str, Any], going: set[tuple[str, str, str, str]], run: Run
) -> str:
    spec = obj["spec"]
    kind = spec["names"]["kind"]
    version = next((v["name"] for v in spec["versions"] if v.get("served")), "")
    try:
        left = [
            found
            for found in cluster.list(f"{spec['group']}/{version}", kind, run, metadata_only=True)
            if (
                spec["group"],
                kind,
                found["metadata"].get("namespace", ""),
                found["metadata"]["name"],
            )
            not in going
        ]
    except ClusterError as error:
        return f"whether any {kind} is left could not be seen: {error.message}"
    return f"{len(left)} objects of kind {kind} are not ours and would go with it" if left else ""


_HOUSEHOLD = (
    ("ConfigMap", re.compile(r"kube-root-ca\.crt")),
    ("ServiceAccount", re.compile(r"default")),
)


def _occupied(
    cluster: Cluster,
    ref: ObjectRef,
    stack_id: str,
    going: set[tuple[str, str, str, str]],
    run: Run,
) -> str:
    """Return what in a namespace is not ours; volumes and credentials count, since they hold data."""
    kinds = (
        ("v1", "PersistentVolumeClaim"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "DaemonSet"),
        ("batch/v1", "Job"),
        ("v1", "Secret"),
        ("v1", "ConfigMap"),
        ("v1", "Service"),
    )
    found = []
    for api_version, kind in kinds:
        try:
            objects = cluster.list(api_version, kind, run, namespace=ref.name, metadata_only=True)
        except ClusterError as error:
            return f"what is in it could not be seen: {error.message}"
        for obj in objects:
            meta = obj["metadata"]
            labels = meta.get("labels") or {}
            if (api_version.rpartition("/")[0], kind, ref.name, meta["name"]) in going:
                continue
            if any(kind == k and p.fullmatch(meta["name"]) for k, p in _HOUSEHOLD):
                continue
            if labels.get("infometis.io/stack") == stack_id and (
                labels.get("infometis.io/role") != "credential"
            ):
                continue
            found.append(f"{kind}/{meta['name']}")
    if not found:
        return ""
    shown = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")  # noqa: PLR2004
    return f"it still holds {shown}"


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
    removed = {name for name in deployed if name not in manifests.services}
    spared = removed if len(removed) == 1 else set()
    counted = [item for item in items if item.service not in spared]
    limit = max(policy.max_count, owned * policy.max_percent // 100)
    if len(counted) <= limit:
        return ""
    return (
        f"{len(counted)} of {owned} objects would be deleted, "
        f"more than the {limit} that policies.prune allows without a word"
    )
