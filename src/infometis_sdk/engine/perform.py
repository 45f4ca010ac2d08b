"""Carry out one item of a plan, exactly as planned or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from infometis_sdk.engine.fieldset import Path, entries, find_item
from infometis_sdk.engine.fingerprint import fingerprint
from infometis_sdk.errors import ClusterError, ConflictError, NotFoundError
from infometis_sdk.model.plan import PlanItem
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.report import Outcome
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Cluster, Write, Written

__all__ = ("TRIES", "perform")

TRIES = 10
"""How often a write is repeated whose object was only touched in its status meanwhile (as kapp does)."""

_FOREGROUND = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"})

Send = Callable[[Write, Run], Written]
Object = Mapping[str, Any]


class _MovedError(Exception):
    """The live object is not what the plan rests on."""


def perform(
    cluster: Cluster,
    send: Send,
    item: PlanItem,
    payload: Object,
    live: Object | None,
    manager: str,
    run: Run,
) -> Outcome:
    """Carry out an item; never raises for what concerns this object alone.

    Args:
        cluster: for re-reading.
        send: the writer session's door.
        item: what was planned.
        payload: its payload with credentials filled in.
        live: the object as re-read under the Lease; ``None`` where it is absent.
        manager: our field manager.
        run: deadline and cancel token.

    Returns:
        What became of it.

    Raises:
        LockedError: the Lease was lost; nothing more may be written.
        UnreachableError: the API server went away.

    """
    try:
        detail = _STEPS[item.action](cluster, send, item, payload, live, manager, run)
    except _MovedError as moved:
        return _outcome(item, "failed", str(moved))
    except ClusterError as error:
        if error.status == 0:
            raise
        return _outcome(item, "failed", " ".join(error.message.split()))
    return _outcome(item, "deleted" if item.action == "delete" else "applied", detail)


def _outcome(item: PlanItem, result: str, detail: str) -> Outcome:
    return Outcome(
        ref=item.ref, service=item.service, action=item.action, result=result, detail=detail
    )


def _create(  # noqa: PLR0913 - the common shape of all steps
    cluster: Cluster,
    send: Send,
    item: PlanItem,
    payload: Object,
    live: Object | None,
    manager: str,
    run: Run,
) -> str:
    del cluster
    if live is not None:
        msg = "it appeared since the plan was made; plan again"
        raise _MovedError(msg)
    written = send(Write(verb="apply", ref=item.ref, body=payload, manager=manager), run)
    if not written.created:
        # A repeated request after a dropped connection finds our own first try.
        others = {
            o.manager
            for o in entries(written.object)
            if o.manager != manager and not o.subresource and not o.manager.startswith("kube-")
        }
        if others:
            msg = f"it was created at the same time by {', '.join(sorted(others))}; plan again"
            raise _MovedError(msg)
    return "; ".join(written.warnings)


def _update(  # noqa: PLR0913
    cluster: Cluster,
    send: Send,
    item: PlanItem,
    payload: Object,
    live: Object | None,
    manager: str,
    run: Run,
) -> str:
    if item.removals and live is not None:
        live = _remove(cluster, send, item, live, run)
    for _ in range(TRIES):
        if live is None:
            msg = "it was deleted since the plan was made; plan again"
            raise _MovedError(msg)
        meta = live["metadata"]
        try:
            written = send(
                Write(
                    verb="apply",
                    ref=item.ref,
                    body=payload,
                    manager=manager,
                    force=item.force,
                    uid=meta["uid"],
                    resource_version=meta["resourceVersion"],
                ),
                run,
            )
        except ConflictError as error:
            if error.causes:
                raise
            live = _unmoved(cluster, item, live, run)
            continue
        return "; ".join(written.warnings)
    msg = f"it kept moving during {TRIES} tries"
    raise _MovedError(msg)


def _unmoved(cluster: Cluster, item: PlanItem, before: Object, run: Run) -> Object:
    """Re-read an object whose resourceVersion moved; go on only if nothing that counts did."""
    live = cluster.get(item.ref, run)
    if live is None:
        msg = "it was deleted since the plan was made; plan again"
        raise _MovedError(msg)
    if fingerprint(live) != fingerprint(before):
        msg = "somebody changed it in this moment; plan again"
        raise _MovedError(msg)
    return live


def _remove(cluster: Cluster, send: Send, item: PlanItem, live: Object, run: Run) -> Object:
    """Take foreign additions away: server-side apply alone never touches what we do not send."""
    operations: list[Any] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]}
    ]
    pointers = [p for p in (_pointer(live, path) for path in item.removals) if p]
    # From the end, so that removing a list item does not shift the next one.
    operations += [{"op": "remove", "path": pointer} for pointer in sorted(pointers, reverse=True)]
    send(Write(verb="json-patch", ref=item.ref, body=operations, manager="infometis"), run)
    after = cluster.get(item.ref, run)
    if after is None:
        msg = "it was deleted since the plan was made; plan again"
        raise _MovedError(msg)
    return after


def _pointer(obj: Any, path: Path) -> str:  # noqa: ANN401 - any JSON
    """Return the JSON pointer of a path of managedFields in a live object; empty where it is gone."""
    pointer = ""
    for step in path:
        if step.startswith("["):
            if not isinstance(obj, list):
                return ""
            item = (
                json.loads(step[2:-1]) if step.startswith("[=") else find_item(obj, json.loads(step[1:-1]))
            )
            if item is None or item not in obj:
                return ""
            index = obj.index(item)
            pointer, obj = f"{pointer}/{index:d}", obj[index]
        else:
            if not isinstance(obj, Mapping) or step not in obj:
                return ""
            pointer += "/" + step.replace("~", "~0").replace("/", "~1")
            obj = obj[step]
    return pointer


def _replace(  # noqa: PLR0913
    cluster: Cluster,
    send: Send,
    item: PlanItem,
    payload: Object,
    live: Object | None,
    manager: str,
    run: Run,
) -> str:
    if live is not None:
        # A StatefulSet leaves its pods running and takes them up again.
        orphan = item.ref.kind == "StatefulSet"
        _delete_live(send, item, live, "Orphan" if orphan else "Foreground", run)
        _gone(cluster, item.ref, live["metadata"]["uid"], run)
    return _create(cluster, send, item, payload, None, manager, run)


def _delete_live(send: Send, item: PlanItem, live: Object, propagation: str, run: Run) -> None:
    try:
        send(
            Write(
                verb="delete",
                ref=item.ref,
                uid=live["metadata"]["uid"],
                propagation=propagation,
            ),
            run,
        )
    except NotFoundError:
        return


def _gone(cluster: Cluster, ref: ObjectRef, uid: str, run: Run) -> None:
    while (live := cluster.get(ref, run)) is not None and live["metadata"]["uid"] == uid:
        run.sleep(0.2, f"waiting for {ref} to go")


def _delete(  # noqa: PLR0913
    cluster: Cluster,
    send: Send,
    item: PlanItem,
    payload: Object,
    live: Object | None,
    manager: str,
    run: Run,
) -> str:
    del cluster, payload, manager
    if live is None:
        return "it was gone already"
    _delete_live(
        send, item, live, "Foreground" if item.ref.kind in _FOREGROUND else "Background", run
    )
    return ""


def _resize(  # noqa: PLR0913
    cluster: Cluster,
    send: Send,
    item: PlanItem,
    payload: Object,
    live: Object | None,
    manager: str,
    run: Run,
) -> str:
    del cluster
    if live is None:
        msg = "it was deleted since the plan was made; plan again"
        raise _MovedError(msg)
    send(Write(verb="merge-patch", ref=item.ref, body=payload, manager=manager), run)
    return ""


def _release(  # noqa: PLR0913
    cluster: Cluster,
    send: Send,
    item: PlanItem,
    payload: Object,
    live: Object | None,
    manager: str,
    run: Run,
) -> str:
    del cluster
    if live is None:
        return "it was gone already"
    send(Write(verb="apply", ref=item.ref, body=payload, manager=manager, force=True), run)
    return "others still use it, so it stays"


_STEPS = {
    "create": _create,
    "update": _update,
    "adopt": _update,
    "replace": _replace,
    "delete": _delete,
    "resize": _resize,
    "release": _release,
}
