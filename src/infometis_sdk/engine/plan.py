"""ManifestSet + live objects -> Plan: reads only."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import attrs
from attrs import field, frozen

from infometis_sdk.engine.conflicts import DEPLOYERS
from infometis_sdk.engine.credentials import PENDING, key_of, key_ref, reader_hash, secret_data
from infometis_sdk.engine.examine import Examination, Rules, about_object, dry_run, examine
from infometis_sdk.engine.fieldset import Path, display, entries, ours, proven
from infometis_sdk.engine.fingerprint import fingerprint
from infometis_sdk.engine.guards import guard
from infometis_sdk.engine.inventory_id import cluster_applyset_id
from infometis_sdk.engine.live import Live, observe
from infometis_sdk.engine.marks import CREDENTIALS, PART_OF, STACK, manager_of
from infometis_sdk.engine.parallel import parallel
from infometis_sdk.engine.prune import prune
from infometis_sdk.engine.release import latest, read_releases
from infometis_sdk.engine.seal import seal, with_annotation
from infometis_sdk.engine.volumes import claim_names, grow
from infometis_sdk.errors import ClusterError, ForbiddenError, WrongClusterError
from infometis_sdk.model.plan import Decision, Plan, PlanItem
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.report import plain
from infometis_sdk.model.run import Run
from infometis_sdk.model.stack import Manifest, ManifestSet
from infometis_sdk.ports.cluster import Cluster

__all__ = (
    "Consent",
    "autoscaled_keys",
    "cluster_uid",
    "desired_objects",
    "digest_of",
    "plan",
    "stages_of",
    "without_scaled_replicas",
)


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


def cluster_uid(cluster: Cluster, run: Run) -> str:
    """Return the UID of the cluster: that of its ``kube-system`` namespace.

    A guest may not read that; then the UID of the ``default/kubernetes`` Service is used,
    and where that is forbidden too, nothing is known.
    """
    for ref in (
        ObjectRef(api_version="v1", kind="Namespace", name="kube-system"),
        ObjectRef(api_version="v1", kind="Service", namespace="default", name="kubernetes"),
    ):
        try:
            obj = cluster.get(ref, run)
        except ForbiddenError:
            continue
        if obj:
            return str(obj["metadata"]["uid"])
    return ""


def plan(  # noqa: PLR0913 - every argument is a decision of the caller
    cluster: Cluster,
    manifests: ManifestSet,
    run: Run,
    *,
    only: Collection[str] = (),
    consent: Consent = Consent(),  # noqa: B008 - frozen
    pinned: str = "",
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

    Returns:
        A plan; what forbids its application is in ``plan.blocked``.

    Raises:
        ClusterError: the API server does not answer, or not to us.
        WrongClusterError: it is another cluster than ``pinned``.

    """
    scope = tuple(sorted(only))
    chosen = _in_scope(manifests, scope)
    live = observe(
        cluster,
        manifests.stack_id,
        manifests.namespace,
        ((m.ref, m.singleton) for m in chosen.manifests),
        run,
        secrets=bool(manifests.credentials),
    )
    uid = _identify(cluster, live, pinned, run)
    manager = manager_of(manifests.stack_id)
    wanted = desired_objects(chosen, live)
    autoscaled = autoscaled_keys(cluster, chosen, live, run)
    served = {_crd_kind(m.object) for m in chosen.manifests if m.ref.kind == "CustomResourceDefinition"}

    unproven: list[tuple[Manifest, Mapping[str, Any]]] = []
    unchanged = 0
    for manifest, obj in zip(chosen.manifests, wanted, strict=True):
        have = live.get(manifest.ref)
        sent = without_scaled_replicas(obj, have, manager, autoscaled=manifest.ref.key in autoscaled)
        if (
            have is not None
            and not have["metadata"].get("deletionTimestamp")
            and proven(sent, have, manager)
            and _marked(manifest, have, manifests.stack_id)
        ):
            unchanged += 1
        else:
            unproven.append((manifest, sent))

    def look(pair: tuple[Manifest, Mapping[str, Any]]) -> PlanItem | None:
        manifest, obj = pair
        have = live.get(manifest.ref)
        run.check("planning")
        if have is None:
            return _creation(cluster, manifest, obj, live, served, manager, run)
        return _change(
            cluster, manifest, obj, have, manifests, consent, run,
            autoscaled=manifest.ref.key in autoscaled,
        )

    found = parallel(look, unproven, run, "planning")
    items = [item for item in found if item is not None]
    unchanged += len(found) - len(items)
    items, volume_problems = grow(cluster, items, live, run)
    releases = read_releases(live.of_kind("ConfigMap"))
    services = {n: s for n, s in manifests.services.items() if not scope or n in scope}
    problems = [*guard(latest(releases), services), *volume_problems]
    kept: tuple[str, ...] = ()
    confirm = ""
    if not scope:
        pruned = prune(
            cluster, manifests, live, latest(releases), run, data_loss=consent.data_loss
        )
        items += pruned.items
        problems += pruned.problems
        kept, confirm = pruned.kept, pruned.confirm
    if not uid and items:
        uid = cluster_uid(cluster, run)
    key = key_of(live.get(key_ref(manifests.stack_id, manifests.namespace)))
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
        core_digest=manifests.digest,
        digests=dict(manifests.digests),
        credentials={
            b.secret: {k: str(ref) for k, ref in b.sources.items()} for b in chosen.credentials
        },
        confirm=confirm,
        incomplete=live.incomplete,
        kept=kept,
        problems=tuple(problems),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    return attrs.evolve(made, digest=digest_of(made))


def digest_of(made: Plan) -> str:
    """Return ``sha256:…`` over everything that a plan will do; not over when it was made."""
    data = plain_plan(made)
    data.pop("created")
    data.pop("digest")
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def plain_plan(made: Plan) -> dict[str, Any]:
    """Return every field of a plan as plain data, payloads too."""
    data = made.to_dict()
    data["items"] = [
        {**plain(item), "payload": plain(item.payload)} for item in made.items
    ]
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
        credentials=tuple(b for b in manifests.credentials if b.service in scope),
    )


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
    if actual and actual != pinned:
        msg = f"this cluster is {actual}, but the stack lives on {pinned}"
        raise WrongClusterError(
            msg,
            hint="the kubeconfig or its context points elsewhere; set it right, or run "
            "`infometis abandon` if the old cluster is gone for good",
        )
    return pinned


def _marked(manifest: Manifest, have: Mapping[str, Any], stack_id: str) -> bool:
    labels = have["metadata"].get("labels") or {}
    if manifest.singleton:
        return bool(labels.get(PART_OF) == cluster_applyset_id())
    return bool(labels.get(STACK) == stack_id)


def _crd_kind(obj: Mapping[str, Any]) -> tuple[str, str]:
    spec = obj.get("spec") or {}
    return spec.get("group", ""), (spec.get("names") or {}).get("kind", "")


def _creation(  # noqa: PLR0913 - the parts of one decision
    cluster: Cluster,
    manifest: Manifest,
    obj: Mapping[str, Any],
    live: Live,
    served: set[tuple[str, str]],
    manager: str,
    run: Run,
) -> PlanItem:
    ref = manifest.ref
    certainty = "exact"
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unserved = (ref.api_version, ref.kind) in live.missing_kinds
    if unserved and (ref.group, ref.kind) not in served:
        problems = (
            f"the cluster serves no kind {ref.kind} in {ref.api_version}, "
            "and no CustomResourceDefinition of this stack brings it",
        )
    elif unserved or ref.namespace in live.missing_namespaces:
        certainty = "predicted"
    else:
        try:
            _, warnings = dry_run(cluster, ref, obj, manager, run, force=False)
        except ClusterError as error:
            if not about_object(error):
                raise
            problems = (f"the API server refuses it: {' '.join(error.message.split())}",)
    return PlanItem(
        action="create",
        ref=ref,
        service=manifest.service,
        zone=manifest.zone,
        singleton=manifest.singleton,
        certainty=certainty,
        state="pending",
        payload=obj,
        problems=problems,
        warnings=warnings,
        reads=manifest.reads,
    )


def _change(  # noqa: PLR0913 - the parts of one decision
    cluster: Cluster,
    manifest: Manifest,
    obj: Mapping[str, Any],
    have: Mapping[str, Any],
    manifests: ManifestSet,
    consent: Consent,
    run: Run,
    *,
    autoscaled: bool,
) -> PlanItem | None:
    ref = manifest.ref
    environment = manifests.environment
    manager = manager_of(manifests.stack_id)
    mine = ours(have, manager) is not None or _marked(manifest, have, manifests.stack_id)
    adopted = str(ref) in consent.adopt or f"{ref.namespace}/{ref}" in consent.adopt
    base = PlanItem(
        action="update",
        ref=ref,
        service=manifest.service,
        zone=manifest.zone,
        singleton=manifest.singleton,
        payload=obj,
        uid=str(have["metadata"].get("uid", "")),
        fingerprint=fingerprint(have),
        reads=manifest.reads,
    )
    if have["metadata"].get("deletionTimestamp"):
        held = ", ".join(have["metadata"].get("finalizers") or _spec_finalizers(have)) or "nothing"
        return attrs.evolve(
            base, problems=(f"it is being deleted, held up by {held}; wait for it, or mend what holds it",)
        )
    if not mine and not adopted and not manifest.singleton:
        return attrs.evolve(
            base,
            problems=(
                f"it exists and is not ours (written by {_writers(have)}); "
                f"adopt it by name (--adopt {ref}) or remove it",
            ),
        )
    if not mine and manifest.singleton and not adopted and not _of_a_stack(have):
        return attrs.evolve(
            base,
            problems=(
                f"this singleton exists and no stack of ours made it (written by {_writers(have)}); "
                f"adopt it by name (--adopt {ref}) or leave it out",
            ),
        )
    rules = Rules(
        manager=manager,
        policy=environment.policies.drift,
        protected=environment.protected,
        adopted=adopted,
        autoscaled=autoscaled,
    )
    found = examine(cluster, obj, have, rules, run)
    removals, extra = _removals(found, environment.policies.drift.foreign)
    if not found.action and not removals:
        return None
    return attrs.evolve(
        base,
        action=(found.action or "update") if mine or manifest.singleton else "adopt",
        state=found.state or "foreign",
        payload=found.payload,
        force=found.force,
        changes=found.changes,
        decisions=(*found.decisions, *extra),
        problems=found.problems,
        warnings=found.warnings,
        removals=removals,
    )


def _of_a_stack(have: Mapping[str, Any]) -> bool:
    return any(owner.manager.startswith("infometis.") for owner in entries(have))


def _spec_finalizers(have: Mapping[str, Any]) -> list[str]:
    return list((have.get("spec") or {}).get("finalizers") or ())


def _writers(have: Mapping[str, Any]) -> str:
    names = {owner.manager for owner in entries(have) if owner.subresource != "status"}
    return ", ".join(sorted(names)) or "an unknown manager"


def _removals(found: Examination, policy: str) -> tuple[tuple[Path, ...], tuple[Decision, ...]]:
    """Return the foreign additions that the policy takes away."""
    if policy != "remove":
        return (), ()
    paths, decisions = [], []
    for path, owner, value in found.foreign:
        if any(owner.manager.startswith(name.rstrip("*")) for name in DEPLOYERS):
            continue
        paths.append(path)
        decisions.append(
            Decision(
                path=display(path),
                manager=owner.label,
                action="remove",
                why="policies.drift.foreign is remove",
                live=value,
            )
        )
    return tuple(paths), tuple(decisions)


def autoscaled_keys(
    cluster: Cluster, manifests: ManifestSet, live: Live, run: Run
) -> set[tuple[str, str, str, str]]:
    """Return the keys of the workloads that an autoscaler drives.

    Live autoscalers are asked for only where somebody's ``scale`` owns a replica count,
    so a clean check costs no request for them.
    """
    scalers: list[Mapping[str, Any]] = [
        m.object for m in manifests.manifests if m.ref.kind == "HorizontalPodAutoscaler"
    ]
    spaces = {
        key[2]
        for key, obj in live.objects.items()
        if any(
            owner.manager == "kube-controller-manager" and owner.subresource == "scale"
            for owner in entries(obj)
        )
    }
    for space in sorted(spaces):
        try:
            scalers += cluster.list("autoscaling/v2", "HorizontalPodAutoscaler", run, namespace=space)
        except ClusterError:
            continue
    found = set()
    for scaler in scalers:
        target = (scaler.get("spec") or {}).get("scaleTargetRef") or {}
        group = str(target.get("apiVersion", "")).rpartition("/")[0]
        namespace = (scaler.get("metadata") or {}).get("namespace", "")
        found.add((group, target.get("kind", ""), namespace, target.get("name", "")))
    return found


def without_scaled_replicas(
    obj: Mapping[str, Any], have: Mapping[str, Any] | None, manager: str, *, autoscaled: bool
) -> Mapping[str, Any]:
    """Leave the replica count to an autoscaler without ever losing it.

    While we are its only owner the live value is sent, since leaving it out would delete it;
    once ``scale`` owns it, it is left out.
    """
    spec = obj.get("spec")
    if not autoscaled or have is None or not isinstance(spec, Mapping) or "replicas" not in spec:
        return obj
    others = any(
        owner.subresource == "scale" or owner.manager != manager
        for owner in entries(have)
        if "f:replicas" in (owner.fields.get("f:spec") or {})
    )
    rest = {k: v for k, v in spec.items() if k != "replicas"}
    if others:
        return {**obj, "spec": rest}
    return {**obj, "spec": {**rest, "replicas": (have.get("spec") or {}).get("replicas")}}


def stages_of(manifests: ManifestSet) -> tuple[tuple[str, ...], ...]:
    """Return the services by how deep their needs go: each stage needs only earlier ones."""
    depth: dict[str, int] = {}
    for name in manifests.order:
        depth[name] = 1 + max((depth.get(need, -1) for need in manifests.needs.get(name, ())), default=-1)
    return tuple(
        tuple(name for name in manifests.order if depth[name] == level)
        for level in range(max(depth.values(), default=-1) + 1)
    )
