"""What is in the cluster now: one LIST per kind and namespace, a GET only for what that lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from infometis_sdk.engine.objects.inventory_id import cluster_applyset_id, parent_name
from infometis_sdk.engine.objects.marks import PART_OF, STACK
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.engine.writing.inventory import Inventory, read_inventory
from infometis_sdk.errors import ForbiddenError, UnknownKindError
from infometis_sdk.model.reference import ObjectRef

if TYPE_CHECKING:
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.cluster import Cluster

__all__ = (
    "FEW",
    "Key",
    "Live",
    "Object",
    "observe",
)

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
    seen = _Seen()

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
                seen.unserved.add((query.api_version, query.kind))
            elif isinstance(answer, ForbiddenError):
                seen.incomplete.append(answer.message)
            else:
                seen.objects.update((ObjectRef.of(obj).key, obj) for obj in answer)

    collect(sorted(queries, key=lambda q: (q.kind != "ConfigMap", q.kind, q.namespace)))
    parent = seen.objects.pop(("", "ConfigMap", home, parent_name(stack_id)), None)
    inventory = read_inventory(parent, stack_id) if parent else None
    if inventory:
        # An object is served by all versions of its group, so the version does not matter.
        asked = {q.identity for q in queries}
        more = [
            _Query(api_version=v, kind=k, namespace=ns, labels=shared if single else stack)
            for v, k, ns, single in inventory.kinds
        ]
        collect(list({q.identity: q for q in more if q.identity not in asked}.values()))
    _find_by_name(cluster, [ref for ref, _ in desired], seen, run)
    return Live(
        objects=seen.objects,
        missing_namespaces=frozenset(seen.missing_namespaces),
        missing_kinds=frozenset(seen.unserved),
        inventory=inventory,
        inventory_object=parent,
        incomplete=seen.incomplete,
    )


def _query(ref: ObjectRef, labels: str) -> _Query:
    return _Query(
        api_version=ref.api_version, kind=ref.kind, namespace=ref.namespace, labels=labels
    )


@define
class _Seen:
    """What was found so far."""

    objects: dict[Key, Object] = field(factory=dict)
    missing_namespaces: set[str] = field(factory=set)
    unserved: set[tuple[str, str]] = field(factory=set)
    incomplete: list[str] = field(factory=list)


def _find_by_name(cluster: Cluster, desired: Sequence[ObjectRef], seen: _Seen, run: Run) -> None:
    """Look for desired objects that carry no label of ours."""
    absent = [ref for ref in desired if ref.key not in seen.objects]
    _find_namespaces(cluster, absent, seen, run)
    groups: dict[tuple[str, str, str], list[ObjectRef]] = {}
    for ref in absent:
        if _may_be_there(ref, seen):
            groups.setdefault((ref.api_version, ref.kind, ref.namespace), []).append(ref)

    def get(ref: ObjectRef) -> Object | str | None:
        try:
            return cluster.get(ref, run)
        except ForbiddenError as error:
            return error.message

    doing = "looking for objects"
    named = parallel(lambda group: _present(cluster, group, run), groups.values(), run, doing)
    for obj in parallel(get, [ref for refs in named for ref in refs], run, doing):
        if isinstance(obj, str):
            seen.incomplete.append(obj)
        elif obj is not None:
            seen.objects[ObjectRef.of(obj).key] = obj


def _may_be_there(ref: ObjectRef, seen: _Seen) -> bool:
    """Whether an object has to be asked for: it is not found yet, and has a place to be in."""
    place = ref.name if ref.kind == "Namespace" else ref.namespace
    return (
        ref.key not in seen.objects
        and place not in seen.missing_namespaces
        and (ref.api_version, ref.kind) not in seen.unserved
    )


def _present(cluster: Cluster, group: list[ObjectRef], run: Run) -> list[ObjectRef]:
    """Leave out, by one LIST of names, what is not there; of a few objects each is asked for."""
    if len(group) <= FEW:
        return group
    kind = group[0]
    try:
        found = cluster.list(
            kind.api_version, kind.kind, run, namespace=kind.namespace, metadata_only=True
        )
    except ForbiddenError:
        return group  # who may not list may still get
    names = {obj["metadata"]["name"] for obj in found}
    return [ref for ref in group if ref.name in names]


def _find_namespaces(cluster: Cluster, absent: Sequence[ObjectRef], seen: _Seen, run: Run) -> None:
    """Look for namespaces first: where one is missing, nothing in it need be asked for."""
    known = {key[3] for key in seen.objects if key[1] == "Namespace"}
    known |= {key[2] for key in seen.objects}
    unknown = sorted({ref.namespace for ref in absent if ref.namespace} - known)
    wanted = {ref.name for ref in absent if ref.kind == "Namespace"}

    def get(name: str) -> Object | None:
        try:
            return cluster.get(ObjectRef(api_version="v1", kind="Namespace", name=name), run)
        except ForbiddenError:
            return {}  # a guest may not look; the namespace was assigned, so it is there

    spaces = parallel(get, unknown, run, "looking for namespaces")
    for name, obj in zip(unknown, spaces, strict=True):
        if obj is None:
            seen.missing_namespaces.add(name)
        elif obj and name in wanted:
            seen.objects[ObjectRef.of(obj).key] = obj
