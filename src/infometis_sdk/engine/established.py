"""The small wait inside apply: what the next objects build on must be taken up by the API server first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infometis_sdk.engine.parallel import parallel
from infometis_sdk.errors import NotReadyError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.report import HealthItem, HealthReport
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Cluster

__all__ = ("wait_established",)


def wait_established(cluster: Cluster, refs: Sequence[ObjectRef], run: Run) -> None:
    """Wait until Namespaces are Active and CRDs are Established with their names accepted.

    Raises:
        NotReadyError: a CRD's names are refused, or a Namespace is being deleted.
        DeadlineError: no time left.

    """
    left = list(refs)
    while left:
        found = parallel(lambda ref: cluster.get(ref, run), left, run, "waiting for kinds")
        waiting = []
        for ref, obj in zip(left, found, strict=True):
            state, why = _state(ref, obj)
            if state == "failed":
                msg = f"{ref} will not be served: {why}"
                raise NotReadyError(
                    msg,
                    report=HealthReport(
                        stack_id="", items=(HealthItem(ref=ref, state="failed", reason=why),)
                    ),
                )
            if state != "ready":
                waiting.append(ref)
        left = waiting
        if left:
            run.sleep(0.1, f"waiting for {left[0]}")


def _state(ref: ObjectRef, obj: Mapping[str, Any] | None) -> tuple[str, str]:
    if obj is None:
        return "progressing", ""
    status = obj.get("status") or {}
    if ref.kind == "Namespace":
        if status.get("phase") == "Terminating":
            return "failed", "the namespace is being deleted"
        return ("ready" if status.get("phase") == "Active" else "progressing"), ""
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    names = conditions.get("NamesAccepted", {})
    if names.get("status") == "False":
        return "failed", names.get("message", "its names clash with another kind")
    ready = (
        names.get("status") == "True" and conditions.get("Established", {}).get("status") == "True"
    )
    return ("ready" if ready else "progressing"), ""
