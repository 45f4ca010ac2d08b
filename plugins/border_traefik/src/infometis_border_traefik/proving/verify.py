"""The ability to prove a border from outside: ask Traefik, ask each route, judge both."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from infometis_border_traefik.proving.api import ApiError, ask_loaded
from infometis_border_traefik.proving.client import ask, trusting
from infometis_border_traefik.proving.inside import Inside, inside
from infometis_border_traefik.proving.loaded import expected_routers, loaded_proofs
from infometis_border_traefik.proving.promises import promises, stranger
from infometis_sdk.errors import ClusterError, SecretError
from infometis_sdk.model.border_report import Proof
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Event
from infometis_sdk.ports.pods import PodStreams

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

    from infometis_border_traefik.proving.loaded import Loaded
    from infometis_border_traefik.proving.promises import Promise
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.border import Reach, Scene
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("verify",)

_SETTLES = 10.0
"""Seconds in which a change reaches Traefik and its answers: its own throttle is 2 s."""

_PAUSE = 1.0
_AT_ONCE = 8


def verify(
    scene: Scene,
    objects: Sequence[Mapping[str, Any]],
    cluster: Cluster,
    reach: Reach,
    run: Run,
) -> tuple[Proof, ...]:
    """Prove every promise of every route.

    What fails is asked again for a while, since Traefik learns of a change a little later.

    Args:
        scene: what was rendered.
        objects: what it was rendered to.
        cluster: where Traefik runs; only read.
        reach: how this machine gets to the published ports.
        run: deadline and cancel token.

    Returns:
        One proof for each promise: first those of the border as a whole, then route by route.

    """
    users = _users(scene, reach)
    asked = [
        (route.name, promise) for route in scene.routes for promise in promises(scene, route, users)
    ]
    if unknown := stranger(scene):
        asked.insert(0, ("", unknown))
    proofs: list[Proof] = [promise.proof(route, None) for route, promise in asked]
    missing = list(range(len(asked)))
    ways = (reach, trusting(reach))
    settled = time.monotonic() + run.remaining(_SETTLES)
    while True:
        run.check("proving the border")
        loaded = _loaded(scene, objects, cluster, run)
        for at, proof in zip(missing, _ask([asked[at] for at in missing], ways, run), strict=True):
            proofs[at] = proof
        missing = [at for at in missing if proofs[at].state == "failed"]
        if time.monotonic() >= settled or not (missing or _any_failed(loaded)):
            return _in_order(scene, loaded, proofs)
        _rest(run)


def _ask(
    asked: Sequence[tuple[str, Promise]], ways: tuple[Reach, ssl.SSLContext], run: Run
) -> tuple[Proof, ...]:
    def one(named: tuple[str, Promise]) -> Proof:
        route, promise = named
        answer = None if promise.question is None else ask(promise.question, *ways, run)
        return promise.proof(route, answer)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return tuple(pool.map(one, asked))


def _loaded(
    scene: Scene, objects: Sequence[Mapping[str, Any]], cluster: Cluster, run: Run
) -> tuple[Proof, ...]:
    found = inside(objects, scene.namespace)
    try:
        loaded = _ask_traefik(found, cluster, run)
    except (ApiError, ClusterError) as error:
        return tuple(
            Proof(route=route.name, what="loaded", state="unproven", detail=str(error))
            for route in scene.routes
        )
    return loaded_proofs(expected_routers(objects, scene.routes), loaded, scene.routes)


def _ask_traefik(found: Inside | None, cluster: Cluster, run: Run) -> Loaded:
    if found is None:
        msg = "the Traefik here is not ours to ask"
        raise ApiError(msg)
    if not isinstance(cluster, PodStreams):
        msg = "this cluster passes no connections to its pods"
        raise ApiError(msg)
    pods = cluster.list("v1", "Pod", run, namespace=found.namespace, labels=found.labels)
    ready = [pod for pod in pods if _is_ready(pod)]
    if not ready:
        msg = f"no pod of Traefik is ready in {found.namespace}"
        raise ApiError(msg)
    name = str(ready[0]["metadata"]["name"])
    pod = ObjectRef(api_version="v1", kind="Pod", namespace=found.namespace, name=name)
    return ask_loaded(cluster, pod, found.port, run)


def _is_ready(pod: Mapping[str, Any]) -> bool:
    return any(
        each.get("type") == "Ready" and each.get("status") == "True"
        for each in pod.get("status", {}).get("conditions", ())
    )


def _users(scene: Scene, reach: Reach) -> dict[str, tuple[str, str]]:
    """Return one user of each ``basic`` rule whose password can be had here."""
    known: dict[str, tuple[str, str]] = {}
    if reach.resolve is None:
        return known
    for name, auth in scene.border.auth.items():
        if auth.type != "basic":
            continue
        for user, ref in auth.users.items():
            try:
                value = reach.resolve(ref)
            except SecretError:
                continue
            known[name] = (user, value.reveal() if hasattr(value, "reveal") else str(value))
            break
    return known


def _any_failed(proofs: Sequence[Proof]) -> bool:
    return any(proof.state == "failed" for proof in proofs)


def _in_order(scene: Scene, loaded: Sequence[Proof], proofs: Sequence[Proof]) -> tuple[Proof, ...]:
    ordered = [proof for proof in proofs if not proof.route]
    for route in scene.routes:
        ordered += [proof for proof in loaded if proof.route == route.name]
        ordered += [proof for proof in proofs if proof.route == route.name]
    return tuple(ordered)


def _rest(run: Run) -> None:
    run.emit(Event(name="proving the border", state="progress", detail="asking again"))
    woken = threading.Event()
    with run.cancel.waking(woken.set):
        woken.wait(run.remaining(_PAUSE))
