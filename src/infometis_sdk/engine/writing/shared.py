"""The inventory of a cluster's singletons: which stack uses which of them.

It is a ConfigMap in ApplySet form with one key a stack, so that no stack writes what is another's.
Whether a singleton may go is not read from it but from the objects themselves,
where each stack that applied one owns its fields.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects.inventory_id import (
    CLUSTER_NAMESPACE,
    CLUSTER_PARENT,
    cluster_applyset_id,
)
from infometis_sdk.errors import ClusterError, ForbiddenError, NotFoundError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infometis_sdk.engine.writing.job import Job
    from infometis_sdk.engine.writing.lease import Writer

__all__ = ("leave_singletons", "write_singletons")

_PATIENCE = 180.0
"""Seconds; an empty namespace takes about five to go, more where kinds have just gone with it."""

_MANAGED_BY = {"app.kubernetes.io/managed-by": "infometis-sdk"}
_PARENT = ObjectRef(
    api_version="v1", kind="ConfigMap", namespace=CLUSTER_NAMESPACE, name=CLUSTER_PARENT
)
_HOME = ObjectRef(api_version="v1", kind="Namespace", name=CLUSTER_NAMESPACE)


def write_singletons(job: Job, writer: Writer, refs: Iterable[ObjectRef]) -> None:
    """Say which singletons this stack uses; ahead of an apply also those that it gives up."""
    text = "\n".join(sorted({f"{ref.group_kind}/{ref.name}" for ref in refs}))
    if not text:
        leave_singletons(job, writer)
        return
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": CLUSTER_NAMESPACE, "labels": _MANAGED_BY},
    }
    parent = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": CLUSTER_PARENT,
            "namespace": CLUSTER_NAMESPACE,
            "labels": {"applyset.kubernetes.io/id": cluster_applyset_id(), **_MANAGED_BY},
            "annotations": {"applyset.kubernetes.io/tooling": "infometis-sdk/v1"},
        },
        "data": {job.plan.stack_id: text},
    }
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            # What is there is not written again: webhooks on namespaces need not be asked.
            missing = job.cluster.get(_HOME, job.run) is None
            for body in (namespace, parent) if missing else (parent,):
                _send(job, writer, "apply", ObjectRef.of(body), body=body, force=True)
        except (ForbiddenError, NotFoundError):
            # The last user may just have left: then the namespace is on its way out.
            if time.monotonic() > end or not _leaving(job):
                raise
            job.run.sleep(0.2, f"waiting for namespace {CLUSTER_NAMESPACE} to go")
        else:
            return


def _leaving(job: Job) -> bool:
    home = job.cluster.get(_HOME, job.run)
    return home is None or "deletionTimestamp" in home["metadata"]


def leave_singletons(job: Job, writer: Writer) -> None:
    """Take this stack off the list; the last one leaves nothing behind.

    A guest that may not look there has put nothing there either.
    """
    cluster, run, stack = job.cluster, job.run, job.plan.stack_id
    try:
        parent = cluster.get(_PARENT, run)
        if parent is None or stack not in (parent.get("data") or {}):
            return
        _send(job, writer, "merge-patch", _PARENT, body={"data": {stack: None}})
        parent = cluster.get(_PARENT, run)
        if parent is None or parent.get("data"):
            return
        # Another stack may sign in at this moment: then the version has moved.
        version = parent["metadata"]["resourceVersion"]
        _send(job, writer, "delete", _PARENT, resource_version=version)
        home = cluster.get(_HOME, run)
        if home is not None and _empty(job, home):
            _send(job, writer, "delete", _HOME, uid=home["metadata"]["uid"])
    except ClusterError as error:
        job.progress.warnings.append(
            f"the list of users of the cluster's singletons could not be kept: {error.message}"
        )


def _empty(job: Job, home: Any) -> bool:  # noqa: ANN401 - a live object
    labels = home["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in _MANAGED_BY.items()):
        return False
    found = [
        obj
        for kind in ("ConfigMap", "Secret")
        for obj in job.cluster.list(
            "v1", kind, job.run, namespace=CLUSTER_NAMESPACE, metadata_only=True
        )
        if obj["metadata"]["name"] != "kube-root-ca.crt"
    ]
    return not found


def _send(job: Job, writer: Writer, verb: str, ref: ObjectRef, **options: Any) -> None:  # noqa: ANN401
    manager = "" if verb == "delete" else job.manager
    writer.write(Write(verb=verb, ref=ref, manager=manager, **options), job.run)
