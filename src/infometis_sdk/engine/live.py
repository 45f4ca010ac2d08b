"""What is in the cluster now: one LIST per kind and namespace, a GET only for what that lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.engine.inventory import Inventory, read_inventory
from infometis_sdk.engine.inventory_id import cluster_applyset_id, parent_name
from infometis_sdk.engine.marks import PART_OF, STACK
from infometis_sdk.engine.parallel import parallel
from infometis_sdk.errors import ForbiddenError, UnknownKindError
from infometis_sdk.model.reference import ObjectRef

if TYPE_CHECKING:
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("FEW", "Live", "observe")

Key = tuple[str, str, str, str]
Object = Mapping[str, Any]

FEW = 4
"""Up to this many objects of a kind and namespace are asked for by name;
beyond it one LIST without a label is cheaper than the GETs."""


@frozen(kw_only=True)
class Live:
    """What was found.

    Attributes:
        objects: by :attr:`ObjectRef.key`; labelled as ours, or desired and found by name.
        missing_namespaces: namespaces that are not there; nothing can be in them.
        missing_kinds: ``(api_version, kind)`` that the API server does not serve (yet).
        inventory: the stack's own; ``None`` before the first apply.
        inventory_object: the object that it was read from.
        incomplete: what might not be listed, in words; prune is incomplete where this is not empty.

    """

    objects: Mapping[Key, Object]
    missing_namespaces: frozenset[str] = frozenset()
    missing_kinds: frozenset[tuple[str, str]] = frozenset()
    inventory: Inventory | None = None
    inventory_object: Object | None = None
    incomplete: tuple[str, ...] = field(default=(), converter=tuple[str, ...])

    def get(self, ref: ObjectRef) -> Object | None:
        """Return the live object, or ``None``."""
        return self.objects.get(ref.key)

    def of_kind(self, kind: str) -> Iterable[Object]:
        """Return every object found of a kind."""
        return (obj for key, obj in self.objects.items() if key[1] == kind)


@frozen(kw_only=True)
class _Query:
    api_version: str
    kind: str
    namespace: str
    labels: str

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What is asked for, whatever the version."""
        return (self.api_version.rpartition("/")[0], self.kind, self.namespace, self.labels)


def observe(
    cluster: Cluster,
    stack_id: str,
    namespace: str,
    wanted: Iterable[tuple[ObjectRef, bool]],
    run: Run,
    *,
    secrets: bool = True,
) -> Live:
    """Look at everything that the stack wants or has.

    Args:
        cluster: the API.
        stack_id: the stack.
        namespace: its home namespace.
        wanted: what is desired, each with whether it is a singleton of the cluster.
            What carries no label of ours is asked for by name,
            since nothing is called missing before that.
        run: deadline and cancel token.
        secrets: whether the stack has credentials.

    Raises:
        ClusterError: the API server does not answer, or not to us.

    """
    desired = tuple(wanted)
    stack = f"{STACK}={stack_id}"
    shared = f"{PART_OF}={cluster_applyset_id()}"
    home = namespace
    queries = {
        _Query(api_version="v1", kind="ConfigMap", namespace=home, labels=stack),
        *(_query(ref, shared if single else stack) for ref, single in desired),
    }
    if secrets:
        queries.add(_Query(api_version="v1", kind="Secret", namespace=home, labels=stack))
    found: dict[Key, Object] = {}
    unserved: set[tuple[str, str]] = set()
    incomplete: list[str] = []

    def ask(query: _Query) -> tuple[Object, ...] | ForbiddenError | None:
        try:
            return tuple(
                cluster.list(
                    query.api_version,
                    query.kind,
                    run,
                    namespace=query.namespace,
                    labels=query.labels,
                )
            )
        except UnknownKindError:
            return None
        except ForbiddenError as error:
            return error

    def collect(batch: list[_Query]) -> None:
        for query, answer in zip(batch, parallel(ask, batch, run, "listing objects"), strict=True):
            if answer is None:
                unserved.add((query.api_version, query.kind))
            elif isinstance(answer, ForbiddenError):
                incomplete.append(answer.message)
            else:
                found.update((ObjectRef.of(obj).key, obj) for obj in answer)

    first = sorted(
        queries, key=lambda q: (q.kind != "ConfigMap", q.kind, q.api_version, q.namespace)
    )
    collect(first)
    parent = found.pop(("", "ConfigMap", home, parent_name(stack_id)), None)
    inventory = read_inventory(parent, stack_id) if parent else None
    if inventory:
        # An object is served by all versions of its group, so the version does not matter.
        asked = {q.identity for q in queries}
        more = [
            _Query(api_version=v, kind=k, namespace=ns, labels=shared if single else stack)
            for v, k, ns, single in inventory.kinds
        ]
        collect(list({q.identity: q for q in more if q.identity not in asked}.values()))
    missing_namespaces: set[str] = set()
    _find_by_name(cluster, [ref for ref, _ in desired], run, found, missing_namespaces, unserved)
    return Live(
        objects=found,
        missing_namespaces=frozenset(missing_namespaces),
        missing_kinds=frozenset(unserved),
        inventory=inventory,
        inventory_object=parent,
        incomplete=incomplete,
    )


def _query(ref: ObjectRef, labels: str) -> _Query:
    return _Query(
        api_version=ref.api_version, kind=ref.kind, namespace=ref.namespace, labels=labels
    )


def _find_by_name(
    cluster: Cluster,
    desired: list[ObjectRef],
    run: Run,
    found: dict[Key, Object],
    missing_namespaces: set[str],
    unserved: set[tuple[str, str]],
) -> None:
    """Look for desired objects that carry no label of ours."""
    absent = [ref for ref in desired if ref.key not in found]
    if not absent:
        return
    # Namespaces first: where one is missing, nothing in it need be asked for.
    spaces = {ref.namespace for ref in absent if ref.namespace}
    known = {key[3] for key in found if key[1] == "Namespace"} | {key[2] for key in found}
    unknown = sorted(spaces - known)

    def space(name: str) -> Object | None:
        try:
            return cluster.get(ObjectRef(api_version="v1", kind="Namespace", name=name), run)
        except ForbiddenError:
            return {}  # a guest may not look; the namespace was assigned, so it is there

    for name, obj in zip(
        unknown, parallel(space, unknown, run, "looking for namespaces"), strict=True
    ):
        if obj is None:
            missing_namespaces.add(name)
        elif obj and any(r.kind == "Namespace" and r.name == name for r in absent):
            found[ObjectRef.of(obj).key] = obj
    groups: dict[tuple[str, str, str], list[ObjectRef]] = {}
    for ref in absent:
        if ref.key in found or ref.namespace in missing_namespaces:
            continue
        if (ref.api_version, ref.kind) in unserved or (
            ref.kind == "Namespace" and ref.name in missing_namespaces
        ):
            continue
        groups.setdefault((ref.api_version, ref.kind, ref.namespace), []).append(ref)
    wanted: list[ObjectRef] = []
    many = [group for group in groups.values() if len(group) > FEW]
    for group in groups.values():
        if len(group) <= FEW:
            wanted += group

    def names(group: list[ObjectRef]) -> list[ObjectRef]:
        first = group[0]
        there = {
            (obj.get("metadata") or {}).get("name")
            for obj in cluster.list(
                first.api_version, first.kind, run, namespace=first.namespace, metadata_only=True
            )
        }
        return [ref for ref in group if ref.name in there]

    for present in parallel(names, many, run, "looking for objects"):
        wanted += present
    for obj in parallel(lambda ref: cluster.get(ref, run), wanted, run, "looking for objects"):
        if obj is not None:
            found[ObjectRef.of(obj).key] = obj
