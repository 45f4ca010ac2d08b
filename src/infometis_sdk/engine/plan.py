"""ManifestSet + live objects -> Plan: reads only."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk.engine.objects.fieldset import proven
from infometis_sdk.engine.objects.marks import CREDENTIALS, manager_of
from infometis_sdk.engine.planning.autoscaling import autoscaled_keys, without_scaled_replicas
from infometis_sdk.engine.planning.conflicts import additions
from infometis_sdk.engine.planning.data import LeftData, left_data
from infometis_sdk.engine.planning.guards import guard
from infometis_sdk.engine.planning.item import Consent, Scene, change, creation, marked
from infometis_sdk.engine.planning.prune import Pruned, prune
from infometis_sdk.engine.planning.remains import Remains
from infometis_sdk.engine.planning.renames import renames
from infometis_sdk.engine.planning.seal import seal, with_annotation
from infometis_sdk.engine.planning.volumes import claim_names, grow
from infometis_sdk.engine.reading.cluster_identity import cluster_uid, differ
from infometis_sdk.engine.reading.live import Live, observe
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.engine.writing.credentials import (
    PENDING,
    key_of,
    key_ref,
    reader_hash,
    secret_data,
)
from infometis_sdk.engine.writing.release import (
    latest,
    read_releases,
    record_digest,
    records_of,
)
from infometis_sdk.engine.writing.renewals import Given, changed_sources
from infometis_sdk.errors import WrongClusterError
from infometis_sdk.model.plan import Plan, PlanItem
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.report import plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from infometis_sdk.model.release import Release
    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import Manifest, ManifestSet
    from infometis_sdk.ports.cluster import Cluster

__all__ = (
    "Consent",
    "desired_objects",
    "digest_of",
    "learn",
    "plain_plan",
    "plan",
    "stages_of",
)


_NONE_GIVEN: Given = MappingProxyType({})


def plan(
    cluster: Cluster,
    manifests: ManifestSet,
    run: Run,
    *,
    only: Collection[str] = (),
    consent: Consent = Consent(),  # noqa: B008 - frozen
    pinned: str = "",
    given: Given = _NONE_GIVEN,
) -> Plan:
    """Find the exact changes that bring the cluster to what is desired.

    What is proven unchanged costs no request beyond one LIST per kind and namespace;
    only the rest is dry-run, in parallel.

    Args:
        cluster: the API.
        manifests: what is desired.
        run: deadline and cancel token.
        only: services to look at; the others are neither changed nor pruned.
        consent: what the operator named.
        pinned: UID of the cluster of the first apply, where it is known.
        given: what the sources of Secrets say that follow them.

    Returns:
        A plan; what forbids its application is in ``plan.blocked``.

    Raises:
        ClusterError: the API server does not answer, or not to us.
        WrongClusterError: it is another cluster than ``pinned``.

    """
    scope = tuple(sorted(only))
    chosen = _in_scope(manifests, scope)
    learn(cluster, chosen)
    live = observe(
        cluster,
        manifests.stack_id,
        manifests.namespace,
        ((m.ref, m.singleton) for m in chosen.manifests),
        run,
        secrets=_secretive(manifests) or bool(consent.data_loss),
    )
    uid = _identify(cluster, live, pinned, run)
    manager = manager_of(manifests.stack_id)
    wanted = desired_objects(chosen, live)
    policy = manifests.environment.policies.drift
    remains = Remains(cluster, manifests, live, run)
    releases, damaged = read_releases(live.of_kind("ConfigMap"))
    deployed = remains.deployed(latest(releases))
    # What is limited to some services prunes nothing.
    pruned = Pruned()
    if not scope:
        pruned = prune(cluster, manifests, live, deployed, run, data_loss=consent.data_loss)
    scene = Scene(
        cluster=cluster,
        manifests=manifests,
        live=live,
        consent=consent,
        kinds=frozenset(
            _crd_kind(m.object)
            for m in chosen.manifests
            if m.ref.kind == "CustomResourceDefinition"
        ),
        namespaces=frozenset(m.ref.name for m in chosen.manifests if m.ref.kind == "Namespace"),
        coming=frozenset(m.ref.name for m in chosen.manifests if live.get(m.ref) is None),
        autoscaled=frozenset(
            autoscaled_keys(
                cluster, manifests, live, run, going={item.ref.key for item in pruned.items}
            )
        ),
    )

    unproven: list[tuple[Manifest, Mapping[str, Any]]] = []
    unchanged = 0
    for manifest, obj in zip(chosen.manifests, wanted, strict=True):
        have = live.get(manifest.ref)
        scaled = manifest.ref.key in scene.autoscaled
        sent = without_scaled_replicas(obj, have, manager, autoscaled=scaled)
        if (
            have is not None
            and not have["metadata"].get("deletionTimestamp")
            and proven(sent, have, manager)
            and marked(manifest, have, manifests.stack_id)
            and not (policy.foreign == "remove" and any(additions(sent, have, manager, policy)))
        ):
            unchanged += 1
        else:
            unproven.append((manifest, sent))

    def look(pair: tuple[Manifest, Mapping[str, Any]]) -> PlanItem | None:
        manifest, obj = pair
        have = live.get(manifest.ref)
        run.check("planning")
        if have is None:
            return creation(scene, manifest, obj, run)
        return change(scene, manifest, obj, have, run)

    found = parallel(look, unproven, run, "planning")
    items = [item for item in found if item is not None]
    unchanged += len(found) - len(items)
    items, volume_problems = grow(cluster, items, live, run)
    services = {n: s for n, s in manifests.services.items() if not scope or n in scope}
    problems = [
        *damaged,
        *guard(deployed, services, scaled=manifests.environment.policies.scaling),
        *volume_problems,
        *remains.lost_credentials(services, consent.data_loss),
    ]
    data = LeftData()
    if not scope:
        data = left_data(cluster, manifests, live, run, going=pruned.items, named=consent.data_loss)
        renamed, refusals = renames(manifests, live)
        items = [*_with_removals(items, pruned, renamed), *data.items]
        problems += [*pruned.problems, *refusals]
    unfinished = "" if scope else _unfinished(live, releases)
    if not scope and not unfinished and not items and releases:
        unfinished = _unrecorded(releases[-1], manifests)
    key = key_of(live.get(key_ref(manifests.stack_id, manifests.namespace)))
    renewals = changed_sources(chosen.credentials, given, live, manifests.namespace, key or b"")
    if not uid and (items or unfinished or renewals):
        uid = cluster_uid(cluster, run)
    made = Plan(
        stack_id=manifests.stack_id,
        environment=manifests.environment.name,
        namespace=manifests.namespace,
        cluster_uid=uid,
        items=tuple(seal(item, key) for item in items),
        unchanged=unchanged,
        scope=scope,
        members=tuple((m.ref, m.singleton) for m in manifests.manifests),
        claims=claim_names(m.object for m in manifests.manifests),
        stages=stages_of(manifests),
        needs={name: tuple(needs) for name, needs in manifests.needs.items() if needs},
        core_digest=manifests.digest,
        record=record_digest(records_of(manifests)),
        digests=dict(manifests.digests),
        credentials={
            b.secret: {k: str(ref) for k, ref in b.sources.items()} for b in chosen.credentials
        },
        renewals=renewals,
        confirm=pruned.confirm,
        incomplete=live.incomplete,
        unfinished=unfinished,
        kept=pruned.kept,
        left=data.left,
        problems=tuple(problems),
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    )
    return attrs.evolve(made, digest=digest_of(made))


def _with_removals(
    items: Iterable[PlanItem], pruned: Pruned, renamed: Mapping[str, str]
) -> list[PlanItem]:
    removals = [_renamed(item, renamed) for item in pruned.items]
    ahead = [item for item in removals if item.ahead]
    return [*ahead, *items, *(item for item in removals if not item.ahead)]


def _renamed(item: PlanItem, renamed: Mapping[str, str]) -> PlanItem:
    """Say of a deletion that its service goes on under another name."""
    if item.service not in renamed:
        return item
    return attrs.evolve(item, state=f"renamed to {renamed[item.service]}")


def learn(cluster: Cluster, manifests: ManifestSet) -> None:
    """Tell the cluster's door of the kinds that the stack brings, so that it need not ask."""
    for manifest in manifests.manifests:
        if manifest.ref.kind == "CustomResourceDefinition":
            cluster.learn(manifest.object)


def digest_of(made: Plan) -> str:
    """Return ``sha256:…`` over everything that a plan will do; not over when it was made."""
    data = plain_plan(made)
    data.pop("created")
    data.pop("digest")
    text = json.dumps(
        data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=plain
    )
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def plain_plan(made: Plan) -> dict[str, Any]:
    """Return every field of a plan as plain data, and payloads as they are: JSON already."""
    data = attrs.evolve(made, items=()).to_dict()
    data["items"] = [{**plain(item), "payload": item.payload} for item in made.items]
    return data


def desired_objects(manifests: ManifestSet, live: Live) -> list[Mapping[str, Any]]:
    """Return the objects to be sent, with the keyed hash of the credentials that pods read."""
    key = key_of(live.get(key_ref(manifests.stack_id, manifests.namespace)))
    wanted: list[Mapping[str, Any]] = []
    for manifest in manifests.manifests:
        if not manifest.reads:
            wanted.append(manifest.object)
            continue
        found = {
            name: secret_data(
                live.get(
                    ObjectRef(
                        api_version="v1", kind="Secret", namespace=manifests.namespace, name=name
                    )
                )
            )
            for name in manifest.reads
        }
        value = reader_hash(key, found) if key and all(found.values()) else PENDING
        wanted.append(with_annotation(manifest.object, CREDENTIALS, value))
    return wanted


def _in_scope(manifests: ManifestSet, scope: tuple[str, ...]) -> ManifestSet:
    if not scope:
        return manifests
    return attrs.evolve(
        manifests,
        manifests=tuple(m for m in manifests.manifests if not m.service or m.service in scope),
        credentials=tuple(b for b in manifests.credentials if not b.service or b.service in scope),
    )


def _unfinished(live: Live, releases: Sequence[Release]) -> str:
    """Say what is left to be recorded of an apply that died after its last object, or failed.

    Also where somebody deleted its Release.
    """
    if releases and releases[-1].status not in ("deployed", "superseded"):
        return f"release {releases[-1].number} is {releases[-1].status}"
    if releases and live.inventory is None:
        return "the inventory is gone"
    newest = releases[-1].number if releases else 0
    if live.inventory is not None and live.inventory.release > newest:
        return f"release {live.inventory.release} is gone from the cluster"
    return ""


def _unrecorded(newest: Release, manifests: ManifestSet) -> str:
    """Say why the newest Release does not tell what runs, though no object need change.

    An apply was limited to some services, or another core or other values render to the very same
    objects: a promotion and a proof go by what is recorded.
    """
    if newest.mixed:
        return f"release {newest.number} is mixed, and this one would be whole"
    if newest.bundle != manifests.digest:
        return f"release {newest.number} is of another bundle, {newest.bundle}"
    if record_digest(newest.services) != record_digest(records_of(manifests)):
        return f"release {newest.number} tells other values"
    return ""


def _identify(cluster: Cluster, live: Live, pinned: str, run: Run) -> str:
    """Return the cluster's UID where it is known, and refuse another cluster.

    An inventory that says where it was first applied answers without a request.
    """
    recorded = live.inventory.cluster_uid if live.inventory else ""
    if not pinned:
        return recorded
    if recorded == pinned:
        return pinned
    actual = cluster_uid(cluster, run)
    if differ(pinned, actual):
        msg = f"this cluster is {actual}, but the stack lives on {pinned}"
        raise WrongClusterError(
            msg,
            hint="the kubeconfig or its context points elsewhere; set it right, or run "
            "`infometis abandon` if the old cluster is gone for good",
        )
    return pinned


def _crd_kind(obj: Mapping[str, Any]) -> tuple[str, str]:
    spec = obj.get("spec") or {}
    return spec.get("group", ""), (spec.get("names") or {}).get("kind", "")


def _secretive(manifests: ManifestSet) -> bool:
    """Whether anything of the stack is hashed with its key."""
    return bool(manifests.credentials) or any(m.ref.kind == "Secret" for m in manifests.manifests)


def stages_of(manifests: ManifestSet) -> tuple[tuple[str, ...], ...]:
    """Return the services by how deep their needs go: each stage needs only earlier ones."""
    depth: dict[str, int] = {}
    for name in manifests.order:
        depth[name] = 1 + max(
            (depth.get(need, -1) for need in manifests.needs.get(name, ())), default=-1
        )
    return tuple(
        tuple(name for name in manifests.order if depth[name] == level)
        for level in range(max(depth.values(), default=-1) + 1)
    )
