"""Live equals rendered: every rendered leaf, whoever owns it now, and what others added.

A clean stack costs one LIST per kind and namespace, and one of its pods.
Only an object with a leaf that is not live is asked about, by one dry-run;
where that is forbidden, the local comparison stands, and the evidence says so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from infometis_sdk.engine.objects.marks import STACK, manager_of
from infometis_sdk.engine.plan import desired_objects, learn
from infometis_sdk.engine.planning.autoscaling import autoscaled_keys
from infometis_sdk.engine.planning.prune import members
from infometis_sdk.engine.proving.compare_live import Comparison
from infometis_sdk.engine.proving.images import running_images
from infometis_sdk.engine.reading.cluster_identity import cluster_uid, differ
from infometis_sdk.engine.reading.live import Live, observe
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.errors import ClusterError, ForbiddenError, WrongClusterError
from infometis_sdk.model.equivalence import LiveField, RunningImage
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("Evidence", "Object", "gather")

Object = Mapping[str, Any]


@frozen(kw_only=True)
class Evidence:
    """What was seen of one live stack.

    Attributes:
        fields: where it is not its render, and what was left to others.
        images: what its pods run.
        checked: objects that were compared.
        local: some were compared without the API server's dry-run, which was forbidden.
        clock: seconds that the cluster's clock is ahead of ours; only asked for where times
            are told, ``None`` elsewhere.

    """

    cluster_uid: str = ""
    simulated: bool = False
    fields: tuple[LiveField, ...] = field(default=(), converter=tuple[LiveField, ...])
    images: tuple[RunningImage, ...] = field(default=(), converter=tuple[RunningImage, ...])
    checked: int = 0
    local: bool = False
    clock: float | None = None
    notes: tuple[str, ...] = field(default=(), converter=tuple[str, ...])


def gather(
    cluster: Cluster,
    manifests: ManifestSet,
    run: Run,
    *,
    side: str,
    simulated: bool = False,
    pinned: str = "",
) -> Evidence:
    """Hold a live stack against what was rendered for it; reads only.

    Args:
        cluster: the API.
        manifests: what was rendered.
        run: deadline and cancel token.
        side: name of the environment, for the findings.
        simulated: the containers of this cluster do not really run.
        pinned: UID of the cluster that the stack lives on, where it is known.

    Raises:
        ClusterError: the API server does not answer, or not to us.
        ForbiddenError: something of the stack may not be listed.
        WrongClusterError: it is another cluster than ``pinned``.

    """
    learn(cluster, manifests)
    live, notes = _see(cluster, manifests, run)
    uid = cluster_uid(cluster, run)
    if differ(pinned, uid):
        msg = f"{side}: this cluster is {uid}, but the stack lives on {pinned}"
        raise WrongClusterError(msg, hint="the kubeconfig or its context points elsewhere")
    comparison = Comparison(
        cluster=cluster,
        manifests=manifests,
        live=live,
        run=run,
        side=side,
        scaled=frozenset(autoscaled_keys(cluster, manifests, live, run)),
        blind=bool(notes),
    )
    if notes:
        wanted = [manifest.object for manifest in manifests.manifests]
    else:
        wanted = list(desired_objects(manifests, live))
    seen = comparison.all(wanted)
    fields = [found for each in seen for found in each.fields]
    fields += _leftovers(manifests, live, side)
    images, unseen = _images(cluster, manifests, run, side, simulated=simulated)
    times = any(found.time for found in fields)
    return Evidence(
        cluster_uid=uid,
        simulated=simulated,
        fields=tuple(fields),
        images=images,
        checked=len(seen),
        local=any(each.local for each in seen),
        clock=_clock(cluster, manifests, run) if times else None,
        notes=(*notes, *unseen),
    )


def _see(cluster: Cluster, manifests: ManifestSet, run: Run) -> tuple[Live, tuple[str, ...]]:
    """Look at everything; credentials apart, since who only looks may seldom read those."""
    live = observe(
        cluster,
        manifests.stack_id,
        manifests.namespace,
        ((m.ref, m.singleton) for m in manifests.manifests),
        run,
        secrets=False,
    )
    if live.incomplete:
        raise ForbiddenError(
            live.incomplete[0],
            status=403,
            hint="a proof needs the right to list every kind of the stack in its namespaces",
        )
    if not manifests.credentials:
        return live, ()
    try:
        secrets = cluster.list(
            "v1",
            "Secret",
            run,
            namespace=manifests.namespace,
            labels=f"{STACK}={manifests.stack_id}",
        )
    except ForbiddenError:
        note = "its Secrets may not be read, so whether pods read the newest ones is not known"
        return live, (note,)
    objects = {**live.objects, **{ObjectRef.of(obj).key: obj for obj in secrets}}
    return attrs.evolve(live, objects=objects), ()


def _images(
    cluster: Cluster, manifests: ManifestSet, run: Run, side: str, *, simulated: bool
) -> tuple[tuple[RunningImage, ...], tuple[str, ...]]:
    if simulated:
        return tuple(running_images(manifests, (), side, simulated=True)), ()
    spaces = sorted({m.ref.namespace for m in manifests.manifests if m.ref.namespace})
    pods: list[Object] = []
    try:
        for listed in parallel(
            lambda space: cluster.list("v1", "Pod", run, namespace=space),
            spaces,
            run,
            "listing pods",
        ):
            pods += listed
    except ForbiddenError:
        return (), ("its pods may not be listed, so what they run is not known",)
    return tuple(running_images(manifests, pods, side, simulated=False)), ()


def _clock(cluster: Cluster, manifests: ManifestSet, run: Run) -> float | None:
    """Return how far the cluster's clock is ahead of ours, in seconds; nothing is written.

    A creation that is only tried carries the time of the API server, to the second.
    """
    name = f"infometis-{manifests.stack_id}-clock"
    ref = ObjectRef(api_version="v1", kind="ConfigMap", namespace=manifests.namespace, name=name)
    meta = {"name": name, "namespace": manifests.namespace}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    begun = dt.datetime.now(dt.UTC)
    try:
        made = cluster.write(
            Write(
                verb="create",
                ref=ref,
                body=body,
                manager=manager_of(manifests.stack_id),
                dry_run=True,
            ),
            run,
        ).object
        theirs = dt.datetime.fromisoformat(made["metadata"]["creationTimestamp"])
    except (ClusterError, KeyError, ValueError):
        return None
    ended = dt.datetime.now(dt.UTC)
    # Its second began at most one second before it was written.
    early, late = (theirs - ended).total_seconds(), (theirs - begun).total_seconds() + 1
    return 0.0 if early <= 0 <= late else round(early if early > 0 else late, 1)


def _leftovers(manifests: ManifestSet, live: Live, side: str) -> Iterator[LiveField]:
    """Tell of objects of ours that the render does not have."""
    wanted = {m.ref.key for m in manifests.manifests}
    for obj in members(live, manifests.stack_id, manifests.namespace):
        ref = ObjectRef.of(obj)
        if ref.key not in wanted:
            labels = obj["metadata"].get("labels") or {}
            service = labels.get("app.kubernetes.io/name", "")
            yield LiveField(side=side, state="extra", ref=ref, service=service)
