"""What is fetched to explain what is not ready: at most one LIST per kind and namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.engine.readiness.verdict import condition
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.errors import ForbiddenError, NotFoundError, UnknownKindError

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    owners = {_uid(obj)}
    if obj.get("kind") == "Deployment":
        # Only the newest counts: pods of an old version that crash are on their way out.
        sets = sorted((r for r in evidence.replica_sets if _owned(r, owners)), key=_revision)
        owners = {_uid(sets[-1])} if sets else set()
    pods = tuple(p for p in evidence.pods if _owned(p, owners))
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
    uids = {_uid(obj) for obj in objects}
    found = [e for e in evidence.events if (e.get("involvedObject") or {}).get("uid") in uids]
    return tuple(sorted(found, key=_moment))


def replica_sets_of(obj: Object, evidence: Evidence) -> tuple[Object, ...]:
    """Return the ReplicaSets of a Deployment."""
    return tuple(r for r in evidence.replica_sets if _owned(r, {_uid(obj)}))


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


def _owned(obj: Object, uids: set[str]) -> bool:
    references = (obj.get("metadata") or {}).get("ownerReferences") or ()
    return any(r.get("controller") and r.get("uid") in uids for r in references)


def _revision(replica_set: Object) -> int:
    notes = (replica_set.get("metadata") or {}).get("annotations") or {}
    text = str(notes.get("deployment.kubernetes.io/revision") or "")
    return int(text) if text.isdigit() else 0
