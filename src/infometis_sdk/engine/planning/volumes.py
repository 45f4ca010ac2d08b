"""Growing the volumes of a StatefulSet properly: its claims first, then the set is made again.

Claim templates of a StatefulSet are immutable, and the set does not resize claims that exist.
So every claim is patched to the new size, the set is deleted with its pods left running (Orphan),
and made again, taking up pods and claims.
Source: KEP-4650 and the Kubernetes documentation on StatefulSet volume claim templates.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects.fingerprint import fingerprint
from infometis_sdk.engine.objects.quantity import compare
from infometis_sdk.errors import ClusterError
from infometis_sdk.model.plan import Change, PlanItem
from infometis_sdk.model.reference import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from infometis_sdk.engine.reading.live import Live
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("claim_names", "claims_of", "grow")


def claim_names(objects: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return ``namespace/template-statefulset`` of every claim template.

    Claims add ``-0``, ``-1`` … to it.
    """
    return tuple(
        sorted(
            f"{obj['metadata'].get('namespace', '')}/{template['metadata']['name']}"
            f"-{obj['metadata']['name']}"
            for obj in objects
            if obj.get("kind") == "StatefulSet"
            for template in (obj.get("spec") or {}).get("volumeClaimTemplates") or ()
        )
    )


def claims_of(
    cluster: Cluster, names: Iterable[str], run: Run
) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the live claims of :func:`claim_names`, each with the name that it belongs to."""
    found = []
    known = sorted({tuple(name.split("/", 1)) for name in names})
    for namespace in sorted({space for space, _ in known}):
        for claim in cluster.list("v1", "PersistentVolumeClaim", run, namespace=namespace):
            name = claim["metadata"]["name"]
            found += [
                (f"{space}/{begin}", claim)
                for space, begin in known
                if space == namespace and re.fullmatch(rf"{re.escape(begin)}-\d+", name)
            ]
    return found


def grow(
    cluster: Cluster, items: Sequence[PlanItem], live: Live, run: Run
) -> tuple[list[PlanItem], list[str]]:
    """Put the growing of claims before every StatefulSet that is replaced for a larger volume.

    Returns:
        The items, and what forbids the growing.

    """
    out: list[PlanItem] = []
    problems: list[str] = []
    for item in items:
        have = live.get(item.ref)
        if item.action == "replace" and item.ref.kind == "StatefulSet" and have is not None:
            old, new = _sizes(have), _sizes(item.payload)
            problems += [
                f"{item.ref}: the volume {n} cannot shrink from {old[n]} to {new[n]}"
                for n in sorted(old.keys() & new.keys())
                if compare(new[n], old[n]) < 0
            ]
            grown = [n for n in new if n in old and compare(new[n], old[n]) > 0]
            if grown:
                claims, refusals = _claims(cluster, item, grown, new, run)
                out += claims
                problems += refusals
        out.append(item)
    return out, problems


def _sizes(obj: Mapping[str, Any]) -> dict[str, str]:
    sizes = {}
    for template in (obj.get("spec") or {}).get("volumeClaimTemplates") or ():
        requests = ((template.get("spec") or {}).get("resources") or {}).get("requests") or {}
        if "storage" in requests:
            sizes[template["metadata"]["name"]] = str(requests["storage"])
    return sizes


def _claims(
    cluster: Cluster, item: PlanItem, grown: Sequence[str], sizes: Mapping[str, str], run: Run
) -> tuple[list[PlanItem], list[str]]:
    items: list[PlanItem] = []
    problems: list[str] = []
    begins = {
        f"{item.ref.namespace}/{template}-{item.ref.name}": sizes[template] for template in grown
    }
    for begin, claim in claims_of(cluster, begins, run):
        old = claim["spec"]["resources"]["requests"]["storage"]
        new = begins[begin]
        if compare(new, old) <= 0:
            continue
        refusal = _fixed(cluster, claim, run)
        if refusal:
            problems.append(f"{ObjectRef.of(claim)}: {refusal}")
        items.append(
            PlanItem(
                action="resize",
                ref=ObjectRef.of(claim),
                service=item.service,
                state="pending",
                payload={"spec": {"resources": {"requests": {"storage": new}}}},
                uid=claim["metadata"]["uid"],
                fingerprint=fingerprint(claim),
                changes=(
                    Change(path="spec.resources.requests.storage", op="replace", old=old, new=new),
                ),
            )
        )
    return items, problems


def _fixed(cluster: Cluster, claim: Mapping[str, Any], run: Run) -> str:
    """Return why a claim cannot grow; empty where it can, or where we may not look."""
    name = claim["spec"].get("storageClassName")
    if not name:
        return "it has no storage class, so it cannot grow"
    try:
        found = cluster.get(
            ObjectRef(api_version="storage.k8s.io/v1", kind="StorageClass", name=name), run
        )
    except ClusterError:
        return ""
    if found is not None and not found.get("allowVolumeExpansion"):
        return f"its storage class {name} does not allow volumes to grow"
    return ""
