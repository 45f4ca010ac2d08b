"""Carry out one item of a plan, exactly as planned or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from infometis_sdk.engine.objects.fieldset import Path, entries, find_item, proven
from infometis_sdk.engine.planning.autoscaling import what_counts
from infometis_sdk.engine.planning.examine import about_object
from infometis_sdk.errors import ClusterError, ConflictError, NotFoundError
from infometis_sdk.model.plan import PlanItem
from infometis_sdk.model.report import Outcome
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Cluster, Write, Written

__all__ = (
    "TRIES",
    "Object",
    "Pointer",
    "Send",
    "perform",
)

TRIES = 10
"""How often a write is repeated whose object was only touched in its status meanwhile.

kapp does so as often.
"""

_FOREGROUND = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"})

_REMOVER = "infometis"
"""Not the stack's own manager: what is taken away is nobody's afterwards."""

Send = Callable[[Write, Run], Written]
Object = Mapping[str, Any]


class _MovedError(Exception):
    """The live object is not what the plan rests on."""


@frozen(kw_only=True)
class _Step:
    """One item on its way."""

    cluster: Cluster
    send: Send
    item: PlanItem
    payload: Object
    manager: str
    run: Run

    def write(self, verb: str, **options: Any) -> Written:  # noqa: ANN401 - fields of Write
        return self.send(Write(verb=verb, ref=self.item.ref, **options), self.run)


def perform(
    cluster: Cluster,
    send: Send,
    item: PlanItem,
    payload: Object,
    live: Object | None,
    *,
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
    step = _Step(cluster=cluster, send=send, item=item, payload=payload, manager=manager, run=run)
    try:
        detail = _STEPS[item.action](step, live)
    except _MovedError as moved:
        return _outcome(item, "failed", str(moved))
    except ClusterError as error:
        if not about_object(error):
            raise
        return _outcome(item, "failed", " ".join(error.message.split()))
    return _outcome(item, "deleted" if item.action == "delete" else "applied", detail)


def _outcome(item: PlanItem, result: str, detail: str) -> Outcome:
    return Outcome(
        ref=item.ref, service=item.service, action=item.action, result=result, detail=detail
    )


def _create(step: _Step, live: Object | None) -> str:
    if live is not None:
        msg = "it appeared since the plan was made; plan again"
        raise _MovedError(msg)
    written = step.write("apply", body=step.payload, manager=step.manager)
    if not written.created:
        # A repeated request after a dropped connection finds our own first try.
        others = {
            o.manager
            for o in entries(written.object)
            if o.manager != step.manager and not o.subresource and not o.manager.startswith("kube-")
        }
        if others:
            msg = f"it was created at the same time by {', '.join(sorted(others))}; plan again"
            raise _MovedError(msg)
    return "; ".join(written.warnings)


def _update(step: _Step, live: Object | None) -> str:
    if step.item.removals and live is not None:
        live = _remove(step, live)
    for _ in range(TRIES):
        meta = _there(live)["metadata"]
        try:
            written = step.write(
                "apply",
                body=step.payload,
                manager=step.manager,
                force=step.item.force,
                uid=meta["uid"],
                resource_version=meta["resourceVersion"],
            )
        except ConflictError as error:
            if error.causes:
                raise
            now = _there(step.cluster.get(step.item.ref, step.run))
            if proven(step.payload, now, step.manager):
                # An earlier try got through, only its answer was lost.
                return ""
            live = _unmoved(now, live, step.payload)
            continue
        return "; ".join(written.warnings)
    msg = f"it kept moving during {TRIES} tries"
    raise _MovedError(msg)


def _there(live: Object | None) -> Object:
    if live is None:
        msg = "it was deleted since the plan was made; plan again"
        raise _MovedError(msg)
    return live


def _unmoved(now: Object, before: Object | None, payload: Object) -> Object:
    """Return an object whose resourceVersion moved, if nothing that counts did."""
    if before is None or what_counts(payload, now) != what_counts(payload, before):
        msg = "somebody changed it in this moment; plan again"
        raise _MovedError(msg)
    return now


def _remove(step: _Step, live: Object) -> Object:
    """Take foreign additions away: server-side apply alone never touches what we do not send."""
    for _ in range(TRIES):
        pointers = [p for p in (_pointer(live, path) for path in step.item.removals) if p]
        if not pointers:
            return live
        operations = [{"op": "remove", "path": _text(p)} for p in _from_the_end(pointers)]
        meta = live["metadata"]
        try:
            written = step.write(
                "json-patch",
                body=operations,
                manager=_REMOVER,
                uid=meta["uid"],
                resource_version=meta["resourceVersion"],
            )
        except ConflictError:
            now = _there(step.cluster.get(step.item.ref, step.run))
            if all(not _pointer(now, path) for path in step.item.removals):
                return now
            live = _unmoved(now, live, step.payload)
            continue
        return written.object
    msg = f"it kept moving during {TRIES} tries"
    raise _MovedError(msg)


Pointer = tuple[str | int, ...]


def _from_the_end(pointers: list[Pointer]) -> list[Pointer]:
    """Sort so that removing one list item shifts no other, and drop what goes with another."""
    outer = [p for p in pointers if not any(p[:n] in pointers for n in range(1, len(p)))]
    unique = dict.fromkeys(outer)

    def order(pointer: Pointer) -> list[tuple[int, str]]:
        return [(step, "") if isinstance(step, int) else (-1, step) for step in pointer]

    return sorted(unique, key=order, reverse=True)


def _text(pointer: Pointer) -> str:
    return "".join("/" + str(s).replace("~", "~0").replace("/", "~1") for s in pointer)


def _pointer(obj: Any, path: Path) -> Pointer:  # noqa: ANN401 - any JSON
    """Return where a path of managedFields is in a live object; empty where it is gone."""
    pointer: list[str | int] = []
    for step in path:
        if step.startswith("["):
            if not isinstance(obj, list):
                return ()
            member = step.startswith("[=")
            wanted = json.loads(step[2:-1] if member else step[1:-1])
            item = wanted if member else find_item(obj, wanted)
            if item is None or item not in obj:
                return ()
            index = obj.index(item)
            pointer.append(index)
            obj = obj[index]
        else:
            if not isinstance(obj, Mapping) or step not in obj:
                return ()
            pointer.append(step)
            obj = obj[step]
    return tuple(pointer)


def _replace(step: _Step, live: Object | None) -> str:
    if live is not None:
        # A StatefulSet leaves its pods running and takes them up again.
        orphan = step.item.ref.kind == "StatefulSet"
        _delete_live(step, live, "Orphan" if orphan else "Foreground")
        _gone(step, live["metadata"]["uid"])
    return _create(step, None)


def _delete_live(step: _Step, live: Object, propagation: str) -> None:
    try:
        step.write("delete", uid=live["metadata"]["uid"], propagation=propagation)
    except NotFoundError:
        return


def _gone(step: _Step, uid: str) -> None:
    ref = step.item.ref
    while (live := step.cluster.get(ref, step.run)) is not None and live["metadata"]["uid"] == uid:
        step.run.sleep(0.2, f"waiting for {ref} to go")


def _delete(step: _Step, live: Object | None) -> str:
    if live is None:
        return "it was gone already"
    foreground = step.item.ref.kind in _FOREGROUND
    _delete_live(step, live, "Foreground" if foreground else "Background")
    return ""


def _resize(step: _Step, live: Object | None) -> str:
    uid = _there(live)["metadata"]["uid"]
    step.write("merge-patch", body=step.payload, manager=step.manager, uid=uid)
    return ""


def _release(step: _Step, live: Object | None) -> str:
    if live is None:
        return "it was gone already"
    step.write("apply", body=step.payload, manager=step.manager, force=True)
    return "others still use it, so it stays"


_STEPS: Mapping[str, Callable[[_Step, Object | None], str]] = {
    "create": _create,
    "update": _update,
    "adopt": _update,
    "replace": _replace,
    "delete": _delete,
    "resize": _resize,
    "release": _release,
}
