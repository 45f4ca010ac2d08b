"""The workload: pods of Traefik, how they are replaced, and the volumes that they need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_border_traefik.install.pods import container, probes, security, volume
from infometis_border_traefik.install.static import ACME_CA, ROUTES_FILE, SECRETS, arguments
from infometis_border_traefik.layout import METRICS_PORT, STATUS_PORT
from infometis_border_traefik.names import ACME_AUTHORITY, BORDER, ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infometis_border_traefik.layout import Layout
    from infometis_border_traefik.settings import Traefik
    from infometis_sdk.ports.border import Scene

__all__ = ("workload",)

_CERTIFICATES = "border-acme"
"""Volume claim with the certificates of ACME."""


def workload(scene: Scene, layout: Layout, mounted: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the pods' template in its Deployment or DaemonSet, its disruption budget and volume.

    Args:
        scene: what is published.
        layout: where and how.
        mounted: Secrets that Traefik reads as files.

    """
    settings: Traefik = scene.settings
    acme = scene.border.tls.acme is not None
    place = {"name": BORDER, "namespace": layout.namespace}
    template = _template(scene, layout, mounted)
    common = {"selector": {"matchLabels": dict(layout.selector)}, "template": template}
    if layout.per_node:
        # The old pod holds the port of its node, so it has to go first.
        update = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
        spec: dict[str, Any] = {**common, "updateStrategy": update}
        yield {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": place, "spec": spec}
    else:
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        strategy = {"type": "Recreate"} if acme else rolling
        spec = {**common, "replicas": settings.replicas, "strategy": strategy}
        yield {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": place, "spec": spec}
        yield {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": place,
            "spec": {
                "maxUnavailable": 1,
                "selector": {"matchLabels": dict(layout.selector)},
            },
        }
        if settings.max_replicas:
            yield _autoscaler(settings, place)
    if acme:
        yield _claim(settings, layout)


def _autoscaler(settings: Traefik, place: dict[str, str]) -> dict[str, Any]:
    """Return what adds and takes pods of the border, which hold nothing and so may come and go."""
    utilization = {"type": "Utilization", "averageUtilization": settings.cpu}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": place,
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": BORDER},
            "minReplicas": settings.replicas,
            "maxReplicas": settings.max_replicas,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": utilization}}],
        },
    }


def _pod_labels(scene: Scene, layout: Layout) -> dict[str, str]:
    """Return the labels of the pods: who they are, and of which environment."""
    return {
        **layout.selector,
        "app.kubernetes.io/component": "border",
        "app.kubernetes.io/part-of": scene.project,
    }


def _template(scene: Scene, layout: Layout, mounted: Sequence[str]) -> dict[str, Any]:
    settings: Traefik = scene.settings
    pairs = list(_volumes(scene, layout, mounted))
    resources = {"requests": dict(settings.requests), "limits": dict(settings.limits)}
    main = container(settings.image, arguments(scene, layout), resources)
    main["ports"] = _ports(layout)
    main |= probes("traefik")
    main["volumeMounts"] = [mount for _, mount in pairs]
    spec: dict[str, Any] = {
        "automountServiceAccountToken": not layout.reads_files,
        "containers": [main],
        "enableServiceLinks": False,
        "securityContext": security(),
        "serviceAccountName": BORDER,
        # Longer than requests are taken and finished after the signal to stop.
        "terminationGracePeriodSeconds": 60,
        "volumes": [each for each, _ in pairs],
    }
    if not layout.per_node and settings.replicas > 1:
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": dict(layout.selector)},
            }
        ]
    return {"metadata": {"labels": _pod_labels(scene, layout)}, "spec": spec}


def _ports(layout: Layout) -> list[dict[str, Any]]:
    ports: list[dict[str, Any]] = []
    for listener in layout.listeners:
        port: dict[str, Any] = {"name": listener.name, "containerPort": listener.port}
        if layout.published_by == "host-ports":
            port["hostPort"] = listener.node
        ports.append(port)
    ports.append({"name": "metrics", "containerPort": METRICS_PORT})
    ports.append({"name": "traefik", "containerPort": STATUS_PORT})
    return ports


def _volumes(
    scene: Scene, layout: Layout, mounted: Sequence[str]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    # Bodies of requests that a limit makes Traefik hold.
    yield volume("tmp", "/tmp", {"emptyDir": {"sizeLimit": "1Gi"}}, writable=True)  # noqa: S108 - in the container
    acme = scene.border.tls.acme
    if acme is not None:
        claim = {"persistentVolumeClaim": {"claimName": _CERTIFICATES}}
        yield volume("data", "/data", claim, writable=True)
        if acme.ca is not None:
            source = {"secret": {"secretName": ACME_AUTHORITY}}
            yield volume("acme-ca", ACME_CA.rpartition("/")[0], source)
    if layout.reads_files:
        folder = ROUTES_FILE.rpartition("/")[0]
        yield volume("routes", folder, {"configMap": {"name": ROUTES}})
        for number, name in enumerate(mounted):
            yield volume(f"secret-{number}", f"{SECRETS}/{name}", {"secret": {"secretName": name}})


def _claim(settings: Traefik, layout: Layout) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "128Mi"}},
    }
    if settings.storage_class:
        spec["storageClassName"] = settings.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": _CERTIFICATES, "namespace": layout.namespace},
        "spec": spec,
    }
