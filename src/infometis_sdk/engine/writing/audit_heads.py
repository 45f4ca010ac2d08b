"""Heads of audit chains, kept in the cluster: who cuts records off elsewhere is found out here.

Only heads are kept, not records: a record of a large apply may be larger than an object may be,
and whoever may edit a ConfigMap could edit the records in it as well,
while a head is enough to miss what was taken away.
A ConfigMap in the stack's home namespace holds the newest heads of every chain, each machine
that acts on the stack having a chain of its own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects.inventory_id import parent_name
from infometis_sdk.engine.objects.marks import ROLE, STACK, manager_of
from infometis_sdk.engine.writing.lease import Writer
from infometis_sdk.errors import RefusedError
from infometis_sdk.model.audit import AuditHead
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("CHAINS", "FORMAT", "HEADS", "heads_ref", "keep_head", "read_heads")

FORMAT = "infometis.io/audit-heads/v1"

HEADS = 50
"""Heads that are kept of each chain: a chain that was cut and went on is found within so many."""

CHAINS = 20
"""Chains that are kept, those that were written to last."""

_PATIENCE = 10.0


def heads_ref(stack_id: str, namespace: str) -> ObjectRef:
    """Name the object that holds the heads."""
    name = f"{parent_name(stack_id)}-audit"
    return ObjectRef(api_version="v1", kind="ConfigMap", namespace=namespace, name=name)


def read_heads(cluster: Cluster, stack_id: str, namespace: str, run: Run) -> tuple[AuditHead, ...]:
    """Return every head that the cluster keeps of a stack.

    Raises:
        ClusterError: the API server does not answer, or not to us.
        RefusedError: the object holds something else.

    """
    return _heads_of(cluster.get(heads_ref(stack_id, namespace), run), stack_id)


def _heads_of(obj: Mapping[str, Any] | None, stack_id: str) -> tuple[AuditHead, ...]:
    data = (obj or {}).get("data") or {}
    try:
        return tuple(
            AuditHead(
                stack_id=stack_id, chain=chain, sequence=n, hash=digest, time=when, ledger=ledger
            )
            for chain, text in data.items()
            if chain != "format"
            for n, digest, when, ledger in json.loads(text)
        )
    except (ValueError, TypeError) as error:
        msg = f"the audit heads of stack {stack_id} in the cluster cannot be read: {error}"
        raise RefusedError(msg, hint="somebody edited them") from error


def keep_head(cluster: Cluster, head: AuditHead, namespace: str, run: Run) -> None:
    """Add a head to those that the cluster keeps, under the stack's Lease.

    Raises:
        ClusterError: the API server does not answer, or not to us.
        LockedError: another writer holds the stack.
        RefusedError: the object holds something else.

    """
    ref = heads_ref(head.stack_id, namespace)
    with Writer(cluster, head.stack_id, namespace, run, patience=_PATIENCE) as writer:
        known = _heads_of(cluster.get(ref, run), head.stack_id)
        body = {
            "apiVersion": ref.api_version,
            "kind": ref.kind,
            "metadata": {
                "name": ref.name,
                "namespace": namespace,
                "labels": {
                    STACK: head.stack_id,
                    ROLE: "audit",
                    "app.kubernetes.io/managed-by": "infometis-sdk",
                },
            },
            "data": _data((*known, head)),
        }
        manager = manager_of(head.stack_id)
        writer.write(Write(verb="apply", ref=ref, body=body, manager=manager, force=True), run)


def _data(heads: Iterable[AuditHead]) -> dict[str, str]:
    chains: dict[str, list[AuditHead]] = {}
    for head in heads:
        chains.setdefault(head.chain, []).append(head)
    newest = sorted(chains, key=lambda chain: max(h.time for h in chains[chain]))[-CHAINS:]
    return {"format": FORMAT} | {
        chain: json.dumps(
            [[h.sequence, h.hash, h.time, h.ledger] for h in chains[chain][-HEADS:]],
            separators=(",", ":"),
        )
        for chain in newest
    }
