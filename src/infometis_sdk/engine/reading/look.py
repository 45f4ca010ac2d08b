"""Read the live objects behind a set of references: one LIST per kind and namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.engine.objects.marks import STACK
from infometis_sdk.engine.readiness.rules import existence_is_enough
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.errors import ForbiddenError, UnknownKindError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infometis_sdk.model.reference import ObjectRef
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.cluster import Cluster

__all__ = (
    "Key",
    "Object",
    "Sight",
    "endpoints",
    "look",
)

Key = tuple[str, str, str, str]
Object = Mapping[str, Any]


@frozen(kw_only=True)
class Sight:
    """What one round of reading saw.

    Attributes:
        objects: by :attr:`ObjectRef.key`; ``None`` where a GET by name found nothing.
        problems: why an object could not be read.

    """

    objects: Mapping[Key, Object | None] = field(factory=dict)
    problems: Mapping[Key, str] = field(factory=dict)


def look(cluster: Cluster, refs: Iterable[ObjectRef], stack_id: str, run: Run) -> Sight:
    """Read objects: one LIST by stack label where several of a kind are wanted, else by name.

    Nothing is called missing before a GET by name: its label may have been taken away,
    and singletons carry another one.

    Raises:
        ClusterError: the API server does not answer, or not to us; 403 on a kind is a problem of
            its objects and no error.

    """
    found: dict[Key, Object | None] = {}
    problems: dict[Key, str] = {}
    groups: dict[tuple[str, str, str], list[ObjectRef]] = {}
    for ref in refs:
        groups.setdefault((ref.api_version, ref.kind, ref.namespace), []).append(ref)
    several = [group for group in groups.values() if len(group) > 1]

    def listing(group: list[ObjectRef]) -> tuple[Object, ...] | str:
        return _list(cluster, group[0], f"{STACK}={stack_id}", run)

    for group, answer in zip(several, parallel(listing, several, run, "listing"), strict=True):
        if isinstance(answer, str):
            problems.update((ref.key, answer) for ref in group)
        else:
            wanted = {ref.key for ref in group}
            listed = {_key(group[0], obj): obj for obj in answer}
            found.update((key, listed[key]) for key in wanted & listed.keys())
    rest = [
        ref
        for group in groups.values()
        for ref in group
        if ref.key not in found and ref.key not in problems
    ]

    def reading(ref: ObjectRef) -> Object | str | None:
        try:
            return cluster.get(ref, run)
        except UnknownKindError:
            return None
        except ForbiddenError as error:
            return error.message

    for ref, one in zip(rest, parallel(reading, rest, run, "reading objects"), strict=True):
        if isinstance(one, str):
            problems[ref.key] = one
        else:
            found[ref.key] = one
    return Sight(objects=found, problems=problems)


def _list(cluster: Cluster, first: ObjectRef, labels: str, run: Run) -> tuple[Object, ...] | str:
    try:
        return cluster.list(
            first.api_version,
            first.kind,
            run,
            namespace=first.namespace,
            labels=labels,
            # Values of Secrets are never fetched where their existence is all that counts.
            metadata_only=existence_is_enough(first),
        )
    except UnknownKindError:
        return ()
    except ForbiddenError as error:
        return error.message


def _key(like: ObjectRef, obj: Object) -> Key:
    meta = obj["metadata"]
    return (like.group, like.kind, meta.get("namespace") or "", meta["name"])


def endpoints(cluster: Cluster, namespace: str, service: str, run: Run) -> int:
    """Count the ready endpoints of a Service."""
    slices = cluster.list(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        run,
        namespace=namespace,
        labels=f"kubernetes.io/service-name={service}",
    )
    return sum(
        len(one.get("addresses") or ())
        for piece in slices
        for one in piece.get("endpoints") or ()
        # nil means unknown, which consumers should read as ready (discovery/v1 EndpointConditions)
        if (one.get("conditions") or {}).get("ready") is not False
    )
