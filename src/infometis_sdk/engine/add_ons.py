"""A platform's own objects (storage, metrics), applied to the cluster inventory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infometis_sdk.engine.established import wait_established
from infometis_sdk.engine.inventory_id import cluster_applyset_id
from infometis_sdk.engine.marks import PART_OF
from infometis_sdk.engine.order import apply_rank
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Cluster, Write

__all__ = ("MANAGER", "apply_add_ons")

MANAGER = "infometis.platform"


def apply_add_ons(cluster: Cluster, objects: Sequence[Mapping[str, Any]], run: Run) -> None:
    """Apply a platform's objects; idempotent, in the order of their kinds.

    Raises:
        ClusterError: the API server refuses one.

    """
    for obj in sorted(objects, key=lambda o: apply_rank(ObjectRef.of(o))):
        ref = ObjectRef.of(obj)
        labels = {**((obj["metadata"].get("labels")) or {}), PART_OF: cluster_applyset_id()}
        body = {**obj, "metadata": {**obj["metadata"], "labels": labels}}
        cluster.write(Write(verb="apply", ref=ref, body=body, manager=MANAGER, force=True), run)
        if ref.kind in ("Namespace", "CustomResourceDefinition"):
            wait_established(cluster, (ref,), run)
