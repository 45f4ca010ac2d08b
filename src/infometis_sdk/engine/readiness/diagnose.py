"""Why is it not ready? From pods, events and logs to one reason, with the cure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from infometis_sdk.engine.readiness.evidence import (
    Evidence,
    earlier,
    events_about,
    pods_of,
    replica_sets_of,
)
from infometis_sdk.engine.readiness.hints import hint, shortage
from infometis_sdk.engine.readiness.rules import readiness
from infometis_sdk.engine.readiness.verdict import Context, Verdict, failing
from infometis_sdk.engine.readiness.workloads import (
    REPLICA_FAILURE_SECONDS,
    UNSCHEDULABLE_SECONDS,
    VOLUME_SECONDS,
)
from infometis_sdk.errors import ClusterError, DeadlineError
from infometis_sdk.model.reference import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.cluster import Cluster

__all__ = (
    "EVENTS",
    "LOG_LINES",
    "NO_LOGS",
    "WORKLOADS",
    "Culprit",
    "Diagnosis",
    "Object",
    "diagnose",
    "log_tail",
)

Object = Mapping[str, Any]

EVENTS = 3
LOG_LINES = 20
_LOG_BYTES = 16 * 1024
_LINE = 400

WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"})

NO_LOGS = "(simulated pods have no logs)"

# Escape sequences and control characters would act on the reader's terminal.
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f]")


@frozen(kw_only=True)
class Culprit:
    """The container at fault; ``previous`` where the log of its last run is the telling one."""

    namespace: str
    pod: str
    container: str
    previous: bool = False


@frozen(kw_only=True)
class Diagnosis:
    """Why an object is not ready.

    Attributes:
        verdict: the object's own, made sharper by what its pods and events say.
        hint: what to do about it.
        events: the last ones about it, oldest first.
        culprit: the container whose log tells more.

    """

    verdict: Verdict
    hint: str = ""
    events: tuple[str, ...] = ()
    culprit: Culprit | None = None


def diagnose(
    obj: Object, verdict: Verdict, evidence: Evidence, *, autoscaled: bool = False
) -> Diagnosis:
    """Explain an object that is not ready; pure.

    Args:
        obj: the live object.
        verdict: what :func:`readiness` said of it.
        evidence: what was fetched round it.
        autoscaled: the platform adds nodes when pods do not fit.

    Returns:
        The explanation; its verdict carries the symptom that the caller times.

    """
    kind = obj.get("kind")
    if kind == "PersistentVolumeClaim":
        return _claim(obj, verdict, evidence)
    if kind in WORKLOADS or kind == "Pod":
        return _workload(obj, verdict, evidence, autoscaled=autoscaled)
    told = events_about((obj,), evidence)
    return Diagnosis(
        verdict=verdict, hint=hint(verdict.symptom, verdict.reason), events=_lines(told)
    )


def _workload(obj: Object, verdict: Verdict, evidence: Evidence, *, autoscaled: bool) -> Diagnosis:
    pods = pods_of(obj, evidence)
    told = events_about((obj, *replica_sets_of(obj, evidence), *pods), evidence)
    worst, bad = _worst(pods, Context(autoscaled=autoscaled), job=obj.get("kind") == "Job")
    sharper = verdict
    symptom = verdict.symptom
    refused = _refused(told)
    if worst is not None and bad is not None and bad is not obj and verdict.state != "suspended":
        if worst.symptom == "Unschedulable":
            worst = _unschedulable(bad, worst, evidence)
        symptom = worst.symptom or symptom
        name = bad["metadata"]["name"]
        told_by_pod = ": ".join(filter(None, (worst.reason, _probe(told, bad, worst))))
        reason = "; ".join(filter(None, (verdict.reason, f"Pod/{name}: {told_by_pod}")))
        # What is final or timed already stays so, and the pod only says why.
        keep = verdict.symptom or verdict.state != "progressing" or not worst.symptom
        sharper = evolve(verdict if keep else worst, reason=reason)
    elif bad is obj and verdict.symptom == "Unschedulable":
        sharper = _unschedulable(obj, verdict, evidence)
    elif refused and not verdict.symptom and verdict.state == "progressing":
        symptom = "FailedCreate"
        text = f"{verdict.reason}; pods cannot be created: {refused}"
        sharper = failing(text, symptom, REPLICA_FAILURE_SECONDS)
    words = " ".join((sharper.reason, *(str(e.get("message") or "") for e in told[-EVENTS:])))
    return Diagnosis(
        verdict=sharper,
        hint=_in_the_way(obj, bad) or hint(symptom, sharper.reason) or hint(symptom, words),
        events=_lines(told),
        culprit=_culprit(bad) if bad is not None else None,
    )


def _worst(
    pods: Sequence[Object], context: Context, *, job: bool
) -> tuple[Verdict | None, Object | None]:
    """Return the verdict on the pod that explains most, and that pod."""
    judged = [(readiness(p, context=context), p) for p in pods]
    if job:
        # How often the pods of a Job may crash is for its backoffLimit to say.
        judged = [
            (evolve(v, symptom="") if v.symptom == "CrashLoopBackOff" else v, p) for v, p in judged
        ]
    trouble = [(v, p) for v, p in judged if v.symptom and v.state == "progressing"]
    if trouble:
        return min(trouble, key=lambda pair: (pair[0].patience, pair[1]["metadata"]["name"]))
    # Other workloads replace a pod that failed (an evicted one); it stays in the list and says
    # nothing about the ones that run now.
    for state in ("failed", "progressing") if job else ("progressing",):
        for verdict, pod in judged:
            if verdict.state == state:
                return verdict, pod
    return None, None


def _in_the_way(obj: Object, bad: Object | None) -> str:
    """Return the cure for a StatefulSet that waits for a pod of a version that was taken back.

    It never replaces such a pod by itself: https://github.com/kubernetes/kubernetes/issues/67250.
    """
    if bad is None or obj.get("kind") != "StatefulSet" or not earlier(obj, bad):
        return ""
    name = bad["metadata"]["name"]
    return f"Pod/{name} is of an earlier version, and the set waits for it for ever: delete it"


def _probe(told: Sequence[Object], pod: Object, verdict: Verdict) -> str:
    """Return what the last probe of a pod said that failed, while nothing graver is known."""
    if verdict.symptom:
        return ""
    uid = pod["metadata"].get("uid")
    for event in reversed(told):
        about = (event.get("involvedObject") or {}).get("uid")
        if event.get("reason") == "Unhealthy" and about == uid:
            return _CONTROL.sub("", " ".join(str(event.get("message") or "").split()))[:_LINE]
    return ""


def _refused(told: Sequence[Object]) -> str:
    """Return why pods cannot be created, if that is the latest word of their controller."""
    for event in reversed(told):
        if event.get("reason") == "SuccessfulCreate":
            return ""
        if event.get("reason") == "FailedCreate":
            return str(event.get("message") or "")
    return ""


def _unschedulable(pod: Object, verdict: Verdict, evidence: Evidence) -> Verdict:
    short = shortage(pod, evidence.nodes)
    if short:
        return evolve(verdict, reason=f"{verdict.reason} ({short})")
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        space = pod["metadata"].get("namespace")
        for claim in evidence.claims:
            meta = claim["metadata"]
            if (meta.get("name"), meta.get("namespace")) != (name, space):
                continue
            found = _claim(claim, readiness(claim), evidence)
            if found.verdict.state == "progressing" and found.verdict.symptom:
                told = f"{verdict.reason}; PersistentVolumeClaim/{name}: {found.verdict.reason}"
                return evolve(found.verdict, reason=told)
    return verdict


def _claim(obj: Object, verdict: Verdict, evidence: Evidence) -> Diagnosis:
    told = events_about((obj,), evidence)
    problem = _unbindable(obj, evidence)
    sharper = verdict
    if verdict.state == "progressing" and problem:
        sharper = failing(problem, "ClassMissing", UNSCHEDULABLE_SECONDS)
    elif verdict.state == "progressing":
        bad = [e for e in told if e.get("type") == "Warning"]
        if bad and bad[-1] is told[-1]:
            text = f"{verdict.reason}: {bad[-1].get('message', '')}"
            sharper = failing(text, str(bad[-1].get("reason") or "Unbound"), VOLUME_SECONDS)
    return Diagnosis(
        verdict=sharper, hint=hint(sharper.symptom, sharper.reason), events=_lines(told)
    )


def _unbindable(obj: Object, evidence: Evidence) -> str:
    """Say why no volume can ever be made for a claim, as far as the StorageClasses tell."""
    spec = obj.get("spec") or {}
    if evidence.classes is None or spec.get("volumeName"):
        return ""
    names = sorted(str(c["metadata"]["name"]) for c in evidence.classes)
    have = f"the cluster has {', '.join(names)}" if names else "the cluster has none"
    wanted = spec.get("storageClassName")
    if wanted is None:
        return f"no storage class is set and none is the default; {have}"
    if wanted and wanted not in names:
        return f'storageclass "{wanted}" not found; {have}'
    return ""


def _culprit(pod: Object) -> Culprit | None:
    status = pod.get("status") or {}
    meta = pod["metadata"]
    every = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    for found in every:
        state = found.get("state") or {}
        ended = (state.get("terminated") or {}).get("exitCode")
        again = int(found.get("restartCount") or 0) > 0
        if found.get("ready") or ended == 0:
            continue
        if not again and not ended and not state.get("running"):
            continue  # never started: there is no log
        return Culprit(
            namespace=str(meta.get("namespace") or ""),
            pod=str(meta["name"]),
            container=str(found.get("name")),
            # While it waits to be started again, the log of the run that crashed is wanted.
            previous=again and not state.get("running") and not state.get("terminated"),
        )
    return None


def _lines(told: Sequence[Object]) -> tuple[str, ...]:
    return tuple(_line(event) for event in told[-EVENTS:])


def _line(event: Object) -> str:
    count = (event.get("series") or {}).get("count") or event.get("count") or 1
    times = f" (x{count})" if int(count) > 1 else ""
    about = event.get("involvedObject") or {}
    text = _CONTROL.sub("", " ".join(str(event.get("message") or "").split()))
    who = f"{about.get('kind')}/{about.get('name')}"
    return f"{event.get('type')} {event.get('reason')}{times} {who}: {text[:_LINE]}"


def log_tail(cluster: Cluster, culprit: Culprit, run: Run, *, simulated: bool) -> str:
    """Return the last lines of a container's log, safe for a terminal; empty when there is none.

    Bounded to :data:`LOG_LINES` lines; a simulated platform has no logs, and that is said.
    """
    if simulated:
        return NO_LOGS
    ref = ObjectRef(api_version="v1", kind="Pod", namespace=culprit.namespace, name=culprit.pod)
    params = {
        "container": culprit.container,
        "tailLines": str(LOG_LINES),
        "limitBytes": str(_LOG_BYTES),
    }
    if culprit.previous:
        params["previous"] = "true"
    path = f"/api/v1/namespaces/{ref.namespace}/pods/{ref.name}/log"
    try:
        text = cluster.read(path, run, params=params)
    except (ClusterError, DeadlineError):
        # An explanation without a log is better than an error about a log.
        return ""
    lines = [_CONTROL.sub("", line)[:_LINE] for line in text.splitlines()]
    return "\n".join(lines[-LOG_LINES:])
