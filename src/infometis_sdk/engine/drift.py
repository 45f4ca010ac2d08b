"""Live against desired: ``pending``, ``drift`` and ``foreign``, with who wrote it and when."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk.engine.objects.fieldset import Owner, Path, display, ours, proven
from infometis_sdk.engine.objects.marks import DIGEST, manager_of
from infometis_sdk.engine.plan import desired_objects, learn
from infometis_sdk.engine.planning.autoscaling import autoscaled_keys, without_scaled_replicas
from infometis_sdk.engine.planning.conflicts import additions
from infometis_sdk.engine.planning.examine import Examination, Rules, examine, state_of
from infometis_sdk.engine.planning.prune import members
from infometis_sdk.engine.reading.live import Live, observe
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.engine.reading.writers import last_writer, scaled_at
from infometis_sdk.engine.writing.release import latest, read_releases
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.report import DriftItem, DriftReport

if TYPE_CHECKING:
    from infometis_sdk.model.release import ServiceRecord
    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import Manifest, ManifestSet
    from infometis_sdk.ports.cluster import Cluster

__all__ = (
    "Key",
    "Object",
    "differences",
    "drift",
)

Key = tuple[str, str, str, str]
Object = Mapping[str, Any]

_LEFT_ALONE = ("a known controller holds it", "policies.drift.yield_to allows it")
_QUIET = f"metadata.annotations[{DIGEST}]"


def drift(cluster: Cluster, manifests: ManifestSet, run: Run) -> DriftReport:
    """Report every field and object that is not as we applied it; reads only.

    A clean stack costs one LIST per kind and namespace and no other request.

    Args:
        cluster: the API.
        manifests: what is desired.
        run: deadline and cancel token.

    Raises:
        ClusterError: the API server does not answer, or not to us.

    """
    begun = time.monotonic()
    learn(cluster, manifests)
    live = observe(
        cluster,
        manifests.stack_id,
        manifests.namespace,
        ((m.ref, m.singleton) for m in manifests.manifests),
        run,
        secrets=bool(manifests.credentials)
        or any(m.ref.kind == "Secret" for m in manifests.manifests),
    )
    items = differences(
        cluster,
        manifests,
        live,
        run,
        scaled=autoscaled_keys(cluster, manifests, live, run),
        deployed=latest(read_releases(live.of_kind("ConfigMap"))[0]),
    )
    items += _leftovers(manifests, live)
    return DriftReport(
        stack_id=manifests.stack_id,
        items=tuple(items),
        checked=len(manifests.manifests),
        seconds=time.monotonic() - begun,
        incomplete=live.incomplete,
    )


def differences(
    cluster: Cluster,
    manifests: ManifestSet,
    live: Live,
    run: Run,
    *,
    scaled: Collection[Key],
    deployed: Mapping[str, ServiceRecord],
) -> list[DriftItem]:
    """Return what differs between some manifests and what was found of them.

    What is proven to be as desired costs no request; the rest is dry-run.

    Args:
        cluster: the API.
        manifests: what is desired: all of a stack, or only the objects that are looked at.
        live: what was found.
        run: deadline and cancel token.
        scaled: keys of the workloads that an autoscaler drives.
        deployed: what is known to run of each service.

    Raises:
        ClusterError: the API server does not answer, or not to us.

    """
    manager = manager_of(manifests.stack_id)
    policy = manifests.environment.policies.drift
    wanted = [
        without_scaled_replicas(obj, live.get(m.ref), manager, autoscaled=m.ref.key in scaled)
        for m, obj in zip(manifests.manifests, desired_objects(manifests, live), strict=True)
    ]

    def without_asking(manifest: Manifest, obj: Object) -> list[DriftItem] | None:
        have = live.get(manifest.ref)
        if have is None:
            return [_missing(manifest, manifests, deployed)]
        if proven(obj, have, manager):
            return list(_foreign(manifest, have, tuple(additions(obj, have, manager, policy))))
        return None

    def ask(pair: tuple[Manifest, Object]) -> list[DriftItem]:
        manifest, obj = pair
        have = live.objects[manifest.ref.key]
        run.check("looking for drift")
        rules = Rules(
            manager=manager,
            policy=policy,
            protected=manifests.environment.protected,
            autoscaled=manifest.ref.key in scaled,
        )
        found = examine(cluster, obj, have, rules, run)
        items = _differences(manifest, obj, have, found, manager)
        return [
            *(_dated(cluster, item, have, manager, run) for item in items),
            *_foreign(manifest, have, found.foreign),
        ]

    pairs = list(zip(manifests.manifests, wanted, strict=True))
    run.check("looking for drift")
    known = [without_asking(manifest, obj) for manifest, obj in pairs]
    unproven = [pair for pair, items in zip(pairs, known, strict=True) if items is None]
    asked = iter(parallel(ask, unproven, run, "looking for drift"))
    return [item for items in known for item in (next(asked) if items is None else items)]


def _missing(
    manifest: Manifest, manifests: ManifestSet, deployed: Mapping[str, ServiceRecord]
) -> DriftItem:
    """Tell an object that was deleted under us from one that was never applied."""
    record = deployed.get(manifest.service)
    composed = manifests.services.get(manifest.service)
    same = bool(
        record
        and composed
        and record.digest == manifests.digests.get(manifest.service, "")
        and dict(record.values) == dict(composed.values)
    )
    return DriftItem(
        ref=manifest.ref,
        service=manifest.service,
        state="drift" if same or (deployed and not manifest.service) else "pending",
        desired="present",
        live="missing",
    )


def _leftovers(manifests: ManifestSet, live: Live) -> Iterator[DriftItem]:
    wanted = {m.ref.key for m in manifests.manifests}
    for obj in members(live, manifests.stack_id, manifests.namespace):
        ref = ObjectRef.of(obj)
        if ref.key not in wanted and not obj["metadata"].get("deletionTimestamp"):
            yield DriftItem(
                ref=ref,
                service=(obj["metadata"].get("labels") or {}).get("app.kubernetes.io/name", ""),
                state="pending",
                desired="absent",
                live="present",
            )


def _foreign(
    manifest: Manifest, have: Object, foreign: tuple[tuple[Path, Owner, Any], ...]
) -> Iterator[DriftItem]:
    for path, owner, value in foreign:
        text = display(path, have)
        yield DriftItem(
            ref=manifest.ref,
            service=manifest.service,
            state="foreign",
            path=text,
            live=_text(manifest, text, value),
            manager=owner.label,
            time=owner.time,
        )


def _differences(
    manifest: Manifest, obj: Object, have: Object, found: Examination, manager: str
) -> Iterator[DriftItem]:
    state = _state(obj, have, manager)
    if found.problems and not found.changes:
        yield DriftItem(
            ref=manifest.ref,
            service=manifest.service,
            state=state,
            live="; ".join(found.problems),
        )
    held = {decision.path: decision for decision in found.decisions}
    left_alone = {path for path, decision in held.items() if decision.why in _LEFT_ALONE}
    shown: set[str] = set()
    for change in found.changes:
        if change.path in left_alone:
            continue
        if change.path == _QUIET and (state != "drift" or len(found.changes) > 1):
            continue  # it follows from the others
        shown.add(change.path)
        decision = held.get(change.path)
        owner = last_writer(have, change.path, manager)
        yield DriftItem(
            ref=manifest.ref,
            service=manifest.service,
            # A field that somebody else holds has drifted, also where desired moved meanwhile.
            state="drift" if decision else state,
            path=change.path,
            desired=_text(manifest, change.path, change.new),
            live=_text(manifest, change.path, change.old),
            manager=(decision.manager if decision else owner.label if owner else "")
            if decision or state == "drift"
            else "",
            time=owner.time if owner and (decision or state == "drift") else "",
        )
    for path, decision in held.items():
        # Yielded to somebody unknown: not undone, but drift all the same.
        if path not in shown and path not in left_alone:
            owner = last_writer(have, path, manager)
            yield DriftItem(
                ref=manifest.ref,
                service=manifest.service,
                state="drift",
                path=path,
                desired="",
                live=_text(manifest, path, decision.live),
                manager=decision.manager,
                time=owner.time if owner else "",
            )
    if found.action == "update" and not found.changes and not held:
        # Nothing differs but who owns it: somebody wrote the very same value.
        yield DriftItem(
            ref=manifest.ref,
            service=manifest.service,
            state=state,
            path="metadata.managedFields",
            desired=f"owned by {manager}",
            live="owned in part by others",
        )


def _state(obj: Object, have: Object, manager: str) -> str:
    """Tell drift from a desire that moved, by the digest that we left on the object.

    Where somebody else wrote or removed that digest it says nothing, and that itself is drift.
    """
    marks = ours(have, manager)
    left = ((marks or {}).get("f:metadata") or {}).get("f:annotations") or {}
    if marks is not None and f"f:{DIGEST}" not in left:
        return "drift"
    return state_of(obj, have)


def _dated(cluster: Cluster, item: DriftItem, have: Object, manager: str, run: Run) -> DriftItem:
    if item.time or not item.manager.endswith("/scale"):
        return item
    return attrs.evolve(item, time=scaled_at(cluster, item.ref, have, manager, run))


def _text(manifest: Manifest, path: str, value: Any) -> str:  # noqa: ANN401 - any leaf
    if value is None:
        return ""
    if manifest.ref.kind == "Secret" and path.startswith(("data", "stringData")):
        return "(secret)"
    return value if isinstance(value, str) else repr(value)
