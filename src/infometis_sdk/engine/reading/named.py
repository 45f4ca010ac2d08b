"""What is in the cluster of a few objects, each asked for by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.engine.objects.inventory_id import parent_name
from infometis_sdk.engine.reading.live import Live
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.engine.writing.credentials import key_ref
from infometis_sdk.engine.writing.inventory import read_inventory
from infometis_sdk.errors import ForbiddenError
from infometis_sdk.model.reference import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_sdk.engine.reading.live import Key, Object
    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("observe_named",)


def observe_named(cluster: Cluster, manifests: ManifestSet, run: Run) -> Live:
    """Look at the objects of some manifests, at the credentials they read, and at the inventory.

    Costs one GET for each, at most eight at once: for a few objects of a large stack that is
    cheaper than a LIST of each kind.

    Args:
        cluster: the API.
        manifests: a stack, limited to the objects that are to be looked at.
        run: deadline and cancel token.

    Raises:
        ForbiddenError: one of them may not be read, so nothing can be said of it.
        ClusterError: the API server does not answer, or not to us.

    """
    home = manifests.namespace
    wanted = {m.ref for m in manifests.manifests}
    read = {name for m in manifests.manifests for name in m.reads}
    wanted |= {
        ObjectRef(api_version="v1", kind="Secret", namespace=home, name=name) for name in read
    }
    if read or any(ref.kind == "Secret" for ref in wanted):
        wanted.add(key_ref(manifests.stack_id, home))
    parent = ObjectRef(
        api_version="v1", kind="ConfigMap", namespace=home, name=parent_name(manifests.stack_id)
    )

    def get(ref: ObjectRef) -> Object | None:
        return cluster.get(ref, run)

    refs = sorted(wanted | {parent})
    found = dict(zip(refs, parallel(get, refs, run, "looking at objects"), strict=True))
    inventory = found.pop(parent)
    objects: dict[Key, Object] = {ref.key: obj for ref, obj in found.items() if obj is not None}
    absent = {ref.namespace for ref, obj in found.items() if obj is None and ref.namespace}
    return Live(
        objects=objects,
        missing_namespaces=_missing(cluster, absent, objects, run),
        inventory=read_inventory(inventory, manifests.stack_id) if inventory else None,
    )


def _missing(
    cluster: Cluster, absent: set[str], objects: Mapping[Key, Object], run: Run
) -> frozenset[str]:
    """Return the namespaces of absent objects that are not there themselves."""
    asked = sorted(absent - {key[2] for key in objects})

    def gone(name: str) -> bool:
        ref = ObjectRef(api_version="v1", kind="Namespace", name=name)
        try:
            return cluster.get(ref, run) is None
        except ForbiddenError:
            return False  # a guest may not look; the namespace was assigned, so it is there

    answers = parallel(gone, asked, run, "looking for namespaces")
    return frozenset(name for name, missing in zip(asked, answers, strict=True) if missing)
