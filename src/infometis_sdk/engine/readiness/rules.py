"""Is a live object ready? One rule for each kind, generic rules first; pure.

Strictest of kstatus (sigs.k8s.io/cli-utils), Argo CD (gitops-engine ``pkg/health``) and kapp,
plus the cases where they are known to be wrong, each named where it is decided.
``spec`` is always the *live* spec: an autoscaler may own ``replicas``.
A newer ``lastTransitionTime`` is never demanded: a condition that stays true keeps its time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infometis_sdk.engine.readiness import cluster as cluster_kinds, workloads
from infometis_sdk.engine.readiness.custom import custom, eck_elasticsearch, strimzi_kafka
from infometis_sdk.engine.readiness.verdict import (
    Context,
    Verdict,
    condition,
    failing,
    progressing,
    ready,
)
from infometis_sdk.model.reference import ObjectRef

__all__ = (
    "MISSING_SECONDS",
    "TERMINATING_SECONDS",
    "Object",
    "Rule",
    "existence_is_enough",
    "readiness",
)

Object = Mapping[str, Any]
Rule = Callable[[Object, Context], Verdict]

MISSING_SECONDS = 10.0
TERMINATING_SECONDS = 60.0
"""Twice the usual grace period of a pod, for which a foreground deletion waits."""

_RULES: Mapping[tuple[str, str], Rule] = {
    ("apps", "Deployment"): workloads.deployment,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("apps", "ReplicaSet"): workloads.replica_set,
    ("batch", "Job"): workloads.job,
    ("", "Pod"): workloads.pod,
    ("", "PersistentVolumeClaim"): cluster_kinds.claim,
    ("", "PersistentVolume"): cluster_kinds.volume,
    ("", "Service"): cluster_kinds.service,
    ("", "Namespace"): cluster_kinds.namespace,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): cluster_kinds.definition,
    ("apiregistration.k8s.io", "APIService"): cluster_kinds.api_service,
    ("autoscaling", "HorizontalPodAutoscaler"): cluster_kinds.autoscaler,
    ("networking.k8s.io", "Ingress"): cluster_kinds.ingress,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): cluster_kinds.webhook,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): cluster_kinds.webhook,
    ("kafka.strimzi.io", "Kafka"): strimzi_kafka,
    ("elasticsearch.k8s.elastic.co", "Elasticsearch"): eck_elasticsearch,
}

# Groups of Kubernetes itself: a kind of theirs that has no rule above is ready once it exists.
_BUILT_IN = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    }
)


_NOTHING = Context()


def readiness(obj: Object | None, *, context: Context = _NOTHING) -> Verdict:
    """Judge one live object.

    Args:
        obj: as the API server returns it, or ``None`` where a GET by name found nothing.
        context: what the object itself does not say.

    Returns:
        The verdict; times are left to the caller, see :class:`Verdict`.

    Example:
        >>> readiness({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}).state
        'ready'

    """
    if obj is None:
        return _gone(context)
    return _generic(obj) or _rule(obj)(obj, context)


def existence_is_enough(ref: ObjectRef) -> bool:
    """Say whether an object of that kind is ready as soon as it exists."""
    return ref.group in _BUILT_IN and (ref.group, ref.kind) not in _RULES


def _rule(obj: Object) -> Rule:
    ref = ObjectRef.of(obj)
    return _exists if existence_is_enough(ref) else _RULES.get((ref.group, ref.kind), custom)


def _exists(obj: Object, context: Context) -> Verdict:
    del obj, context
    return ready()


def _generic(obj: Object) -> Verdict | None:
    """Apply the rules that hold for every kind."""
    if obj["metadata"].get("deletionTimestamp"):
        return _terminating(obj)
    behind = _behind(obj)
    if behind:
        return progressing(behind)
    stalled = condition(obj, "Stalled")
    if stalled["status"] == "True":
        return Verdict(state="failed", reason=_words("stalled", stalled))
    reconciling = condition(obj, "Reconciling")
    if reconciling["status"] == "True":
        return progressing(_words("reconciling", reconciling))
    return None


def _gone(context: Context) -> Verdict:
    desired = context.desired or {}
    ttl = (desired.get("spec") or {}).get("ttlSecondsAfterFinished")
    if desired.get("kind") == "Job" and ttl is not None and context.seen_running:
        # A failed Job is removed by its TTL too; one that we saw at work and that did not fail
        # while we looked every second or so is taken for complete.
        return ready("finished, and removed by its ttlSecondsAfterFinished")
    # Nobody but us makes it anew, so there is little to wait for.
    return failing("not in the cluster", "Missing", MISSING_SECONDS, state="missing")


def _terminating(obj: Object) -> Verdict:
    meta = obj["metadata"]
    # Namespaces keep theirs in the spec.
    names = [*(meta.get("finalizers") or ()), *((obj.get("spec") or {}).get("finalizers") or ())]
    held = f", held by finalizers {', '.join(names)}" if names else ""
    blockers = [
        str(found.get("message", ""))
        for found in (obj.get("status") or {}).get("conditions") or ()
        if str(found.get("type", "")).startswith("Namespace") and found.get("status") == "True"
    ]
    text = "; ".join((f"being deleted{held}", *blockers))
    return failing(text, "Terminating", TERMINATING_SECONDS, state="terminating")


def _behind(obj: Object) -> str:
    """Say whether the status speaks of an older object than the one that was applied."""
    meta = obj["metadata"]
    status = obj.get("status") or {}
    observed = status.get("observedGeneration")
    # Our reads ask for no resourceVersion, so they are never older than what was written before
    # ("Most Recent" in https://kubernetes.io/docs/reference/using-api/api-concepts/).
    wanted = int(meta.get("generation") or 0)
    if isinstance(observed, int) and observed < wanted:
        return f"its controller has seen generation {observed} of {wanted}"
    return ""


def _words(what: str, found: Object) -> str:
    text = ": ".join(str(found[key]) for key in ("reason", "message") if found.get(key))
    return f"{what}: {text}" if text else what
