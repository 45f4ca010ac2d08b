"""A border of plain ``networking.k8s.io/v1`` Ingress, for whichever controller a cluster has."""

from collections.abc import Iterable, Iterator
from typing import Any

from attrs import frozen

from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.model import Fault, Peer, Route
from infometis_sdk.ports import BorderAdapter, BorderManifests, BorderSecret, BorderSpec, Scene


@frozen(kw_only=True)
class Ingress:
    """Settings of the border ``ingress``.

    Attributes:
        ingress_class: name of the controller's class.
        namespace: where the controller's pods run.

    """

    ingress_class: str
    namespace: str


class IngressBorder(BorderAdapter):
    """Publishes HTTP below hosts and paths; what needs more, no Ingress can say."""

    features = frozenset({"paths", "tls"})

    def faults(self, scene: Scene) -> tuple[Fault, ...]:
        """Refuse what an Ingress has no words for."""
        tls = scene.border.tls
        if tls.source not in ("none", "development", "files", "secret"):
            return (Fault(message=f"no certificates from {tls.source}", path="border.tls.source"),)
        return ()

    def render(self, scene: Scene) -> BorderManifests:
        """Return an Ingress for each route, and the Secret with the certificate."""
        return BorderManifests(
            objects=tuple(_ingress(route, scene) for route in scene.routes),
            secrets=tuple(_certificate(scene)),
            peers=(Peer(namespace=scene.settings.namespace),),
        )


def _secret(scene: Scene) -> str:
    return scene.border.tls.secret or "border-certificate"


def _certificate(scene: Scene) -> Iterator[BorderSecret]:
    tls = scene.border.tls
    given = {"tls.crt": tls.certificate, "tls.key": tls.key}
    hosts = tuple(sorted({route.host for route in scene.routes}))
    if tls.source in ("development", "files") and hosts:
        sources = {key: reference for key, reference in given.items() if reference}
        yield BorderSecret(name=_secret(scene), kind="certificate", sources=sources, hosts=hosts)


def _ingress(route: Route, scene: Scene) -> dict[str, Any]:
    backend = {"service": {"name": route.backend, "port": {"number": route.port}}}
    path = {"path": route.path, "pathType": "Prefix", "backend": backend}
    spec: dict[str, Any] = {
        "ingressClassName": scene.settings.ingress_class,
        "rules": [{"host": route.host, "http": {"paths": [path]}}],
    }
    if route.tls == "terminate":
        spec["tls"] = [{"hosts": [route.host], "secretName": _secret(scene)}]
    name = route.name.replace(".", "-")
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name},
        "spec": spec,
    }


@hookimpl
def infometis_borders() -> Iterable[BorderSpec]:
    """Register the border ``ingress``."""
    summary = "plain Ingress, whichever controller the cluster has"
    spec = BorderSpec(name="ingress", summary=summary, settings=Ingress, factory=IngressBorder)
    return (spec,)
