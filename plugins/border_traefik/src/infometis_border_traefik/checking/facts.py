"""What a cluster and this machine say of what a border rests on: reads, no judgement."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from infometis_sdk.errors import ClusterError, UnknownKindError
from infometis_sdk.machine import Listener, listeners
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.border import Scene
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("Facts", "gather")

GROUP = "traefik.io"
VERSION = f"{GROUP}/v1alpha1"
ISSUER_VERSION = "cert-manager.io/v1"
_AT_ONCE = 8


@frozen(kw_only=True)
class Facts:
    """What was found; what could not be read is named in ``unread`` and judged by nobody.

    Attributes:
        definitions: CustomResourceDefinitions of Traefik, by name.
        classes: IngressClasses, by name.
        workloads: Deployments and DaemonSets.
        secrets: the Secrets that routes name, by name; ``None`` for one that is not there.
        middlewares: the same of Traefik's middlewares that somebody else made.
        issuer: whether the issuer of cert-manager is there; ``None`` where none is named.
        denied: what we may not do, such as ``create ingressroutes.traefik.io in shop``.
        listeners: who listens on the published ports of this machine.
        unread: what could not be read, and why.

    """

    definitions: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    classes: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    workloads: tuple[Mapping[str, Any], ...] = ()
    secrets: Mapping[str, Mapping[str, Any] | None] = field(factory=dict, repr=False)
    middlewares: Mapping[str, bool] = field(factory=dict)
    issuer: bool | None = None
    denied: tuple[str, ...] = ()
    listeners: tuple[Listener, ...] = ()
    unread: Mapping[str, str] = field(factory=dict)


def gather(
    scene: Scene,
    objects: Sequence[Mapping[str, Any]],
    definitions: Iterable[str],
    cluster: Cluster,
    run: Run,
) -> Facts:
    """Read everything that a border rests on; what we may not read is noted and left out.

    Args:
        scene: what is to be published.
        objects: what it was rendered to.
        definitions: names of the CustomResourceDefinitions that it needs.
        cluster: only read.
        run: deadline and cancel token.

    """
    unread: dict[str, str] = {}

    def reading(what: str, read: Callable[[], Any], otherwise: Any) -> Any:  # noqa: ANN401
        try:
            return read()
        except ClusterError as error:
            unread[what] = str(error)
            return otherwise

    def get(api_version: str, kind: str, name: str, *, inside: bool = True) -> Any:  # noqa: ANN401
        space = scene.namespace if inside else ""
        ref = ObjectRef(api_version=api_version, kind=kind, namespace=space, name=name)
        return cluster.get(ref, run)

    tls = scene.border.tls
    names = [tls.secret] if tls.source == "secret" else []
    own = sorted({name for route in scene.routes for name in route.settings.middlewares})
    crd = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    found = reading("definitions", lambda: {n: get(*crd, n, inside=False) for n in definitions}, {})
    return Facts(
        definitions={name: each for name, each in found.items() if each is not None},
        classes=reading("classes", lambda: _by_name(cluster, run), {}),
        workloads=reading("workloads", lambda: _workloads(scene, cluster, run), ()),
        secrets=reading("secrets", lambda: {n: get("v1", "Secret", n) for n in names}, {}),
        middlewares=reading(
            "middlewares", lambda: {n: get(VERSION, "Middleware", n) is not None for n in own}, {}
        ),
        issuer=reading("issuer", lambda: _issuer(scene, get), None),
        denied=reading("rights", lambda: _denied(scene, objects, cluster, run), ()),
        listeners=listeners(_published(scene)),
        unread=unread,
    )


def _by_name(cluster: Cluster, run: Run) -> dict[str, Mapping[str, Any]]:
    found = cluster.list("networking.k8s.io/v1", "IngressClass", run)
    return {str(each["metadata"]["name"]): each for each in found}


def _workloads(scene: Scene, cluster: Cluster, run: Run) -> tuple[Mapping[str, Any], ...]:
    # A guest sees its own namespaces only, and so does its Traefik.
    space = scene.namespace if scene.mode == "shared" else ""
    return tuple(
        each
        for kind in ("Deployment", "DaemonSet")
        for each in cluster.list("apps/v1", kind, run, namespace=space)
    )


def _issuer(scene: Scene, get: Callable[..., Any]) -> bool | None:
    issuer = scene.border.tls.issuer
    if scene.border.tls.source != "cert-manager" or issuer is None:
        return None
    inside = issuer.kind == "Issuer"
    return get(ISSUER_VERSION, issuer.kind, issuer.name, inside=inside) is not None


def _published(scene: Scene) -> set[int]:
    ports = {route.public_port for route in scene.routes}
    return ports | {scene.border.http_port, scene.border.https_port}


def _denied(
    scene: Scene, objects: Sequence[Mapping[str, Any]], cluster: Cluster, run: Run
) -> tuple[str, ...]:
    """Ask whether we may write each kind of object that was rendered."""
    asked = sorted(
        {
            (
                str(obj["apiVersion"]),
                str(obj["kind"]),
                str(obj["metadata"].get("namespace") or scene.namespace),
            )
            for obj in objects
        }
    )

    def denied(wanted: tuple[str, str, str]) -> str:
        api_version, kind, namespace = wanted
        group = api_version.rpartition("/")[0]
        try:
            resource = cluster.resource(api_version, kind, run)
        except UnknownKindError:
            # Its definition comes first; then its name is the usual one.
            plural, namespaced = f"{kind.lower()}s", True
        else:
            plural, namespaced = resource.plural, resource.namespaced
        space = namespace if namespaced else ""
        attributes = {"verb": "create", "group": group, "resource": plural, "namespace": space}
        if _may(attributes, cluster, run) or _all_there(wanted, scene, objects, cluster, run):
            return ""
        return f"create {plural}{f'.{group}' if group else ''}{f' in {space}' if space else ''}"

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return tuple(filter(None, pool.map(denied, asked)))


def _all_there(
    wanted: tuple[str, str, str],
    scene: Scene,
    objects: Sequence[Mapping[str, Any]],
    cluster: Cluster,
    run: Run,
) -> bool:
    """Tell whether nothing of this kind has to be made, as for a guest who was given it."""
    api_version, kind, namespace = wanted
    refs = (
        ObjectRef(
            api_version=api_version,
            kind=kind,
            namespace=str(obj["metadata"].get("namespace") or scene.namespace),
            name=str(obj["metadata"]["name"]),
        )
        for obj in objects
        if (obj["apiVersion"], obj["kind"]) == (api_version, kind)
    )
    try:
        return all(cluster.get(ref, run) is not None for ref in refs if ref.namespace == namespace)
    except ClusterError:
        return False


def _may(attributes: Mapping[str, str], cluster: Cluster, run: Run) -> bool:
    kind = "SelfSubjectAccessReview"
    ref = ObjectRef(api_version="authorization.k8s.io/v1", kind=kind, name="")
    body = {
        "apiVersion": ref.api_version,
        "kind": kind,
        "spec": {"resourceAttributes": dict(attributes)},
    }
    # A question that is put as a creation; nothing is kept of it.
    answer = cluster.write(Write(verb="create", ref=attrs.evolve(ref), body=body), run)
    return bool(answer.object.get("status", {}).get("allowed"))
