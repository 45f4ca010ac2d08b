"""The egress proxy: systems outside of which only a name is known, under a stable name inside.

It is a Traefik of its own, apart from the one that lets the outside in: it stands in the namespace
of the services, because a Service finds pods of its own namespace only; it has no rights at the
Kubernetes API; and what it may reach is no matter of those who come in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_border_traefik.install.pods import container, probes, security, volume
from infometis_border_traefik.install.static import draining, entry_point, quiet
from infometis_border_traefik.layout import METRICS_PORT, STATUS, STATUS_PORT
from infometis_border_traefik.names import EGRESS
from infometis_border_traefik.writers.file import as_text
from infometis_sdk.model.environment import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_border_traefik.settings import Traefik
    from infometis_sdk.model.external import ExternalService
    from infometis_sdk.ports.border import Scene

__all__ = ("egress", "egress_peer", "proxy_document")

_FIRST_PORT = 20_000
_FOLDER = "/etc/traefik/routes"
_SECRETS = "/etc/traefik/secrets"
_QUIET = "quiet"
# What the inside looks like is no business of a system outside.
_UNSAID = {
    f"X-{name}": ""
    for name in (
        "Forwarded-Host",
        "Forwarded-Port",
        "Forwarded-Proto",
        "Forwarded-Server",
        "Real-Ip",
    )
}


def egress_peer(scene: Scene) -> tuple[Peer, ...]:
    """Return the pods through which the inside reaches the outside."""
    return (Peer(namespace=scene.namespace, pods=_selector(scene)),) if scene.egress else ()


def egress(scene: Scene) -> Iterator[dict[str, Any]]:
    """Yield the proxy, its configuration, and a Service for each system."""
    if not scene.egress:
        return
    text = as_text(proxy_document(scene.egress))
    yield _object("v1", "ConfigMap", EGRESS, data={"routes.yaml": text})
    yield {
        **_object("v1", "ServiceAccount", EGRESS),
        "automountServiceAccountToken": False,
    }
    yield _deployment(scene)
    budget = {"maxUnavailable": 1, "selector": {"matchLabels": _selector(scene)}}
    yield _object("policy/v1", "PodDisruptionBudget", EGRESS, spec=budget)
    for point, external in _points(scene.egress):
        port = {"name": external.protocol, "port": external.port, "targetPort": point}
        spec = {"selector": _selector(scene), "ports": [port]}
        yield _object("v1", "Service", external.name, spec=spec)


def proxy_document(externals: tuple[ExternalService, ...]) -> dict[str, Any]:
    """Return what the proxy is told: one router, one backend, one way to speak to it each.

    HTTP is read, because the system wants its own name as host; all else is passed on as it is.
    """
    parts: dict[str, dict[str, dict[str, Any]]] = {"http": {}, "tcp": {}}
    for point, external in _points(externals):
        web = _speaks_http(external)
        section = parts["http" if web else "tcp"]
        place = f"{external.host}:{external.target_port}"
        balancer: dict[str, Any]
        if web:
            scheme = "https" if external.originate else "http"
            balancer = {"passHostHeader": False, "servers": [{"url": f"{scheme}://{place}"}]}
        else:
            balancer = {"servers": [{"address": place, "tls": external.originate}]}
        if external.originate:
            balancer["serversTransport"] = external.name
            tls = _origination(external)
            section.setdefault("serversTransports", {})[external.name] = (
                tls if web else {"tls": tls}
            )
        rule = "PathPrefix(`/`)" if web else "HostSNI(`*`)"
        router = {"entryPoints": [point], "rule": rule, "service": external.name}
        if web:
            router["middlewares"] = [_QUIET]
            section["middlewares"] = {_QUIET: {"headers": {"customRequestHeaders": _UNSAID}}}
        section.setdefault("routers", {})[external.name] = router
        section.setdefault("services", {})[external.name] = {"loadBalancer": balancer}
    ready = {"entryPoints": ["traefik"], "rule": "Path(`/ready`)", "service": "ping@internal"}
    parts["http"].setdefault("routers", {})["border-ready"] = ready
    return {name: section for name, section in parts.items() if section}


def _speaks_http(external: ExternalService) -> bool:
    return external.protocol == "http" or (external.protocol == "https" and external.originate)


def _origination(external: ExternalService) -> dict[str, Any]:
    """Return how TLS is spoken to the system: its name and who signed it are always verified."""
    made: dict[str, Any] = {"serverName": external.server_name or external.host}
    if external.ca_key:
        made["rootCAs"] = [f"{_SECRETS}/{external.name}/{external.ca_key}"]
    return made


def _points(externals: tuple[ExternalService, ...]) -> Iterator[tuple[str, ExternalService]]:
    """Yield the entry point of each system: two of them may be reached under one port."""
    for number, external in enumerate(sorted(externals, key=lambda each: each.name)):
        yield f"external-{number}", external


def _selector(scene: Scene) -> dict[str, str]:
    return {
        "app.kubernetes.io/instance": scene.stack_id,
        "app.kubernetes.io/name": EGRESS,
    }


def _deployment(scene: Scene) -> dict[str, Any]:
    settings: Traefik = scene.settings
    arguments = [
        *quiet(settings.log_level),
        *entry_point(STATUS, f":{STATUS_PORT}"),
        *entry_point("metrics", f":{METRICS_PORT}"),
        "--ping=true",
        "--metrics.prometheus=true",
        "--metrics.prometheus.entrypoint=metrics",
        f"--providers.file.filename={_FOLDER}/routes.yaml",
        "--providers.file.watch=false",
    ]
    ports = [{"name": "traefik", "containerPort": STATUS_PORT}]
    ports.append({"name": "metrics", "containerPort": METRICS_PORT})
    for number, (point, _) in enumerate(_points(scene.egress)):
        arguments += entry_point(point, f":{_FIRST_PORT + number}")
        arguments += draining(f"--entrypoints.{point}")
        arguments.append(f"--entrypoints.{point}.forwardedheaders.notappendxforwardedfor=true")
        ports.append({"name": point, "containerPort": _FIRST_PORT + number})
    pairs = list(_volumes(scene.egress))
    resources = {"requests": dict(settings.requests), "limits": dict(settings.limits)}
    main = container(settings.image, arguments, resources)
    main |= {"ports": ports, "volumeMounts": [mount for _, mount in pairs], **probes("traefik")}
    spec = {
        "automountServiceAccountToken": False,
        "containers": [main],
        "enableServiceLinks": False,
        "securityContext": security(),
        "serviceAccountName": EGRESS,
        "terminationGracePeriodSeconds": 60,
        "volumes": [each for each, _ in pairs],
    }
    labels = {
        **_selector(scene),
        "app.kubernetes.io/component": "egress",
        "app.kubernetes.io/part-of": scene.project,
    }
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    return _object(
        "apps/v1",
        "Deployment",
        EGRESS,
        spec={
            "replicas": settings.replicas,
            "selector": {"matchLabels": _selector(scene)},
            "strategy": rolling,
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    )


def _volumes(
    externals: tuple[ExternalService, ...],
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    yield volume("routes", _FOLDER, {"configMap": {"name": EGRESS}})
    for point, external in _points(externals):
        if external.originate and external.ca_key:
            # The authorities alone: the passwords beside them are no business of the proxy.
            item = {"key": external.ca_key, "path": external.ca_key}
            source = {"secret": {"secretName": external.secret, "items": [item]}}
            yield volume(point, f"{_SECRETS}/{external.name}", source)


def _object(version: str, kind: str, name: str, **content: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **content}
