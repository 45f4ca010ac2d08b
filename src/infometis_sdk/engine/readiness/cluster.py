"""Readiness of volumes, services, definitions and what else belongs to the cluster."""

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
    "AUTOSCALER_SECONDS",
    "Object",
    "api_service",
    "autoscaler",
    "claim",
    "definition",
    "ingress",
    "namespace",
    "service",
    "volume",
    "webhook",
)

Object = Mapping[str, Any]

AUTOSCALER_SECONDS = 120.0
"""Metrics of new pods come with the second or third scrape."""

_AUTOSCALER_FAULTS = frozenset(
    {"FailedGetScale", "FailedUpdateScale", "InvalidSelector", "FailedGetResourceMetric"}
)


def claim(obj: Object, context: Context) -> Verdict:
    """Judge a PersistentVolumeClaim."""
    phase = (obj.get("status") or {}).get("phase") or "Pending"
    if phase == "Bound":
        return ready("bound")
    if phase == "Lost":
        volume_name = (obj.get("spec") or {}).get("volumeName", "")
        return Verdict(state="failed", reason=f"its volume {volume_name} is gone")
    if context.late_binding and not context.has_consumer:
        # Bound is impossible before a pod comes; waiting for it would deadlock with the workload.
        return ready("waits for its first pod, as its StorageClass says")
    return progressing("no volume is bound to it yet")


def volume(obj: Object, context: Context) -> Verdict:
    """Judge a PersistentVolume."""
    del context
    phase = (obj.get("status") or {}).get("phase") or "Pending"
    if phase in {"Available", "Bound"}:
        return ready(str(phase).lower())
    if phase == "Failed":
        message = (obj.get("status") or {}).get("message")
        return Verdict(state="failed", reason=str(message or "failed"))
    return progressing(str(phase).lower())


def service(obj: Object, context: Context) -> Verdict:
    """Judge a Service."""
    spec = obj.get("spec") or {}
    kind = spec.get("type") or "ClusterIP"
    if kind == "ExternalName":
        return ready()
    if not spec.get("clusterIP"):
        return progressing("it has no cluster IP yet")
    if kind == "LoadBalancer" and context.load_balancer:
        if not ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress"):
            return progressing("it has no load balancer address yet")
        return ready(confirm=CONFIRM_SECONDS)
    # Without that proof nothing is waited for: on a cluster without load balancers the address
    # never comes, and Argo CD and Helm hang there.
    if context.require_endpoints and spec.get("selector") and not context.endpoints:
        return progressing("no ready pod answers for it yet")
    return ready()


def namespace(obj: Object, context: Context) -> Verdict:
    """Judge a Namespace."""
    del context
    phase = (obj.get("status") or {}).get("phase")
    return ready("active") if phase == "Active" else progressing(f"phase {phase or 'unknown'}")


def definition(obj: Object, context: Context) -> Verdict:
    """Judge a CustomResourceDefinition."""
    del context
    names, established = condition(obj, "NamesAccepted"), condition(obj, "Established")
    if names["status"] == "False":
        return Verdict(state="failed", reason=f"names not accepted: {names.get('message')}")
    if established["status"] == "True" and names["status"] == "True":
        return ready("established")
    if established["status"] == "False" and established["reason"] not in {"Installing", ""}:
        # Accepting the names of a definition that replaces another one passes through
        # reason NotAccepted for a moment.
        text = f"not established: {established.get('message') or established['reason']}"
        return failing(text, "NotEstablished", 0 if established["reason"] != "NotAccepted" else 5)
    return progressing("not established yet")


def api_service(obj: Object, context: Context) -> Verdict:
    """Judge an APIService."""
    del context
    available = condition(obj, "Available")
    if available["status"] == "True":
        return ready("available", confirm=CONFIRM_SECONDS)
    return progressing(f"not available yet: {available.get('message') or available.get('reason')}")


def autoscaler(obj: Object, context: Context) -> Verdict:
    """Judge a HorizontalPodAutoscaler."""
    del context
    able, active = condition(obj, "AbleToScale"), condition(obj, "ScalingActive")
    for found in (able, active):
        if found["status"] == "False" and found["reason"] in _AUTOSCALER_FAULTS:
            text = f"{found['reason']}: {found.get('message', '')}"
            return failing(text, str(found["reason"]), AUTOSCALER_SECONDS)
    if active["reason"] == "ScalingDisabled":
        return Verdict(state="suspended", reason="its target has 0 replicas: scaling is off")
    if able["status"] == "True" and active["status"] != "False":
        known = (obj.get("status") or {}).get("observedGeneration") is not None
        return ready("able to scale", confirm=0.0 if known else CONFIRM_SECONDS)
    return progressing(str(active.get("message") or able.get("message") or "no metrics yet"))


def ingress(obj: Object, context: Context) -> Verdict:
    """Judge an Ingress: it exists.

    ``status.loadBalancer.ingress`` is not waited for: Traefik leaves it empty without
    ``publishedService``, and Argo CD then hangs. Whether it answers is shown by a request.
    """
    del obj, context
    return ready("exists; whether it answers is shown by a request from outside")


def webhook(obj: Object, context: Context) -> Verdict:
    """Judge a webhook configuration: with nobody behind it, it refuses or delays every write."""
    del obj
    if context.endpoints == 0:
        return progressing("no ready pod answers for its Service yet")
    return ready()
