"""A renamed service: the old objects make way for the new ones, or the plan says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.engine.objects.marks import SERVICE
from infometis_sdk.engine.planning.prune import members
from infometis_sdk.model.reference import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_sdk.engine.reading.live import Live
    from infometis_sdk.model.stack import ManifestSet

__all__ = ("renames",)


def renames(manifests: ManifestSet, live: Live) -> tuple[dict[str, str], tuple[str, ...]]:
    """Find services that still run under an earlier name of theirs.

    The objects of a stateless service are made under the new name, and deleted under the old one
    once everything else went well.
    Volumes carry the name of the StatefulSet that made them,
    so a new name would begin with empty ones: that is refused.

    Args:
        manifests: what is desired.
        live: what is there.

    Returns:
        Old name to new name of what is renamed, and what forbids it.

    """
    running: dict[str, set[str]] = {}
    wanted = {manifest.ref.key for manifest in manifests.manifests}
    for obj in members(live, manifests.stack_id, manifests.namespace):
        if ObjectRef.of(obj).key in wanted:
            continue  # it keeps its own name, whatever its service is called
        service = (obj["metadata"].get("labels") or {}).get(SERVICE, "")
        running.setdefault(service, set()).add(obj["kind"])
    found: dict[str, str] = {}
    problems: list[str] = []
    for old, new in _earlier(manifests).items():
        if old not in running:
            continue
        found[old] = new
        if "StatefulSet" in running[old]:
            problems.append(
                f"{new} was renamed from {old}, which keeps its data in volumes of that name: "
                f"the new name would begin with empty ones; keep the name {old}, or move the data "
                f"and take {old} down first"
            )
    return found, tuple(problems)


def _earlier(manifests: ManifestSet) -> Mapping[str, str]:
    return {
        old: name
        for name, composed in manifests.services.items()
        for old in composed.service.renamed_from
        if old not in manifests.services
    }
