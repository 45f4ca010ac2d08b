"""Run a Job of the project's own in a stack's namespace, and take it away again."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects.marks import ROLE, STACK
from infometis_sdk.engine.writing.lease import Writer
from infometis_sdk.errors import ClusterError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infometis_sdk.ports.cluster import Cluster

__all__ = ("read_job", "run_job")

_PATIENCE = 600.0
_KEPT = 3600
"""Seconds after which the cluster itself removes a Job that a crash of ours left."""


def run_job(
    cluster: Cluster, stack_id: str, namespace: str, job: Mapping[str, Any], run: Run
) -> str:
    """Run a Job until it completed or failed.

    Args:
        cluster: the API.
        stack_id: for whom.
        namespace: where.
        job: from :func:`read_job`.
        run: deadline and cancel token.

    Returns:
        What is wrong; nothing where it completed.

    Raises:
        LockedError: another writer holds the stack.
        UnreachableError: the API server does not answer.

    """
    name = f"{job['metadata']['name'][:50]}-{secrets.token_hex(4)}"
    ref = ObjectRef(api_version="batch/v1", kind="Job", namespace=namespace, name=name)
    labels = {**(job["metadata"].get("labels") or {}), STACK: stack_id, ROLE: "check"}
    body = {
        **job,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"ttlSecondsAfterFinished": _KEPT, **job["spec"]},
    }
    try:
        with Writer(cluster, stack_id, namespace, run) as writer:
            writer.write(Write(verb="create", ref=ref, body=body, manager="infometis"), run)
    except ClusterError as error:
        if error.status == 0:
            raise
        return f"the Job cannot be made: {error.message}"
    try:
        return _wait(cluster, ref, run)
    finally:
        _remove(cluster, stack_id, ref)


def read_job(root: Path | None, file: str) -> tuple[dict[str, Any], str]:
    """Read a file with one Job.

    Args:
        root: the project's directory.
        file: relative to it.

    Returns:
        The Job, and what is wrong with the file.

    """
    from infometis_sdk._yaml import load_yaml

    path = root / file if root else None
    if path is None or not path.is_file():
        return {}, "there is no such file"
    document, faults = load_yaml(path.read_bytes(), file=file, layer="project")
    body = document.data if document else None
    if faults or not isinstance(body, dict):
        return {}, str(faults[0]) if faults else "it holds no object"
    if (body.get("apiVersion"), body.get("kind")) != ("batch/v1", "Job"):
        return {}, "it holds no Job of batch/v1"
    if not (body.get("metadata") or {}).get("name") or not isinstance(body.get("spec"), dict):
        return {}, "its Job has no name or no spec"
    return body, ""


def _wait(cluster: Cluster, ref: ObjectRef, run: Run) -> str:
    within = Run.within(run.remaining(_PATIENCE), cancel=run.cancel)
    while True:
        live = cluster.get(ref, run)
        if live is None:
            return "somebody removed the Job"
        for condition in (live.get("status") or {}).get("conditions") or ():
            if condition.get("status") != "True":
                continue
            if condition.get("type") == "Complete":
                return ""
            if condition.get("type") == "Failed":
                return f"the Job failed: {condition.get('message') or condition.get('reason')}"
        if within.remaining() <= 0 < run.remaining():
            return f"the Job did not end within {_PATIENCE:.0f} s"
        run.sleep(0.5, f"waiting for {ref}")


def _remove(cluster: Cluster, stack_id: str, ref: ObjectRef) -> None:
    run = Run.within(20)
    try:
        with Writer(cluster, stack_id, ref.namespace, run) as writer:
            writer.write(Write(verb="delete", ref=ref, propagation="Background"), run)
    except ClusterError:
        return  # the cluster removes it itself after a while
