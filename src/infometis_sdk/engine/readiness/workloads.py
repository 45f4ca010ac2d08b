"""Readiness of what runs pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infometis_sdk.engine.readiness.verdict import (
    CONFIRM_SECONDS,
    Context,
    Verdict,
    condition,
    failing,
    progressing,
    ready,
)

__all__ = (
    "AUTOSCALED_SECONDS",
    "CRASH_LOOP_RESTARTS",
    "CRASH_LOOP_SECONDS",
    "IMAGE_PULL_SECONDS",
    "REPLICA_FAILURE_SECONDS",
    "UNPROVED_SECONDS",
    "UNSCHEDULABLE_SECONDS",
    "VOLUME_SECONDS",
    "Object",
    "daemon_set",
    "deployment",
    "job",
    "pod",
    "replica_set",
    "stateful_set",
)

Object = Mapping[str, Any]

IMAGE_PULL_SECONDS = 60.0
"""A registry may hiccup; the kubelet tries again after 10, 20 and 40 s."""

CRASH_LOOP_RESTARTS = 3
CRASH_LOOP_SECONDS = 60.0
"""A service that starts before its peer may crash a few times and recover."""

UNSCHEDULABLE_SECONDS = 15.0
AUTOSCALED_SECONDS = 60.0
"""A new node takes that long to be asked for; afterwards the pod counts as failed."""

VOLUME_SECONDS = 60.0
"""A pod is unschedulable while its volume is being made, which takes a cloud tens of seconds."""

REPLICA_FAILURE_SECONDS = 60.0
"""A quota may be freed by pods that are still terminating."""

UNPROVED_SECONDS = 3.0
"""A container without a readiness probe counts as ready while it runs, also the moment before it
crashes. The kubelet notices its end within about a second, and reports that within another."""

_NEVER = frozenset({"ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError"})
_PULL = frozenset({"ImagePullBackOff", "ErrImagePull", "ImageInspectError", "RegistryUnavailable"})
_CRASH = frozenset({"CrashLoopBackOff"})
_CREATE = frozenset({"CreateContainerError", "RunContainerError"})


def deployment(obj: Object, context: Context) -> Verdict:
    """Judge a Deployment."""
    del context
    spec, status = _parts(obj)
    if spec.get("paused"):
        return Verdict(state="suspended", reason="its rollout is paused")
    progress = condition(obj, "Progressing")
    wanted, up = _count(spec, "replicas", 1), _count(status, "readyReplicas")
    if progress["status"] == "False" and progress["reason"] == "ProgressDeadlineExceeded":
        limit = _count(spec, "progressDeadlineSeconds", 600)
        # Not final: it goes on once the cause is gone, and the cause may just have been mended.
        text = f"no progress within {limit} s, {_pods(up, wanted)}"
        return failing(text, "ProgressDeadlineExceeded", 0)
    refusal = _refusal(obj)
    if refusal:
        return refusal
    obstacle = _rollout(obj, wanted, up)
    return progressing(obstacle) if obstacle else ready(_pods(up, wanted), confirm=_unproved(obj))


def _rollout(obj: Object, wanted: int, up: int) -> str:
    """Say what a Deployment's rollout still lacks."""
    spec, status = _parts(obj)
    total, updated = _count(status, "replicas"), _count(status, "updatedReplicas")
    available = _count(status, "availableReplicas")
    deadline = _count(spec, "progressDeadlineSeconds", _NO_DEADLINE)
    steps = (
        (status.get("observedGeneration") is not None, _UNSEEN),
        (updated == wanted, f"{updated} of {wanted} pods are of the new version"),
        (total == wanted, f"{total - updated} pods of the old version are still there"),
        (up >= wanted, _pods(up, wanted)),
        (available >= updated, f"{available} of {wanted} pods available"),
        (condition(obj, "Available")["status"] == "True", "not available yet"),
        (
            # Without a deadline (the largest int32) there is no such reason to wait for.
            deadline == _NO_DEADLINE
            or condition(obj, "Progressing")["reason"] == "NewReplicaSetAvailable",
            "the rollout is not reported complete yet",
        ),
    )
    return next((text for fulfilled, text in steps if not fulfilled), "")


def _refusal(obj: Object) -> Verdict | None:
    found = condition(obj, "ReplicaFailure")
    if found["status"] != "True":
        return None
    text = f"pods cannot be created: {found.get('message') or found.get('reason')}"
    return failing(text, "ReplicaFailure", REPLICA_FAILURE_SECONDS)


_NO_DEADLINE = 2**31 - 1
_UNSEEN = "its controller has not seen it yet"


def stateful_set(obj: Object, context: Context) -> Verdict:
    """Judge a StatefulSet."""
    spec, status = _parts(obj)
    wanted, up = _count(spec, "replicas", 1), _count(status, "readyReplicas")
    total, updated = _count(status, "replicas"), _count(status, "updatedReplicas")
    available = _count(status, "availableReplicas")
    strategy = spec.get("updateStrategy") or {}
    by_hand = strategy.get("type") == "OnDelete"
    partition = _count(strategy.get("rollingUpdate") or {}, "partition")
    new = max(0, wanted - partition)
    steps = (
        (status.get("observedGeneration") is not None, _UNSEEN),
        (up == wanted, _pods(up, wanted)),
        (by_hand or updated >= new, f"{updated} of {new} pods are of the new version"),
        (total == wanted, f"{total} pods, {wanted} wanted"),
        (
            not spec.get("minReadySeconds") or available >= wanted,
            f"{available} of {wanted} pods available",
        ),
        (
            by_hand or partition or status.get("currentRevision") == status.get("updateRevision"),
            "the rollout is not reported complete yet",
        ),
        # kstatus calls an OnDelete set ready at once; ECK, which uses OnDelete, is then reported
        # ready before a single pod runs (elastic/cloud-on-k8s#1859).
        (not by_hand or context.owner_ready is not False, "its owner is not ready"),
    )
    obstacle = next((text for fulfilled, text in steps if not fulfilled), "")
    if obstacle:
        return progressing(obstacle)
    old = wanted - updated if by_hand else 0
    note = f", {old} of an old version until deleted" if old > 0 else ""
    return ready(_pods(up, wanted) + note, confirm=_unproved(obj))


def daemon_set(obj: Object, context: Context) -> Verdict:
    """Judge a DaemonSet."""
    del context
    spec, status = _parts(obj)
    if status.get("observedGeneration") is None:
        return progressing(_UNSEEN)
    wanted = _count(status, "desiredNumberScheduled")
    if wanted == 0:
        return ready("no node matches it: no pods wanted")
    updated, available = _count(status, "updatedNumberScheduled"), _count(status, "numberAvailable")
    by_hand = (spec.get("updateStrategy") or {}).get("type") == "OnDelete"
    if not by_hand and updated != wanted:
        return progressing(f"{updated} of {wanted} pods are of the new version")
    if available != wanted:
        return progressing(f"{available} of {wanted} pods available")
    return ready(_pods(available, wanted), confirm=_unproved(obj))


def replica_set(obj: Object, context: Context) -> Verdict:
    """Judge a ReplicaSet that stands alone."""
    del context
    spec, status = _parts(obj)
    wanted, up = _count(spec, "replicas", 1), _count(status, "readyReplicas")
    refusal = _refusal(obj)
    if refusal:
        return refusal
    if status.get("observedGeneration") is None:
        return progressing(_UNSEEN)
    whole = up == wanted == _count(status, "replicas")
    return ready(_pods(up, wanted)) if whole else progressing(_pods(up, wanted))


def job(obj: Object, context: Context) -> Verdict:
    """Judge a Job.

    kstatus calls a *running* Job ready (it is "current"); what comes after a migration then
    starts before the migration has ended.
    """
    del context
    spec, status = _parts(obj)
    failed = condition(obj, "Failed")
    if failed["status"] == "True":
        text = ": ".join(str(failed[k]) for k in ("reason", "message") if failed.get(k))
        return Verdict(state="failed", reason=text or "failed")
    done, wanted = _count(status, "succeeded"), _count(spec, "completions", 1)
    if condition(obj, "Complete")["status"] == "True":
        return ready(f"complete, {done} succeeded")
    if spec.get("suspend"):
        return Verdict(state="suspended", reason="the job is suspended")
    doomed = condition(obj, "FailureTarget")
    if doomed["status"] == "True":
        return progressing(f"failing, its pods are being removed: {doomed.get('message', '')}")
    tries = f", {_count(status, 'failed')} failed" if _count(status, "failed") else ""
    return progressing(f"{done} of {wanted} done, {_count(status, 'active')} running{tries}")


def pod(obj: Object, context: Context) -> Verdict:
    """Judge a pod; also what makes its workload fail.

    kluctl's rule never accepts a running pod; ours does once it is ready.
    """
    spec, status = _parts(obj)
    phase = status.get("phase")
    if phase == "Succeeded":
        return ready("succeeded")
    if phase == "Failed":
        text = ": ".join(str(status[k]) for k in ("reason", "message") if status.get(k))
        return Verdict(state="failed", reason=text or _exits(status) or "failed")
    trouble = _scheduling(obj, context) or _containers(status)
    if trouble:
        return trouble
    if phase == "Running" and condition(obj, "Ready")["status"] == "True":
        known = status.get("observedGeneration") is not None
        return ready("running", confirm=max(0.0 if known else CONFIRM_SECONDS, _unproved(obj)))
    names = [c.get("name", "") for c in status.get("containerStatuses") or () if not c.get("ready")]
    if phase == "Running" and names:
        return progressing(f"container {', '.join(names)} is not ready")
    waiting = [
        f"{c.get('name')}: {c['state']['waiting'].get('reason', 'waiting')}"
        for c in _statuses(status)
        if (c.get("state") or {}).get("waiting")
    ]
    where = f" on {spec['nodeName']}" if spec.get("nodeName") else ""
    return progressing("; ".join(waiting) or f"{str(phase or 'Pending').lower()}{where}")


def _scheduling(obj: Object, context: Context) -> Verdict | None:
    placed = condition(obj, "PodScheduled")
    if placed["status"] != "False" or placed["reason"] not in {"Unschedulable", "SchedulerError"}:
        return None
    text = str(placed.get("message") or "")
    patience = AUTOSCALED_SECONDS if context.autoscaled else UNSCHEDULABLE_SECONDS
    # Two causes that pass by themselves on a healthy cluster: a volume in the making,
    # and nodes that are just joining.
    if "PersistentVolumeClaim" in text or "persistentvolumeclaim" in text:
        patience = VOLUME_SECONDS
    elif "node.kubernetes.io/not-ready" in text or "no nodes available" in text:
        patience = max(patience, AUTOSCALED_SECONDS)
    return failing(f"cannot be scheduled: {text}", "Unschedulable", patience)


def _containers(status: Object) -> Verdict | None:
    for found in _statuses(status):
        waiting = (found.get("state") or {}).get("waiting") or {}
        reason, name = str(waiting.get("reason") or ""), found.get("name", "")
        told = f": {waiting['message']}" if waiting.get("message") else ""
        if reason in _NEVER:
            return failing(f"container {name}: {reason}{told}", reason, 0)
        if reason in _PULL:
            # ErrImagePull and ImagePullBackOff take turns: one symptom.
            text = f"container {name}: image {found.get('image', '')} cannot be pulled{told}"
            return failing(text, "ImagePullBackOff", IMAGE_PULL_SECONDS)
        if reason in _CREATE:
            return failing(f"container {name}: {reason}{told}", reason, CRASH_LOOP_SECONDS)
        if _crashing(found, reason):
            count = _count(found, "restartCount")
            text = f"container {name} crashes: {count} restarts{_last_exit(found)}"
            patience = CRASH_LOOP_SECONDS if count >= CRASH_LOOP_RESTARTS else float("inf")
            return failing(text, "CrashLoopBackOff", patience)
    return None


def _crashing(found: Object, reason: str) -> bool:
    """Say whether a container goes down again and again.

    Between two crashes it runs for a moment, and the symptom must not start anew then:
    one that has restarted often and is not ready still counts.
    """
    if reason in _CRASH:
        return True
    return _count(found, "restartCount") >= CRASH_LOOP_RESTARTS and not found.get("ready")


def _last_exit(found: Object) -> str:
    ended = (found.get("lastState") or {}).get("terminated") or {}
    if not ended:
        return ""
    why = f" ({ended['reason']})" if ended.get("reason") not in {None, "", "Error"} else ""
    return f", last exit code {ended.get('exitCode')}{why}"


def _exits(status: Object) -> str:
    for found in _statuses(status):
        ended = (found.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            why = f" ({ended['reason']})" if ended.get("reason") not in {None, "", "Error"} else ""
            return f"container {found.get('name')} ended with exit code {ended['exitCode']}{why}"
    return ""


def _statuses(status: Object) -> tuple[Object, ...]:
    """Return the statuses of all containers; init containers first, since they run first."""
    return (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))


def _unproved(obj: Object) -> float:
    """Return for how long a good state has to last, since nothing in the pods proves it."""
    spec = obj.get("spec") or {}
    if _count(spec, "minReadySeconds") >= UNPROVED_SECONDS:
        return 0.0
    pod_spec = (spec.get("template") or {}).get("spec") or spec
    containers = pod_spec.get("containers") or ()
    return UNPROVED_SECONDS if any(not c.get("readinessProbe") for c in containers) else 0.0


def _parts(obj: Object) -> tuple[Object, Object]:
    return obj.get("spec") or {}, obj.get("status") or {}


def _count(where: Object, key: str, default: int = 0) -> int:
    value = where.get(key)
    return default if value is None else int(value)


def _pods(up: int, wanted: int) -> str:
    return f"{up} of {wanted} pods ready"
