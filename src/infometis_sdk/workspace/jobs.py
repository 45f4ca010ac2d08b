"""Run a Job of the project's own in a stack's namespace, and take it away again."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects.marks import ROLE, STACK
from infometis_sdk.engine.writing.lease import Writer
from infometis_sdk.errors import ClusterError, NotFoundError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from infometis_sdk.model.stack import Manifest
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("job_policies", "read_job", "run_job")

_PATIENCE = 600.0
_KEPT = 3600
"""Seconds after which the cluster itself removes a Job that a crash of ours left."""


def run_job(
    cluster: Cluster,
    stack_id: str,
    namespace: str,
    job: Mapping[str, Any],
    run: Run,
    *,
    manifests: Iterable[Manifest] = (),
) -> str:
    """Run a Job until it completed or failed.

    Args:
        cluster: the API.
        stack_id: for whom.
        namespace: where.
        job: from :func:`read_job`.
        run: deadline and cancel token.
        manifests: of the stack; where policies shut its pods off, they let the Job in meanwhile.

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
    made = [*job_policies(manifests, body), body]
    refs = [ObjectRef.of(obj) for obj in made]
    try:
        with Writer(cluster, stack_id, namespace, run) as writer:
            for each, obj in zip(refs, made, strict=True):
                writer.write(Write(verb="create", ref=each, body=obj, manager="infometis"), run)
    except ClusterError as error:
        _remove(cluster, stack_id, refs)
        if error.status == 0:
            raise
        return f"the Job cannot be made: {error.message}"
    try:
        return _wait(cluster, ref, run)
    finally:
        _remove(cluster, stack_id, refs)


def job_policies(manifests: Iterable[Manifest], job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return policies that let a Job reach every pod of the stack for as long as they are there.

    Policies are a union of what they allow, so those of the stack stay as they are.
    Pods that no policy of the stack picks are not picked here either: a policy would close them.

    Args:
        manifests: of the stack.
        job: with its final name and labels.

    """
    meta = {k: job["metadata"][k] for k in ("namespace", "labels")}
    own = {"matchLabels": {"batch.kubernetes.io/job-name": job["metadata"]["name"]}}
    closed = [
        m.object["spec"]["podSelector"]
        for m in manifests
        if m.ref.kind == "NetworkPolicy" and m.zone == "border"
    ]
    specs: list[dict[str, Any]] = [
        {"podSelector": selector, "policyTypes": ["Ingress"], "ingress": [{"from": [
            {"podSelector": own}]}]}
        for selector in closed
    ]  # fmt: skip
    if closed:
        specs.append({"podSelector": own, "policyTypes": ["Egress"], "egress": [{}]})
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {**meta, "name": f"{job['metadata']['name']}-{number}"},
            "spec": spec,
        }
        for number, spec in enumerate(specs)
    ]


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


def _remove(cluster: Cluster, stack_id: str, refs: Sequence[ObjectRef]) -> None:
    run = Run.within(20)
    try:
        with Writer(cluster, stack_id, refs[-1].namespace, run) as writer:
            for ref in reversed(refs):
                with suppress(NotFoundError):
                    writer.write(Write(verb="delete", ref=ref, propagation="Background"), run)
    except ClusterError:
        return  # the cluster removes the Job itself after a while
