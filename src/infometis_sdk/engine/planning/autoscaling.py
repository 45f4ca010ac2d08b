"""Replicas of workloads that a HorizontalPodAutoscaler drives."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects.fieldset import entries
from infometis_sdk.engine.objects.fingerprint import fingerprint
from infometis_sdk.engine.planning.conflicts import SCALERS
from infometis_sdk.errors import ForbiddenError, UnknownKindError

if TYPE_CHECKING:
    from infometis_sdk.engine.reading.live import Live
    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster

__all__ = (
    "SCALER",
    "Key",
    "Object",
    "autoscaled_keys",
    "takes_pods_away",
    "what_counts",
    "with_live_replicas",
    "without_scaled_replicas",
)

Key = tuple[str, str, str, str]
Object = Mapping[str, Any]

SCALER = "HorizontalPodAutoscaler"


def autoscaled_keys(
    cluster: Cluster,
    manifests: ManifestSet,
    live: Live,
    run: Run,
    *,
    going: Collection[Key] = (),
) -> set[Key]:
    """Return the keys of the workloads that an autoscaler drives.

    Live autoscalers are asked for only where ``scale`` owns the replicas of a workload that no
    desired one drives, so a clean check costs no request for them.
    Where we may not ask, one is taken to be there: to fight it would be worse.

    Args:
        cluster: the API.
        manifests: what is desired.
        live: what is there.
        run: deadline and cancel token.
        going: keys of the autoscalers that a plan deletes; they drive nothing any more.

    Raises:
        ClusterError: the API server does not answer.

    """
    found = _targets(m.object for m in manifests.manifests if m.ref.kind == SCALER)
    scaled: dict[str, set[Key]] = {}
    for key, obj in live.objects.items():
        if key not in found and any(
            owner.manager in SCALERS and owner.subresource == "scale" for owner in entries(obj)
        ):
            scaled.setdefault(key[2], set()).add(key)
    for space in sorted(scaled):
        try:
            scalers = cluster.list("autoscaling/v2", SCALER, run, namespace=space)
        except ForbiddenError:
            found |= scaled[space]
            continue
        except UnknownKindError:
            continue
        found |= _targets(scaler for scaler in scalers if _key(scaler) not in going)
    return found


def _targets(scalers: Iterable[Object]) -> set[Key]:
    found = set()
    for scaler in scalers:
        target = (scaler.get("spec") or {}).get("scaleTargetRef") or {}
        group = str(target.get("apiVersion", "")).rpartition("/")[0]
        namespace = (scaler.get("metadata") or {}).get("namespace", "")
        found.add((group, target.get("kind", ""), namespace, target.get("name", "")))
    return found


def _key(scaler: Object) -> Key:
    meta = scaler["metadata"]
    return "autoscaling", SCALER, str(meta.get("namespace", "")), str(meta["name"])


def without_scaled_replicas(
    obj: Object, have: Object | None, manager: str, *, autoscaled: bool
) -> Object:
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


def with_live_replicas(payload: Object, have: Object) -> Object:
    """Keep the number of pods of a workload that is deleted and made again.

    What is left to an autoscaler is not in the payload, and a new workload would begin with one.
    """
    spec, live = payload.get("spec"), (have.get("spec") or {}).get("replicas")
    if not isinstance(spec, Mapping) or "replicas" in spec or live is None:
        return payload
    return {**payload, "spec": {**spec, "replicas": live}}


def what_counts(payload: Object, have: Object) -> str:
    """Return the fingerprint that sending ``payload`` rests on.

    A number of pods that is not sent may move between plan and apply, as autoscalers do.
    """
    spec = payload.get("spec")
    left = isinstance(spec, Mapping) and "template" in spec and "replicas" not in spec
    return fingerprint(have, replicas=not left)


def takes_pods_away(scaler: Object, live: Live) -> str:
    """Say why an autoscaler must not be written: it would take pods away that must stay.

    The controller brings pods down to the maximum even where scaling down is off.
    Source: ``reconcileAutoscaler`` of Kubernetes (``pkg/controller/podautoscaler/horizontal.go``).
    """
    spec = scaler.get("spec") or {}
    down = (spec.get("behavior") or {}).get("scaleDown") or {}
    if down.get("selectPolicy") != "Disabled":
        return ""
    most = spec.get("maxReplicas")
    for key in _targets([scaler]):
        have = (live.objects.get(key) or {}).get("spec") or {}
        pods = have.get("replicas")
        if isinstance(pods, int) and isinstance(most, int) and pods > most:
            return (
                f"{key[1]}/{key[3]} has {pods} pods, and its autoscaler would take "
                f"{pods - most} away, which the service does not survive; "
                f"raise max to {pods}, or drain them first"
            )
    return ""
