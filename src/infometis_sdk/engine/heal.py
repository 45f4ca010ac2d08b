"""DriftReport -> Plan -> the same writer: put back what was changed or deleted under us.

A heal opens no Release: it brings the cluster back to the latest deployed one and goes nowhere
else.  It deletes nothing and makes nothing anew that would have to be deleted first.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import attrs
from attrs import field, frozen

from infometis_sdk.engine.objects.fieldset import proven
from infometis_sdk.engine.objects.order import apply_rank
from infometis_sdk.engine.plan import desired_objects, digest_of
from infometis_sdk.engine.planning.autoscaling import without_scaled_replicas
from infometis_sdk.engine.planning.item import Consent, Scene, change, creation
from infometis_sdk.engine.planning.seal import seal
from infometis_sdk.engine.planning.stale import refuse_moved
from infometis_sdk.engine.reading.named import observe_named
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.engine.reading.standing import read_standing
from infometis_sdk.engine.writing.credentials import key_of, key_ref, secret_data
from infometis_sdk.engine.writing.fill import Filling, payload_of
from infometis_sdk.engine.writing.job import Job, Materials
from infometis_sdk.engine.writing.lease import PATIENCE, Writer
from infometis_sdk.engine.writing.waves import perform_wave, waves
from infometis_sdk.errors import PlanRefusedError, StalePlanError
from infometis_sdk.model.plan import Plan, PlanItem
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.report import ApplyReport

if TYPE_CHECKING:
    from collections.abc import Callable

    from infometis_sdk.engine.reading.live import Live
    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import Manifest, ManifestSet
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("YIELDED", "Healing", "Key", "Scope", "heal", "plan_heal")

Key = tuple[str, str, str, str]

YIELDED = "whoever holds what differs is yielded to"
"""Why an object is left as it is for good: no later try would do anything else."""


@frozen(kw_only=True)
class Scope:
    """What a heal is about.

    Attributes:
        scaled: keys of the workloads that an autoscaler drives.
        spared: fields that are left to whoever holds them, by the object's key.

    """

    scaled: Collection[Key] = ()
    spared: Mapping[Key, Collection[str]] = field(factory=dict)


@frozen(kw_only=True)
class Healing:
    """What a heal would do.

    Attributes:
        plan: creations and updates alone, in order of application.
        left: objects that are left as they are, each with the reason.

    """

    plan: Plan
    left: Mapping[Key, str] = field(factory=dict)


def plan_heal(
    cluster: Cluster, manifests: ManifestSet, live: Live, run: Run, *, scope: Scope = Scope()
) -> Healing:  # fmt: skip
    """Find what brings drifted objects back; reads only.

    Args:
        cluster: the API.
        manifests: the stack, limited to the objects that drifted.
        live: what was found of them.
        run: deadline and cancel token.
        scope: what else counts.

    Returns:
        The plan, and what is left as it is; that is in ``plan.kept`` too.
        What is as desired by now is in neither.

    Raises:
        ClusterError: the API server does not answer, or not to us.

    """
    scene = Scene(
        cluster=cluster,
        manifests=manifests,
        live=live,
        consent=Consent(),
        kinds=frozenset(),
        namespaces=frozenset(),
        coming=frozenset(),
        autoscaled=frozenset(scope.scaled),
    )

    def look(pair: tuple[Manifest, Mapping[str, object]]) -> PlanItem | str | None:
        manifest, obj = pair
        have = live.get(manifest.ref)
        run.check("planning")
        if lost := _lost_credentials(manifest, manifests.namespace, live):
            return lost
        sent = without_scaled_replicas(
            obj, have, scene.manager, autoscaled=manifest.ref.key in scope.scaled
        )
        if have is None:
            item: PlanItem | None = attrs.evolve(
                creation(scene, manifest, sent, run), state="drift"
            )
        else:
            item = change(_sparing(scene, scope.spared.get(manifest.ref.key, ())), manifest, sent,
                          have, run)  # fmt: skip
        if item is None and have is not None and proven(sent, have, scene.manager):
            return None  # somebody put it back meanwhile
        return _healable(item)

    pairs = list(zip(manifests.manifests, desired_objects(manifests, live), strict=True))
    found = parallel(look, pairs, run, "planning")
    items = sorted(
        (item for item in found if isinstance(item, PlanItem)), key=lambda i: apply_rank(i.ref)
    )
    left = {
        manifest.ref: why
        for (manifest, _), why in zip(pairs, found, strict=True)
        if isinstance(why, str)
    }
    key = key_of(live.get(key_ref(manifests.stack_id, manifests.namespace)))
    made = Plan(
        stack_id=manifests.stack_id,
        environment=manifests.environment.name,
        namespace=manifests.namespace,
        cluster_uid=live.inventory.cluster_uid if live.inventory else "",
        items=tuple(seal(item, key) for item in items),
        core_digest=manifests.digest,
        digests=dict(manifests.digests),
        incomplete=live.incomplete,
        kept=tuple(f"{ref}: {why}" for ref, why in left.items()),
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    )
    return Healing(
        plan=attrs.evolve(made, digest=digest_of(made)),
        left={ref.key: why for ref, why in left.items()},
    )


def _sparing(scene: Scene, paths: Collection[str]) -> Scene:
    """Return the scene with some fields left to whoever holds them."""
    if not paths:
        return scene
    environment = scene.manifests.environment
    policies, drift = environment.policies, environment.policies.drift
    triples = tuple(f"*:{sub}:{path}" for path in sorted(paths) for sub in ("", "scale"))
    drift = attrs.evolve(drift, yield_to=(*drift.yield_to, *triples))
    environment = attrs.evolve(environment, policies=attrs.evolve(policies, drift=drift))
    return attrs.evolve(scene, manifests=attrs.evolve(scene.manifests, environment=environment))


def _lost_credentials(manifest: Manifest, namespace: str, live: Live) -> str:
    """Say which credentials that the pods read are gone: without them they must not restart."""
    gone = [
        f"Secret/{name}"
        for name in manifest.reads
        if live.get(ObjectRef(api_version="v1", kind="Secret", namespace=namespace, name=name))
        is None
    ]
    if not gone:
        return ""
    return f"it reads {', '.join(gone)}, which is gone; put it back, or run an apply"


def _healable(item: PlanItem | None) -> PlanItem | str:
    """Return the item, or why it is not healed."""
    if item is None:
        return YIELDED
    if item.problems:
        return "; ".join(item.problems)
    if item.action == "replace":
        return "an immutable field differs, so it would be deleted first; run an apply"
    if item.action == "adopt":
        return "it carries our mark, but none of our fields; run an apply"
    if item.state == "pending":
        return "what is desired is not what was applied last; run an apply"
    return item


def heal(
    cluster: Cluster,
    plan: Plan,
    manifests: ManifestSet,
    materials: Materials,
    run: Run,
    *,
    release: int,
    patience: float = PATIENCE,
    before: Callable[[Plan], None] | None = None,
) -> ApplyReport:
    """Do what :func:`plan_heal` found, holding the writer's Lease, or refuse.

    Args:
        cluster: the API.
        plan: from :func:`plan_heal`.
        manifests: the objects that the plan was made from.
        materials: the values of Secrets.
        run: deadline, events, cancel token.
        release: the latest deployed Release; where another one was begun meanwhile, or the stack
            was taken down, nothing is written.
        patience: seconds to wait for another writer.
        before: told of the plan before the first write.

    Returns:
        What became of each object, failures among them.

    Raises:
        PlanRefusedError: the plan was blocked.
        StalePlanError: the plan was edited, an object moved, or the Release is another one.
        LockedError: another writer holds the stack.
        ClusterError: the API server does not answer, or not to us.

    """
    begun = time.monotonic()
    if digest_of(plan) != plan.digest:
        msg = "the plan was changed after it was made: its digest does not fit"
        raise StalePlanError(msg, hint="make the plan again")
    if plan.blocked:
        msg = f"the heal of {plan.environment} may not be done: " + "; ".join(plan.blocked)
        raise PlanRefusedError(msg, plan=plan)
    job = Job(cluster=cluster, plan=plan, run=run)
    if plan.items:
        with Writer(cluster, plan.stack_id, plan.namespace, run, patience=patience) as writer:
            _heal(job, writer, manifests, materials, release=release, before=before)
    return ApplyReport(
        stack_id=plan.stack_id,
        plan_digest=plan.digest,
        outcomes=tuple(job.progress.outcomes),
        release=release,
        seconds=time.monotonic() - begun,
        warnings=tuple(f"not healed: {reason}" for reason in plan.kept),
    )


def _heal(
    job: Job,
    writer: Writer,
    manifests: ManifestSet,
    materials: Materials,
    *,
    release: int,
    before: Callable[[Plan], None] | None,
) -> None:
    plan = job.plan
    standing = read_standing(job.cluster, plan.stack_id, plan.namespace, job.run)
    if standing.idle or standing.number != release:
        why = standing.idle or f"release {standing.number} is newer"
        msg = f"nothing is healed now: {why}"
        raise StalePlanError(msg, hint="look for drift again once a release is deployed")
    keys = {item.ref.key for item in plan.items}
    chosen = tuple(m for m in manifests.manifests if m.ref.key in keys)
    live = observe_named(job.cluster, attrs.evolve(manifests, manifests=chosen), job.run)
    refuse_moved(plan.items, live)
    filling = Filling(
        key=key_of(live.get(key_ref(plan.stack_id, plan.namespace))) or b"",
        data={
            obj["metadata"]["name"]: secret_data(obj)
            for obj in live.of_kind("Secret")
            if obj["metadata"].get("namespace") == plan.namespace
        },
    )
    work = [(item, payload_of(item, materials, filling)) for item in plan.items]
    if before:
        before(plan)
    for wave in waves(work):
        perform_wave(job, writer, wave, live)
