"""What is fetched to explain what is not ready: at most one LIST per kind and namespace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.engine.readiness.verdict import condition
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.errors import ForbiddenError, NotFoundError, UnknownKindError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.cluster import Cluster

__all__ = (
    "Evidence",
    "Object",
    "earlier",
    "events_about",
    "gather",
    "pods_of",
    "replica_sets_of",
)

Object = Mapping[str, Any]

_NAMESPACED = {
    "pods": ("v1", "Pod"),
    "replica_sets": ("apps/v1", "ReplicaSet"),
    "events": ("v1", "Event"),
    "claims": ("v1", "PersistentVolumeClaim"),
}
_CLUSTER_WIDE = {"classes": ("storage.k8s.io/v1", "StorageClass"), "nodes": ("v1", "Node")}


@frozen(kw_only=True)
class Evidence:
    """Objects round the ones that are not ready.

    Attributes:
        pods, replica_sets, events, claims: of all the namespaces concerned.
        classes, nodes: of the cluster; ``None`` where nobody looked or we may not look.

    """

    pods: tuple[Object, ...] = ()
    replica_sets: tuple[Object, ...] = ()
    events: tuple[Object, ...] = ()
    claims: tuple[Object, ...] = ()
    classes: tuple[Object, ...] | None = None
    nodes: tuple[Object, ...] | None = None

    # Each is asked for once per object that is not ready, and there may be thousands of both.

    @cached_property
    def pods_by_owner(self) -> Mapping[str, Sequence[Object]]:
        """Pods by the UID of their controller."""
        return _by_owner(self.pods)

    @cached_property
    def sets_by_owner(self) -> Mapping[str, Sequence[Object]]:
        """ReplicaSets by the UID of their controller."""
        return _by_owner(self.replica_sets)

    @cached_property
    def events_by_object(self) -> Mapping[str, Sequence[Object]]:
        """Events by the UID of the object that they are about."""
        about: dict[str, list[Object]] = defaultdict(list)
        for event in self.events:
            about[str((event.get("involvedObject") or {}).get("uid"))].append(event)
        return about


def _by_owner(objects: Iterable[Object]) -> Mapping[str, Sequence[Object]]:
    owned: dict[str, list[Object]] = defaultdict(list)
    for obj in objects:
        for owner in (obj.get("metadata") or {}).get("ownerReferences") or ():
            if owner.get("controller"):
                owned[str(owner.get("uid"))].append(obj)
    return owned


@frozen(kw_only=True)
class _Question:
    part: str
    namespace: str = field(default="")


def gather(
    cluster: Cluster, namespaces: Iterable[str], run: Run, *, parts: Iterable[str]
) -> Evidence:
    """Fetch evidence.

    Args:
        cluster: the API.
        namespaces: where the objects that are not ready live.
        run: deadline and cancel token.
        parts: names of fields of :class:`Evidence`.

    Returns:
        What could be read; a kind that may not be listed is left empty, since an explanation
        that lacks a part is better than none.

    """
    spaces = sorted(set(namespaces))
    questions = [
        _Question(part=part, namespace=space)
        for part in parts
        for space in (spaces if part in _NAMESPACED else ("",))
    ]

    def ask(question: _Question) -> tuple[Object, ...] | None:
        version, kind = {**_NAMESPACED, **_CLUSTER_WIDE}[question.part]
        try:
            return cluster.list(version, kind, run, namespace=question.namespace)
        except (ForbiddenError, NotFoundError, UnknownKindError):
            return None

    found: dict[str, tuple[Object, ...]] = {}
    answers = parallel(ask, questions, run, "gathering evidence")
    for question, answer in zip(questions, answers, strict=True):
        if answer is not None:
            found[question.part] = (*found.get(question.part, ()), *answer)
    return Evidence(**found)


def pods_of(obj: Object, evidence: Evidence) -> tuple[Object, ...]:
    """Return the pods of a workload that count; of its newest version where both are there.

    Found through ownerReferences, over the ReplicaSets for a Deployment.
    A StatefulSet that goes pod by pod waits for each one, of whatever version, so one of an
    earlier version counts for as long as it is not ready.
    """
    if obj.get("kind") == "Pod":
        return (obj,)
    owner: Object | None = obj
    if obj.get("kind") == "Deployment":
        # Only the newest counts: pods of an old version that crash are on their way out.
        owner = max(reversed(replica_sets_of(obj, evidence)), key=_revision, default=None)
    pods = tuple(evidence.pods_by_owner.get(_uid(owner), ())) if owner is not None else ()
    if obj.get("kind") != "StatefulSet":
        return pods
    return tuple(p for p in pods if not earlier(obj, p) or _waited_for(obj, p)) or pods


def earlier(stateful_set: Object, pod: Object) -> bool:
    """Whether a pod of a StatefulSet is of an earlier version than the one wanted now."""
    revision = str((stateful_set.get("status") or {}).get("updateRevision") or "")
    return bool(revision) and _labels(pod).get("controller-revision-hash") != revision


def _waited_for(stateful_set: Object, pod: Object) -> bool:
    in_turn = (stateful_set.get("spec") or {}).get("podManagementPolicy") != "Parallel"
    return in_turn and condition(pod, "Ready")["status"] != "True"


def events_about(objects: Iterable[Object], evidence: Evidence) -> tuple[Object, ...]:
    """Return events that concern any of the objects, oldest first.

    Their times all come from the cluster's clock and are compared with each other only.
    """
    uids = dict.fromkeys(_uid(obj) for obj in objects)
    found = (event for uid in uids for event in evidence.events_by_object.get(uid, ()))
    return tuple(sorted(found, key=_moment))


def replica_sets_of(obj: Object, evidence: Evidence) -> tuple[Object, ...]:
    """Return the ReplicaSets of a Deployment."""
    return tuple(evidence.sets_by_owner.get(_uid(obj), ()))


def _moment(event: Object) -> str:
    # RFC 3339 in UTC, so text order is time order; microseconds sort after the bare second.
    series = (event.get("series") or {}).get("lastObservedTime")
    meta = event.get("metadata") or {}
    for time in (series, event.get("lastTimestamp"), event.get("eventTime")):
        if time:
            return str(time).rstrip("Z")
    return str(meta.get("creationTimestamp") or "").rstrip("Z")


def _uid(obj: Object) -> str:
    return str((obj.get("metadata") or {}).get("uid") or "")


def _labels(obj: Object) -> Mapping[str, str]:
    return (obj.get("metadata") or {}).get("labels") or {}


def _revision(replica_set: Object) -> int:
    notes = (replica_set.get("metadata") or {}).get("annotations") or {}
    text = str(notes.get("deployment.kubernetes.io/revision") or "")
    return int(text) if text.isdigit() else 0
