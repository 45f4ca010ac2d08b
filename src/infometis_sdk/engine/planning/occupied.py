"""What a namespace or a CustomResourceDefinition still holds that must not go with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects.marks import BUNDLE_OF, ROLE, STACK
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.errors import ClusterError, NotFoundError, UnknownKindError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.cluster import Cluster

__all__ = (
    "Key",
    "still_needed",
)

Key = tuple[str, str, str, str]

_SHOWN = 3

_HOUSEHOLD = frozenset(
    {
        ("ConfigMap", "kube-root-ca.crt"),
        ("ConfigMap", "openshift-service-ca.crt"),
        ("ServiceAccount", "default"),
    }
)
"""What Kubernetes puts into every namespace by itself."""

_BOOKKEEPING = ("inventory", "release", "release-part", "bundle", "key", "audit")

_BY_PRODUCTS = frozenset({"Event", "Endpoints", "EndpointSlice", "Lease", "PodMetrics"})
"""Kinds that come with others, or hold nothing for anybody once those are gone."""


def still_needed(
    cluster: Cluster,
    obj: Mapping[str, Any],
    stack_id: str,
    run: Run,
    *,
    going: Collection[Key] = (),
) -> str:
    """Return why a Namespace or a CustomResourceDefinition may not go; empty where it may.

    Args:
        cluster: asked for everything in it, of every kind that can be deleted.
        obj: the live object.
        stack_id: whose records do not count.
        run: deadline and cancel token.
        going: keys of objects that go before it.

    """
    try:
        if obj["kind"] == "Namespace":
            return _in_namespace(cluster, obj["metadata"]["name"], stack_id, set(going), run)
        return _of_kind(cluster, obj, set(going), run)
    except ClusterError as error:
        return f"what it holds could not be seen: {error.message}"


def _of_kind(cluster: Cluster, crd: Mapping[str, Any], going: set[Key], run: Run) -> str:
    spec = crd["spec"]
    group, kind = spec["group"], spec["names"]["kind"]
    version = next((v["name"] for v in spec["versions"] if v.get("served")), "")
    try:
        found = cluster.list(f"{group}/{version}", kind, run, metadata_only=True)
    except UnknownKindError:
        if _established(crd):
            raise
        return ""  # it was never served, so nothing was ever stored
    left = [
        o
        for o in found
        if (group, kind, o["metadata"].get("namespace", ""), o["metadata"]["name"]) not in going
    ]
    return f"{len(left)} objects of kind {kind} are not ours and would go with it" if left else ""


def _established(crd: Mapping[str, Any]) -> bool:
    return any(
        c.get("type") == "Established" and c.get("status") == "True"
        for c in (crd.get("status") or {}).get("conditions") or ()
    )


def _in_namespace(cluster: Cluster, name: str, stack_id: str, going: set[Key], run: Run) -> str:
    def look(served: tuple[str, str]) -> list[str]:
        version, kind = served
        try:
            objects = cluster.list(version, kind, run, namespace=name, metadata_only=True)
        except (NotFoundError, UnknownKindError):
            return []
        group = version.rpartition("/")[0]
        return [
            f"{kind}/{o['metadata']['name']}"
            for o in objects
            if (group, kind, name, o["metadata"]["name"]) not in going
            and _counts(kind, o["metadata"], stack_id)
        ]

    kinds = _namespaced_kinds(cluster, run)
    found = [text for texts in parallel(look, kinds, run, f"looking into {name}") for text in texts]
    if not found:
        return ""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"it still holds {', '.join(found[:_SHOWN])}{more}"


def _counts(kind: str, meta: Mapping[str, Any], stack_id: str) -> bool:
    """Whether an object keeps its namespace: all do but what comes by itself and our records.

    What is ours and stays, such as volumes and credentials, counts as much as what is not ours.
    """
    if (kind, meta["name"]) in _HOUSEHOLD or meta.get("ownerReferences"):
        return False  # what is owned goes with its owner, which is looked at itself
    labels = meta.get("labels") or {}
    ours = stack_id in (labels.get(STACK), labels.get(BUNDLE_OF))
    return not ours or labels.get(ROLE) not in _BOOKKEEPING


def _namespaced_kinds(cluster: Cluster, run: Run) -> list[tuple[str, str]]:
    """Return API version and kind of everything in namespaces that can be listed and deleted."""
    groups = json.loads(cluster.read("/apis", run)).get("groups") or ()
    paths = ["/api/v1", *(f"/apis/{g['preferredVersion']['groupVersion']}" for g in groups)]

    def resources(path: str) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = json.loads(cluster.read(path, run))
        except NotFoundError:
            return {}  # its last definition has just gone; the list of groups lags a little behind
        return answer

    found = []
    for answer in parallel(resources, paths, run, "looking for kinds"):
        found += [
            (answer["groupVersion"], entry["kind"])
            for entry in answer.get("resources") or ()
            if entry["namespaced"]
            and "/" not in entry["name"]
            and {"list", "delete"} <= set(entry["verbs"])
            and entry["kind"] not in _BY_PRODUCTS
        ]
    return found
