"""The objects that a stack owns in a cluster, kept in ApplySet form (KEP-3659).

The parent is a ConfigMap in the stack's home namespace.
It holds kinds and namespaces, not names: members are found by their part-of label,
and the union of old and new is written ahead of every apply,
so that a crash cannot hide objects from the next prune.
kubectl refuses a parent whose tooling is not its own, which is what we want.
Source of the keys: kubectl's applyset.go, which ships ``applyset.kubernetes.io/*``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from infometis_sdk.engine.objects.inventory_id import applyset_id, parent_name
from infometis_sdk.engine.objects.marks import ROLE, STACK, manager_of
from infometis_sdk.errors import RefusedError

if TYPE_CHECKING:
    from infometis_sdk.model.reference import ObjectRef

__all__ = (
    "DOWN",
    "FORMAT",
    "GROUP_KINDS",
    "ID",
    "NAMESPACES",
    "TOOLING",
    "Inventory",
    "KindAt",
    "inventory_manifest",
    "kinds_of",
    "read_inventory",
)

ID = "applyset.kubernetes.io/id"
TOOLING = "applyset.kubernetes.io/tooling"
GROUP_KINDS = "applyset.kubernetes.io/contains-group-kinds"
NAMESPACES = "applyset.kubernetes.io/additional-namespaces"
FORMAT = "infometis.io/inventory/v1"
DOWN = "down"
"""Key of :attr:`Inventory.volatile`: since when the stack is being taken down."""

KindAt = tuple[str, str, str, bool]
"""API version, kind, namespace (empty when cluster-scoped), and whether it is a singleton."""


def _sorted_kinds(kinds: Iterable[KindAt]) -> tuple[KindAt, ...]:
    return tuple(sorted(set(kinds)))


def _sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


@frozen(kw_only=True)
class Inventory:
    """What the parent object holds.

    Attributes:
        kinds: every kind and namespace in which members may be.
        claims: ``namespace/template-statefulset`` of every volume claim that a set of ours may
            have made; kept until the data is deleted, also when the set is long gone.
        cluster_uid: the cluster of the first apply.
        release: number of the newest Release.
        volatile: what changes with every apply (plan digest, SDK version, environment …).

    """

    stack_id: str
    namespace: str
    kinds: tuple[KindAt, ...] = field(default=(), converter=_sorted_kinds)
    claims: tuple[str, ...] = field(default=(), converter=_sorted_names)
    cluster_uid: str = ""
    release: int = 0
    volatile: Mapping[str, str] = field(factory=dict)

    @property
    def down(self) -> bool:
        """Whether the stack was, or is being, taken down; the next apply forgets it."""
        return DOWN in self.volatile

    def going_down(self, time: str) -> Inventory:
        """Return the inventory of a stack that is taken down from that time on."""
        return attrs.evolve(self, volatile={**self.volatile, DOWN: time})

    def with_kinds(self, kinds: Iterable[KindAt]) -> Inventory:
        """Return the inventory that covers these kinds too: what is written ahead of an apply."""
        return attrs.evolve(self, kinds=(*self.kinds, *kinds))


def kinds_of(refs: Iterable[tuple[ObjectRef, bool]]) -> set[KindAt]:
    """Return the kinds and namespaces of objects, each with whether it is a singleton."""
    return {(ref.api_version, ref.kind, ref.namespace, single) for ref, single in refs}


def read_inventory(parent: Mapping[str, Any], stack_id: str) -> Inventory:
    """Read a parent object.

    Raises:
        RefusedError: it is not ours, was tampered with, or has a format that we do not know.

    """
    meta = parent.get("metadata") or {}
    name, namespace = meta.get("name", ""), meta.get("namespace", "")
    where = f"inventory ConfigMap/{name} in namespace {namespace}"
    want = applyset_id(name, namespace, "ConfigMap", "")
    if (meta.get("labels") or {}).get(ID) != want:
        msg = f"{where} does not carry its own ApplySet id"
        raise RefusedError(
            msg,
            hint=f"somebody copied or edited it; restore the label {ID}={want} "
            "if you know that it is this stack's, or run `infometis abandon`",
        )
    tooling = (meta.get("annotations") or {}).get(TOOLING, "")
    if not tooling.startswith("infometis-sdk/"):
        msg = f"{where} belongs to the tool {tooling!r}"
        raise RefusedError(msg, hint="choose another stack_id or namespace")
    data = parent.get("data") or {}
    if data.get("format") != FORMAT:
        msg = f"{where} has the format {data.get('format')!r}; this version reads {FORMAT!r}"
        raise RefusedError(msg, hint="use the version of the SDK that wrote it, or a newer one")
    if data.get("stack") != stack_id:
        msg = f"{where} belongs to the stack {data.get('stack')!r}, not to {stack_id!r}"
        raise RefusedError(msg, hint="two environments must not share a stack_id")
    return Inventory(
        stack_id=stack_id,
        namespace=namespace,
        kinds=tuple((v, k, ns, bool(s)) for v, k, ns, s in json.loads(data.get("kinds", "[]"))),
        claims=tuple(json.loads(data.get("claims", "[]"))),
        cluster_uid=data.get("cluster", ""),
        release=int(data.get("release", "0")),
        volatile=json.loads(data.get("last", "{}")),
    )


def inventory_manifest(inventory: Inventory, sdk_version: str) -> dict[str, Any]:
    """Return the parent object to be applied."""
    name, namespace = parent_name(inventory.stack_id), inventory.namespace
    group_kinds = sorted(
        {
            f"{kind}.{group}" if (group := version.rpartition("/")[0]) else kind
            for version, kind, _, _ in inventory.kinds
        }
    )
    others = sorted({ns for _, _, ns, _ in inventory.kinds if ns and ns != namespace})
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {
                ID: applyset_id(name, namespace, "ConfigMap", ""),
                STACK: inventory.stack_id,
                ROLE: "inventory",
                "app.kubernetes.io/managed-by": "infometis-sdk",
            },
            "annotations": {
                TOOLING: f"infometis-sdk/{sdk_version}",
                GROUP_KINDS: ",".join(group_kinds),
                NAMESPACES: ",".join(others),
            },
        },
        "data": {
            "format": FORMAT,
            "stack": inventory.stack_id,
            "manager": manager_of(inventory.stack_id),
            "cluster": inventory.cluster_uid,
            "release": str(inventory.release),
            "kinds": json.dumps(inventory.kinds, separators=(",", ":")),
            "claims": json.dumps(inventory.claims, separators=(",", ":")),
            "last": json.dumps(dict(inventory.volatile), sort_keys=True),
        },
    }
