"""Whether a cluster is ready, asked of its API by a loop of our own.

Neither a running container nor ``k0s status`` says it:
the former comes seconds before the API, and the latter blocks until kubelet has its credentials,
for five minutes if need be, and then ends well with a dead API.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from infometis_sdk import open_cluster
from infometis_sdk.errors import ClusterError, DeadlineError
from infometis_sdk.machine import moment
from infometis_sdk.model.run import Event, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from infometis_sdk.ports.platform import Access

__all__ = ("ask_api", "joined", "wait_ready")

_PAUSE = 0.3
_ASK = 1.5  # seconds that the first look may take: a port of Docker swallows what comes too early
_LONGEST = 20.0  # and the last one, since a busy API only needs time
_SYSTEM = "kube-system"
_LEASES = "kube-node-lease"


def ask_api(
    access: Access, nodes: Mapping[str, float], run: Run, *, system: bool = False
) -> tuple[str, str]:
    """Return the version of Kubernetes, and what the cluster lacks; nothing where it is ready.

    Args:
        access: to the API.
        nodes: names of those that have to be ready, and when each was started.
        run: deadline, events, cancel token.
        system: whether what k0s itself runs has to be ready too: DNS, network, metrics.

    Raises:
        ClusterError: the API does not answer.
        DeadlineError: it does not in time.

    """
    cluster = open_cluster(access)
    try:
        version = str(json.loads(cluster.read("/version", run))["gitVersion"])
        lacking = _nodes_lack(cluster.list("v1", "Node", run), nodes)
        if not lacking:
            lacking = _leases_lack(
                cluster.list("coordination.k8s.io/v1", "Lease", run, namespace=_LEASES), nodes
            )
        if not lacking and system:
            lacking = _system_lacks(
                [
                    *cluster.list("apps/v1", "DaemonSet", run, namespace=_SYSTEM),
                    *cluster.list("apps/v1", "Deployment", run, namespace=_SYSTEM),
                ]
            )
        return version, lacking
    finally:
        cluster.close()


def joined(access: Access, run: Run) -> frozenset[str]:
    """Return the names of the nodes that the API knows."""
    cluster = open_cluster(access)
    try:
        return frozenset(str(each["metadata"]["name"]) for each in cluster.list("v1", "Node", run))
    finally:
        cluster.close()


def wait_ready(
    access: Access, started: Callable[[], Mapping[str, float]], name: str, run: Run
) -> None:
    """Wait until the API answers, the nodes are ready, and what k0s runs itself too.

    Args:
        access: to the API.
        started: tells when each node was started; it raises where waiting is in vain,
            such as where a container has ended.
        name: of the cluster, for events.
        run: deadline, events, cancel token.

    Raises:
        PlatformError: ``started`` raised it.
        DeadlineError: they are not ready in time; the message says what they lack.

    """
    said, patience = "the API does not answer yet", _ASK
    while True:
        nodes, began = started(), time.monotonic()
        try:
            once = Run.within(run.remaining(patience), cancel=run.cancel)
            _, lacking = ask_api(access, nodes, once, system=True)
        except (ClusterError, DeadlineError) as error:
            run.check(f"waiting for cluster {name!r}: {said}")
            lacking = error.message.splitlines()[0]
            if time.monotonic() - began >= patience:
                patience = min(2 * patience, _LONGEST)
        if not lacking:
            return
        if lacking != said:
            said = lacking
            run.emit(Event(name="wait", subject=name, state="progress", detail=lacking))
        run.sleep(_PAUSE, f"waiting for cluster {name!r}: {said}")


def _nodes_lack(found: Sequence[Mapping[str, Any]], wanted: Collection[str]) -> str:
    states = {str(node["metadata"]["name"]): _is_ready(node) for node in found}
    missing = sorted(set(wanted) - set(states))
    if missing:
        return f"not joined yet: {', '.join(missing)}"
    waiting = sorted(name for name in wanted if not states[name])
    return f"not ready: {', '.join(waiting)}" if waiting else ""


def _leases_lack(found: Sequence[Mapping[str, Any]], nodes: Mapping[str, float]) -> str:
    """Say whose kubelet has not been heard of since its start.

    What the API says of a node is stored, and the last life's word is true for 40 seconds.
    """
    heard = {
        str(each["metadata"]["name"]): moment(str((each.get("spec") or {}).get("renewTime") or ""))
        for each in found
    }
    silent = sorted(name for name, began in nodes.items() if heard.get(name, 0.0) < began)
    return f"not heard of since the start: {', '.join(silent)}" if silent else ""


def _is_ready(node: Mapping[str, Any]) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _system_lacks(workloads: Sequence[Mapping[str, Any]]) -> str:
    waiting = []
    for each in workloads:
        status = each.get("status") or {}
        wanted = status.get("desiredNumberScheduled", (each.get("spec") or {}).get("replicas", 1))
        has = status.get("numberReady", status.get("readyReplicas", 0))
        if (has or 0) < (wanted or 0):
            waiting.append(str(each["metadata"]["name"]))
    return f"not ready in {_SYSTEM}: {', '.join(sorted(waiting))}" if waiting else ""
