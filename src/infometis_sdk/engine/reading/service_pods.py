"""The pods of a service, and which of them answers for a port."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from attrs import frozen

from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.engine.readiness.verdict import condition
from infometis_sdk.errors import NotFoundError, PlatformError, ProjectError
from infometis_sdk.model.fault import Fault
from infometis_sdk.model.reference import ObjectRef

if TYPE_CHECKING:
    from infometis_sdk.model.run import Run
    from infometis_sdk.model.service import Endpoint
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster

__all__ = (
    "Backend",
    "Object",
    "backend",
    "check_service",
    "find_endpoint",
    "pods_of_service",
    "refuse_simulated",
)

Object = Mapping[str, Any]


@frozen(kw_only=True)
class Backend:
    """A pod and its port that answer for a port of a Service."""

    pod: ObjectRef
    port: int


def refuse_simulated(what: str, service: str) -> NoReturn:
    """Raise for what simulated pods cannot do.

    Raises:
        PlatformError: always.

    """
    msg = f"the pods of {service} are simulated: they have no {what}"
    raise PlatformError(
        msg,
        hint="use a platform that runs containers, such as k0s-docker or kind; "
        "infometis status shows states and events here too",
    )


def check_service(manifests: ManifestSet, service: str) -> None:
    """Raise where the stack has no such service.

    Raises:
        ProjectError: there is none; the nearest is named.

    """
    names = sorted({m.service for m in manifests.manifests if m.service})
    if service not in names:
        msg = f"there is no service {service!r}"
        raise _unknown(msg, service, names)


def _unknown(message: str, name: str, known: Collection[str]) -> ProjectError:
    legal = ", ".join(known) or "none"
    return ProjectError((Fault(message=message, legal=legal, nearest=nearest(name, known)),))


def find_endpoint(manifests: ManifestSet, service: str, name: str) -> tuple[str, Endpoint]:
    """Return an endpoint of a service with its name; the first one when none is named.

    Raises:
        ProjectError: no such service or endpoint.

    """
    check_service(manifests, service)
    composed = manifests.services.get(service)
    known = dict(composed.service.endpoints) if composed is not None else {}
    if not name and known:
        # What people open in a browser comes first.
        first = min(known, key=lambda key: (not known[key].public, list(known).index(key)))
        return first, known[first]
    if name in known:
        return name, known[name]
    what = f"endpoint {name!r}" if name else "endpoint"
    msg = f"service {service!r} has no {what}"
    raise _unknown(msg, name, known)


def pods_of_service(
    cluster: Cluster, manifests: ManifestSet, service: str, run: Run
) -> tuple[Object, ...]:
    """Return the live pods of a service's workloads, by name."""
    found: dict[str, Object] = {}
    for manifest in manifests.manifests:
        if manifest.service != service:
            continue
        ref = manifest.ref
        if ref.kind == "Pod":
            live = cluster.get(ref, run)
            if live is not None:
                found[ref.name] = live
            continue
        labels = _selector(ref, manifest.object)
        if labels:
            for pod in cluster.list("v1", "Pod", run, namespace=ref.namespace, labels=labels):
                found[str(pod["metadata"]["name"])] = pod
    return tuple(found[name] for name in sorted(found))


def _selector(ref: ObjectRef, desired: Object) -> str:
    if ref.kind == "Job":
        return f"batch.kubernetes.io/job-name={ref.name}"
    if ref.kind not in {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"}:
        return ""
    selector = (desired.get("spec") or {}).get("selector") or {}
    return ",".join(f"{k}={v}" for k, v in sorted((selector.get("matchLabels") or {}).items()))


def backend(
    cluster: Cluster, manifests: ManifestSet, service: str, endpoint: Endpoint, run: Run
) -> Backend:
    """Return a ready pod behind an endpoint, asked anew each time: pods come and go.

    Raises:
        NotFoundError: the Service is not there, does not have the port, or no pod is ready.

    """
    name = endpoint.service or service
    ref = ObjectRef(
        api_version="v1", kind="Service", namespace=_namespace(manifests, name), name=name
    )
    live = cluster.get(ref, run)
    if live is None:
        msg = f"Service/{name} is not in the cluster"
        raise NotFoundError(msg, ref=ref, hint="apply the stack first: infometis up")
    spec = live.get("spec") or {}
    port = next((p for p in spec.get("ports") or () if p.get("port") == endpoint.port), None)
    if port is None:
        msg = f"Service/{name} has no port {endpoint.port}"
        raise NotFoundError(msg, ref=ref, hint="correct the endpoint in the descriptor")
    labels = ",".join(f"{k}={v}" for k, v in sorted((spec.get("selector") or {}).items()))
    pods = cluster.list("v1", "Pod", run, namespace=ref.namespace, labels=labels) if labels else ()
    for pod in sorted(pods, key=lambda p: str(p["metadata"]["name"])):
        number = _port(pod, port.get("targetPort") or port["port"])
        if number and condition(pod, "Ready")["status"] == "True" and not _leaving(pod):
            return Backend(
                pod=ObjectRef.of({**pod, "apiVersion": "v1", "kind": "Pod"}), port=number
            )
    msg = f"no pod behind Service/{name} is ready"
    raise NotFoundError(msg, ref=ref, hint="infometis status says why")


def _namespace(manifests: ManifestSet, name: str) -> str:
    for manifest in manifests.manifests:
        if manifest.ref.kind == "Service" and manifest.ref.name == name:
            return manifest.ref.namespace
    return manifests.namespace


def _leaving(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _port(pod: Object, target: int | str) -> int:
    """Return the number of a pod's port; 0 where it has none of that name."""
    if isinstance(target, int):
        return target
    for container in (pod.get("spec") or {}).get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("name") == target:
                return int(port["containerPort"])
    return 0
