"""Decide about one desired object: create it, change it, make it anew, take it over, or refuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from infometis_sdk.engine.objects.fieldset import Path, display, entries, ours
from infometis_sdk.engine.objects.inventory_id import cluster_applyset_id
from infometis_sdk.engine.objects.marks import PART_OF, STACK, manager_of
from infometis_sdk.engine.planning.autoscaling import (
    takes_pods_away,
    what_counts,
    with_live_replicas,
)
from infometis_sdk.engine.planning.coming import lacking, rests_on
from infometis_sdk.engine.planning.conflicts import BY_HAND, deployer
from infometis_sdk.engine.planning.examine import Examination, Rules, about_object, dry_run, examine
from infometis_sdk.engine.planning.guards import REPLICAS, unsurvivable
from infometis_sdk.engine.planning.held import held_up
from infometis_sdk.engine.reading.live import Live
from infometis_sdk.errors import ClusterError
from infometis_sdk.model.plan import Decision, PlanItem
from infometis_sdk.model.stack import Manifest, ManifestSet
from infometis_sdk.ports.cluster import Cluster

if TYPE_CHECKING:
    from infometis_sdk.model.run import Run

__all__ = (
    "Consent",
    "Key",
    "Object",
    "Scene",
    "change",
    "creation",
    "marked",
)

Object = Mapping[str, Any]
Key = tuple[str, str, str, str]


def _names(values: Iterable[str]) -> frozenset[str]:
    return frozenset(values)


@frozen(kw_only=True)
class Consent:
    """What the operator named.

    Attributes:
        adopt: objects (``StatefulSet/kafka``) that may be taken over.
        data_loss: objects whose data may be lost.

    """

    adopt: frozenset[str] = field(default=frozenset(), converter=_names)
    data_loss: frozenset[str] = field(default=frozenset(), converter=_names)


@frozen(kw_only=True)
class Scene:
    """What every decision of one plan looks at.

    Attributes:
        kinds, namespaces: kinds (group, kind) and namespaces that the plan itself brings.
        coming: names of all objects that the plan itself brings.
        autoscaled: keys of the workloads that an autoscaler drives.

    """

    cluster: Cluster
    manifests: ManifestSet
    live: Live
    consent: Consent
    kinds: frozenset[tuple[str, str]]
    namespaces: frozenset[str]
    coming: frozenset[str]
    autoscaled: frozenset[Key]

    @property
    def manager(self) -> str:
        """The stack's field manager."""
        return manager_of(self.manifests.stack_id)


def creation(scene: Scene, manifest: Manifest, obj: Object, run: Run) -> PlanItem:
    """Return the item for an object that is not there; its problems say what is against it.

    Raises:
        ClusterError: the API server does not answer.

    """
    ref, live = manifest.ref, scene.live
    certainty = "exact"
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unserved = (ref.api_version, ref.kind) in live.missing_kinds
    if ref.namespace in live.missing_namespaces - scene.namespaces:
        problems = (
            f"the namespace {ref.namespace} does not exist, and it is not this stack's to make",
        )
    elif unserved and (ref.group, ref.kind) not in scene.kinds:
        problems = (
            (
                f"the cluster serves no kind {ref.kind} in {ref.api_version}, "
                "and no CustomResourceDefinition of this stack brings it"
            ),
        )
    elif unserved or ref.namespace in live.missing_namespaces:
        certainty = "predicted"
    else:
        try:
            _, warnings = dry_run(scene.cluster, ref, obj, scene.manager, run, force=False)
        except ClusterError as error:
            if not about_object(error):
                raise
            if lacking(error) and rests_on(obj, scene.coming):
                certainty = "predicted"
            else:
                problems = (f"the API server refuses it: {' '.join(error.message.split())}",)
    return attrs.evolve(
        _item(manifest, obj),
        action="create",
        certainty=certainty,
        state="pending",
        problems=(*problems, *_takes_away(obj, live=live)),
        warnings=warnings,
    )


def _takes_away(obj: Object, *, live: Live) -> tuple[str, ...]:
    why = takes_pods_away(obj, live)
    return (why,) if why else ()


def change(
    scene: Scene, manifest: Manifest, obj: Object, have: Object, run: Run
) -> PlanItem | None:
    """Return the item for an object that is there, or ``None`` where nothing need be done.

    Raises:
        ClusterError: the API server does not answer.

    """
    ref, environment = manifest.ref, scene.manifests.environment
    mine = ours(have, scene.manager) is not None or marked(manifest, have, scene.manifests.stack_id)
    adopted = bool({str(ref), f"{ref.namespace}/{ref}"} & scene.consent.adopt)
    base = attrs.evolve(
        _item(manifest, obj),
        uid=str(have["metadata"].get("uid", "")),
        fingerprint=what_counts(obj, have),
    )
    problem = _untouchable(manifest, have, ours=mine or adopted)
    if problem:
        return attrs.evolve(base, problems=(problem,))
    rules = Rules(
        manager=scene.manager,
        policy=environment.policies.drift,
        protected=environment.protected,
        adopted=adopted,
        autoscaled=ref.key in scene.autoscaled,
    )
    found = examine(scene.cluster, obj, have, rules, run)
    removals, extra = _removals(found, have, environment.policies.drift.foreign)
    if not found.action and not removals:
        return None
    action = found.action or "update"
    if action == "update" and not mine and not manifest.singleton:
        action = "adopt"
    payload = found.payload
    if action == "replace" and rules.autoscaled:
        payload = with_live_replicas(payload, have)
    lost = tuple(unsurvivable(manifest, found.changes, scene.manifests.services))
    # A person's tool is overruled: the number was never ours, and whoever set it is named.
    by_hand = any(d.why == BY_HAND and d.path == REPLICAS for d in found.decisions)
    return attrs.evolve(
        base,
        action=action,
        state=found.state or "foreign",
        fingerprint=what_counts(payload, have),
        payload=payload,
        force=found.force,
        changes=found.changes,
        decisions=(*found.decisions, *extra),
        problems=(
            *found.problems,
            *(() if by_hand else lost),
            *_takes_away(obj, live=scene.live),
        ),
        warnings=(*found.warnings, *(lost if by_hand else ())),
        removals=removals,
    )


def marked(manifest: Manifest, have: Object, stack_id: str) -> bool:
    """Whether a live object carries the mark of its inventory."""
    labels = have["metadata"].get("labels") or {}
    if manifest.singleton:
        return bool(labels.get(PART_OF) == cluster_applyset_id())
    return bool(labels.get(STACK) == stack_id)


def _item(manifest: Manifest, obj: Object) -> PlanItem:
    return PlanItem(
        action="update",
        ref=manifest.ref,
        service=manifest.service,
        zone=manifest.zone,
        singleton=manifest.singleton,
        payload=obj,
        reads=manifest.reads,
    )


def _untouchable(manifest: Manifest, have: Object, *, ours: bool) -> str:
    """Return why a live object may not be touched at all."""
    ref = manifest.ref
    if have["metadata"].get("deletionTimestamp"):
        return f"it {held_up(have)}; wait for it, or mend what holds it"
    if ours:
        return ""
    writers = {owner.manager for owner in entries(have) if owner.subresource != "status"}
    by = ", ".join(sorted(writers)) or "an unknown manager"
    if not manifest.singleton:
        return (
            f"it exists and is not ours (written by {by}); "
            f"adopt it by name (--adopt {ref}) or remove it"
        )
    if any(manager.startswith("infometis.") for manager in writers):
        return ""
    return (
        f"this singleton exists and no stack of ours made it (written by {by}); "
        f"adopt it by name (--adopt {ref}) or leave it out"
    )


def _removals(
    found: Examination, have: Object, policy: str
) -> tuple[tuple[Path, ...], tuple[Decision, ...]]:
    """Return the foreign additions that the policy takes away."""
    if policy != "remove":
        return (), ()
    taken = [(path, owner, value) for path, owner, value in found.foreign if not deployer(owner)]
    decisions = tuple(
        Decision(
            path=display(path, have),
            manager=owner.label,
            action="remove",
            why="policies.drift.foreign is remove",
            live=value,
        )
        for path, owner, value in taken
    )
    return tuple(dict.fromkeys(path for path, _, _ in taken)), decisions
