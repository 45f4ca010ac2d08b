"""The audit sink ``cluster``: each record as an object beside the stack, which outlives machines.

A record is a ConfigMap of its own that Kubernetes lets nobody edit, so a writer needs the right to
create them and no other, as a guard in a pod has it.
The file of each machine stays what counts: a copy that cannot be made now is made with the next
record, and a machine that dies in between leaves a gap here.
"""

from __future__ import annotations

import base64
import gzip
import zlib
from typing import TYPE_CHECKING, Any

from attrs import frozen

from infometis_sdk.engine.objects.inventory_id import parent_name
from infometis_sdk.engine.objects.marks import AUDIT_OF, manager_of
from infometis_sdk.errors import ConflictError, NotFoundError, PlatformError, UnreachableError
from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.audit import AuditSink, AuditSinkContext, AuditSinkSpec
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infometis_sdk.model.audit import AuditEvent, AuditLine
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("ClusterSink", "InCluster", "copies", "infometis_audit_sinks")

_PLAIN = 256 * 1024
"""Bytes up to which a record is kept as it is; Kubernetes takes 1 MiB, so more is compressed."""

_SECONDS = 20.0


@frozen(kw_only=True)
class InCluster:
    """Settings of the sink ``cluster``; there are none."""


class ClusterSink(AuditSink):
    """Makes one immutable ConfigMap of each record, in the home namespace of its stack."""

    def __init__(self, context: AuditSinkContext) -> None:
        self._context = context
        self._waiting: list[AuditEvent] = []

    def append(self, event: AuditEvent) -> None:
        """Keep a record, and those that could not be kept before: no namespace, or no API.

        Raises:
            ClusterError: it is refused, for want of rights above all.

        """
        self._waiting.append(event)
        run = Run.within(_SECONDS)
        try:
            cluster = self._context.connect(run)
            while self._waiting:
                _create(cluster, self._waiting[0], self._context.namespace, run)
                del self._waiting[0]
        except (NotFoundError, PlatformError, UnreachableError):
            return


def _create(cluster: Cluster, event: AuditEvent, namespace: str, run: Run) -> None:
    from infometis_sdk._serde.audit_lines import audit_line

    name = f"{parent_name(event.stack_id)}-audit-{event.chain}-{event.sequence}"
    ref = ObjectRef(api_version="v1", kind="ConfigMap", namespace=namespace, name=name)
    labels = {AUDIT_OF: event.stack_id, "app.kubernetes.io/managed-by": "infometis-sdk"}
    body = {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "immutable": True,
        **_content(audit_line(event)),
    }
    write = Write(verb="create", ref=ref, body=body, manager=manager_of(event.stack_id))
    try:
        cluster.write(write, run)
    except ConflictError:
        return  # its answer was lost the first time


def _content(line: str) -> dict[str, dict[str, str]]:
    if len(line) <= _PLAIN:
        return {"data": {"record": line}}
    packed = gzip.compress(line.encode("ascii"), mtime=0)
    return {"binaryData": {"record.gz": base64.b64encode(packed).decode("ascii")}}


def copies(cluster: Cluster, stack_id: str, namespace: str, run: Run) -> tuple[AuditLine, ...]:
    """Return the copies of a stack's records, of every machine, in order of time.

    Raises:
        ClusterError: the API server does not answer, or not to us.

    """
    from infometis_sdk.model.audit import AuditLine

    labels = f"{AUDIT_OF}={stack_id}"
    found = [
        AuditLine(where=f"ConfigMap/{obj['metadata']['name']}", text=_line(obj))
        for obj in cluster.list("v1", "ConfigMap", run, namespace=namespace, labels=labels)
    ]
    return tuple(sorted(found, key=_place))


def _line(obj: Mapping[str, Any]) -> str:
    packed = (obj.get("binaryData") or {}).get("record.gz")
    if packed is None:
        return str((obj.get("data") or {}).get("record", ""))
    try:
        return gzip.decompress(base64.b64decode(packed)).decode("utf-8", "replace")
    except (ValueError, OSError, EOFError, zlib.error):
        return str(packed)  # no record, and told as such


def _place(line: AuditLine) -> tuple[str, str, int]:
    from infometis_sdk._serde.audit_lines import read_audit_line

    try:
        event = read_audit_line(line.text)
    except ValueError:
        return "", line.where, 0
    return event.time, event.chain, event.sequence


@hookimpl
def infometis_audit_sinks() -> Iterable[AuditSinkSpec]:
    """Register the sink ``cluster``."""
    summary = "each audit record as an object that cannot be edited, beside the stack"
    return (
        AuditSinkSpec(
            name="cluster",
            summary=summary,
            settings=InCluster,
            factory=lambda _, context: ClusterSink(context),
        ),
    )
