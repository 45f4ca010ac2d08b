"""What holds data: claims that our sets made, and credentials, which unlock what is in them.

Nothing of it goes with the service that made it, only with the whole stack or by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.engine.objects.fingerprint import fingerprint
from infometis_sdk.engine.objects.marks import ROLE, SERVICE
from infometis_sdk.engine.planning.volumes import claim_names, claims_of
from infometis_sdk.model.plan import PlanItem
from infometis_sdk.model.reference import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from infometis_sdk.engine.reading.live import Live
    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("LeftData", "data_of", "left_data")

_STAYS = "data stays until it is deleted by name (--accept-data-loss)"


@frozen(kw_only=True)
class LeftData:
    """What becomes of the data of services that are no longer in the project.

    Attributes:
        items: deletions of what was named.
        left: what a removal of this plan leaves behind, each with the way to delete it.

    """

    items: tuple[PlanItem, ...] = field(default=(), converter=tuple[PlanItem, ...])
    left: tuple[str, ...] = field(default=(), converter=tuple[str, ...])


def data_of(cluster: Cluster, live: Live, run: Run) -> list[PlanItem]:
    """Return a deletion of everything of the stack that holds data."""
    found: list[Mapping[str, Any]] = []
    if live.inventory and live.inventory.claims:
        found += [claim for _, claim in claims_of(cluster, live.inventory.claims, run)]
    found += _credentials(live)
    return [_deletion(obj) for obj in found if not obj["metadata"].get("deletionTimestamp")]


def left_data(
    cluster: Cluster,
    manifests: ManifestSet,
    live: Live,
    run: Run,
    *,
    going: Sequence[PlanItem],
    named: Collection[str],
) -> LeftData:
    """Decide about the data of services that are no longer in the project.

    What was named goes; with the last volume of a service go the credentials that unlock it.
    Only names cost a request; claims of a service that is still there are not touched.

    Args:
        cluster: asked for claims where any is named.
        manifests: what is desired.
        live: what is there.
        run: deadline and cancel token.
        going: what this plan deletes.
        named: objects whose data may be lost, ``KIND/NAME``.

    """
    claims = _unwanted_claims(cluster, manifests, live, run) if named else []
    wanted = {bound.secret for bound in manifests.credentials}
    secrets = [s for s in _credentials(live) if s["metadata"]["name"] not in wanted]
    goes = [obj for obj in (*claims, *secrets) if str(ObjectRef.of(obj)) in named]
    emptied = {_service(obj) for obj in goes if obj["kind"] == "PersistentVolumeClaim"} - {
        _service(claim) for claim in claims if claim not in goes
    }
    goes += [s for s in secrets if s not in goes and _service(s) in emptied]
    keys = {ObjectRef.of(obj).key for obj in goes}
    removed = {item.service for item in going} - set(manifests.services)
    stays = [
        *_claims_of_sets(live, going),
        *(ObjectRef.of(s) for s in secrets if _service(s) in removed),
    ]
    return LeftData(
        items=(_deletion(obj) for obj in goes if not obj["metadata"].get("deletionTimestamp")),
        left=(f"{ref}: {_STAYS}" for ref in stays if ref.key not in keys),
    )


def _unwanted_claims(
    cluster: Cluster, manifests: ManifestSet, live: Live, run: Run
) -> list[Mapping[str, Any]]:
    known = live.inventory.claims if live.inventory else ()
    gone = set(known) - set(claim_names(m.object for m in manifests.manifests))
    return [claim for _, claim in claims_of(cluster, gone, run)] if gone else []


def _claims_of_sets(live: Live, going: Iterable[PlanItem]) -> list[ObjectRef]:
    """Name the claims that the sets leave behind, as far as the sets tell."""
    found = []
    for item in going:
        spec = (live.get(item.ref) or {}).get("spec") or {}
        policy = spec.get("persistentVolumeClaimRetentionPolicy") or {}
        if item.ref.kind != "StatefulSet" or policy.get("whenDeleted") == "Delete":
            continue
        found += [
            ObjectRef(
                api_version="v1",
                kind="PersistentVolumeClaim",
                namespace=item.ref.namespace,
                name=f"{template['metadata']['name']}-{item.ref.name}-{ordinal}",
            )
            for template in spec.get("volumeClaimTemplates") or ()
            for ordinal in range(spec.get("replicas", 1))
        ]
    return found


def _credentials(live: Live) -> list[Mapping[str, Any]]:
    return [
        obj
        for obj in live.of_kind("Secret")
        if (obj["metadata"].get("labels") or {}).get(ROLE) == "credential"
    ]


def _service(obj: Mapping[str, Any]) -> str:
    """Return the service of a claim or a credential; claims have the labels of their set's pods."""
    labels = obj["metadata"].get("labels") or {}
    return str(labels.get(SERVICE) or labels.get("app.kubernetes.io/name") or "")


def _deletion(obj: Mapping[str, Any]) -> PlanItem:
    return PlanItem(
        action="delete",
        ref=ObjectRef.of(obj),
        service=_service(obj),
        state="pending",
        uid=obj["metadata"]["uid"],
        fingerprint=fingerprint(obj),
    )
