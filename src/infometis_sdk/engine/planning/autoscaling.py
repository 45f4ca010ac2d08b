"""Replicas of workloads that a HorizontalPodAutoscaler drives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects.fieldset import entries
from infometis_sdk.engine.objects.inventory_id import stack_applyset_id
from infometis_sdk.engine.objects.marks import PART_OF
from infometis_sdk.errors import ClusterError
from infometis_sdk.model.reference import ObjectRef

if TYPE_CHECKING:
    from infometis_sdk.engine.reading.live import Live
    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster

__all__ = (
    "Key",
    "Object",
    "autoscaled_keys",
    "without_scaled_replicas",
)

Key = tuple[str, str, str, str]
Object = Mapping[str, Any]

_SCALER = "HorizontalPodAutoscaler"


def autoscaled_keys(cluster: Cluster, manifests: ManifestSet, live: Live, run: Run) -> set[Key]:
    """Return the keys of the workloads that an autoscaler drives.

    Live autoscalers are asked for only where ``scale`` owns the replicas of a workload that no
    desired one drives, so a clean check costs no request for them.
    One of ours that is no longer desired does not count: it goes with this plan.
    """
    found = _targets(m.object for m in manifests.manifests if m.ref.kind == _SCALER)
    spaces = {
        key[2]
        for key, obj in live.objects.items()
        if key not in found
        and any(
            owner.manager == "kube-controller-manager" and owner.subresource == "scale"
            for owner in entries(obj)
        )
    }
    for space in sorted(spaces):
        try:
            scalers = cluster.list("autoscaling/v2", _SCALER, run, namespace=space)
        except ClusterError:
            continue
        found |= _targets(scaler for scaler in scalers if not _going(scaler, manifests))
    return found


def _targets(scalers: Iterable[Object]) -> set[Key]:
    found = set()
    for scaler in scalers:
        target = (scaler.get("spec") or {}).get("scaleTargetRef") or {}
        group = str(target.get("apiVersion", "")).rpartition("/")[0]
        namespace = (scaler.get("metadata") or {}).get("namespace", "")
        found.add((group, target.get("kind", ""), namespace, target.get("name", "")))
    return found


def _going(scaler: Object, manifests: ManifestSet) -> bool:
    labels = scaler["metadata"].get("labels") or {}
    ours = labels.get(PART_OF) == stack_applyset_id(manifests.stack_id, manifests.namespace)
    if not ours or not manifests.environment.policies.prune.enabled:
        return False
    return ObjectRef.of(scaler).key not in {m.ref.key for m in manifests.manifests}


def without_scaled_replicas(
    obj: Object, have: Object | None, manager: str, *, autoscaled: bool
) -> Object:
    """Leave the replica count to an autoscaler without ever losing it.

    While we are its only owner the live value is sent, since leaving it out would delete it;
    once ``scale`` owns it, it is left out.
    """
    spec = obj.get("spec")
    if not autoscaled or have is None or not isinstance(spec, Mapping) or "replicas" not in spec:
        return obj
    others = any(
        owner.subresource == "scale" or owner.manager != manager
        for owner in entries(have)
        if "f:replicas" in (owner.fields.get("f:spec") or {})
    )
    rest = {k: v for k, v in spec.items() if k != "replicas"}
    if others:
        return {**obj, "spec": rest}
    return {**obj, "spec": {**rest, "replicas": (have.get("spec") or {}).get("replicas")}}
