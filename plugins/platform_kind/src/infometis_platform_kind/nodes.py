"""Whether the nodes of a cluster are ready, asked of its API; and what helps those that are not."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from infometis_sdk import open_cluster
from infometis_sdk.errors import ClusterError, DeadlineError, PlatformError
from infometis_sdk.machine import moment
from infometis_sdk.model.run import Event, Run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infometis_platform_kind.engine import Engine, Node
    from infometis_sdk.ports.platform import Access

__all__ = ("ask_api", "wait_ready")

_PAUSE = 0.5
_LEASE = "coordination.k8s.io/v1"
_ASK = 1.5  # seconds that the first look may take: a port of Docker swallows what comes too early
_LONGEST = 20.0  # and the last one, since a busy API only needs time
_REPAIR = 60.0  # seconds that nodes with new addresses get before they are started anew


def ask_api(access: Access, nodes: Sequence[Node], run: Run) -> tuple[str, str]:
    """Return the version of Kubernetes, and what its nodes lack; nothing where all are ready.

    Args:
        access: to the API.
        nodes: the containers, which say since when each of them runs.
        run: deadline, events, cancel token.

    Raises:
        ClusterError: the API does not answer.
        DeadlineError: it does not in time.

    """
    cluster = open_cluster(access)
    try:
        version = str(json.loads(cluster.read("/version", run))["gitVersion"])
        joining = {node.name: moment(node.started) for node in nodes if node.joins}
        lacking = _lacking(cluster.list("v1", "Node", run), joining)
        if not lacking:
            leases = cluster.list(_LEASE, "Lease", run, namespace="kube-node-lease")
            lacking = _silent(leases, joining)
        return version, lacking
    finally:
        cluster.close()


def wait_ready(
    engine: Engine, access: Access, name: str, addresses: Mapping[str, str], run: Run
) -> None:
    """Wait until the API answers and all nodes are ready.

    The engine hands out addresses anew when it starts, and a cluster of several nodes
    may not find itself again (kind issue 2045): then the nodes are started once more,
    in the order of the addresses that they had.

    Args:
        engine: where the nodes are containers.
        access: to the API.
        name: what kind calls the cluster.
        addresses: IP address of each node when it was made; empty for an adopted cluster.
        run: deadline, events, cancel token.

    Raises:
        PlatformError: a node has ended, or has another address for good.
        DeadlineError: they are not ready in time; the message says what they lack.

    """
    began, repaired, said = run.remaining(), False, "the API does not answer yet"
    patience = _ASK
    while True:
        nodes = engine.nodes(name, run)
        _check_running(engine, nodes, run)
        asked = time.monotonic()
        try:
            once = Run.within(run.remaining(patience), cancel=run.cancel)
            _, lacking = ask_api(access, nodes, once)
        except (ClusterError, DeadlineError) as error:
            run.check(f"waiting for cluster {name!r}: {said}")
            lacking = error.message.splitlines()[0]
            if time.monotonic() - asked >= patience:
                patience = min(2 * patience, _LONGEST)
        if not lacking:
            return
        if lacking != said:
            said = lacking
            run.emit(Event(name="wait", subject=name, state="progress", detail=lacking))
        moved = _moved(nodes, addresses)
        if moved and len(nodes) > 1 and began - run.remaining() > _REPAIR:
            if repaired:
                msg = f"nodes have other addresses than they were made with: {', '.join(moved)}"
                hint = (
                    "the engine gave them to other containers: stop those and run this again, "
                    "or 'infometis destroy', then 'infometis up', for a new cluster without data"
                )
                raise PlatformError(msg, hint=hint)
            _restart_in_order(engine, nodes, addresses, run)
            repaired, began = True, run.remaining()
        run.sleep(_PAUSE, f"waiting for cluster {name!r}: {said}")


def _lacking(found: Sequence[Mapping[str, Any]], joining: Mapping[str, float]) -> str:
    waiting = [str(node["metadata"]["name"]) for node in found if not _is_ready(node)]
    if waiting:
        return f"not ready: {', '.join(sorted(waiting))}"
    missing = sorted(joining.keys() - {str(node["metadata"]["name"]) for node in found})
    return f"not joined yet: {', '.join(missing)}" if missing else ""


def _silent(leases: Sequence[Mapping[str, Any]], joining: Mapping[str, float]) -> str:
    """Say whose kubelet has not been heard of since its container was started.

    What the API says of a node is stored, and the last life's word counts for 40 seconds.
    """
    heard = {
        str(each["metadata"]["name"]): moment(str((each.get("spec") or {}).get("renewTime") or ""))
        for each in leases
    }
    silent = sorted(name for name, began in joining.items() if heard.get(name, 0.0) < began)
    return f"not heard of since the start: {', '.join(silent)}" if silent else ""


def _is_ready(node: Mapping[str, Any]) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _check_running(engine: Engine, nodes: Sequence[Node], run: Run) -> None:
    for node in nodes:
        if not node.running:
            tail = engine.log_tail(node.name, run)
            msg = f"node {node.name} ended with code {node.exit_code} while it was starting"
            hint = "run this again; 'infometis doctor' looks at cgroup, inotify and disk"
            raise PlatformError(f"{msg}; its last lines:\n{tail}" if tail else msg, hint=hint)


def _moved(nodes: Sequence[Node], addresses: Mapping[str, str]) -> list[str]:
    """Name the nodes that have another address than they were made with."""
    moved = []
    for node in nodes:
        had = addresses.get(node.name, "")
        has = next(iter(node.addresses.values()), "")
        if had and has and had != has:
            moved.append(f"{node.name} had {had} and has {has}")
    return moved


def _restart_in_order(
    engine: Engine, nodes: Sequence[Node], addresses: Mapping[str, str], run: Run
) -> None:
    names = [node.name for node in nodes]
    detail = "its nodes have other addresses: they are started again in their first order"
    run.emit(Event(name="start cluster", subject=names[0], state="progress", detail=detail))
    engine.stop(names, run)
    order = sorted(names, key=lambda name: _numbers(addresses.get(name, "")))
    engine.start(order, run)


def _numbers(address: str) -> tuple[int, ...]:
    return tuple(int(part) for part in address.split(".") if part.isdigit())
