"""Scenes to render, as the engine makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_border_traefik import Traefik
from infometis_border_traefik.border import TraefikBorder
from infometis_sdk.engine.border.routes import routes_of, with_members
from infometis_sdk.model import (
    Acme,
    Auth,
    Border,
    BorderTls,
    Endpoint,
    Environment,
    Parameter,
    SecretRef,
    Service,
)
from infometis_sdk.model.service import Credential, SensitiveOperation
from infometis_sdk.ports.border import Scene

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_sdk.ports.border import BorderManifests

HOME = "shop-dev"
REF = SecretRef.parse("env:X")
AUTH = {
    "staff": Auth(type="basic", users={"ada": REF}),
    "portal": Auth(type="forward", address="http://portal:4180/", response_headers=["X-User"]),
    "badge": Auth(type="mtls", ca=REF),
    "chief": Auth(type="mtls", ca=REF, names=["alice"]),
}
ACME = BorderTls(source="acme", acme=Acme(email="a@example.com"))
SERVICES = {
    service.name: service
    for service in (
        Service(
            name="web",
            endpoints={
                "http": Endpoint(
                    port=80,
                    public=True,
                    path_style="strip",
                    sensitive=(
                        SensitiveOperation(paths=("/admin",), methods=("POST", "DELETE")),
                        SensitiveOperation(methods=("PATCH",)),
                    ),
                )
            },
        ),
        Service(
            name="nifi",
            endpoints={
                "ui": Endpoint(
                    port=8443, public=True, protocol="https", path_style="host", sticky=True
                )
            },
            credentials={"tls": Credential(type="tls", hosts=("nifi",))},
        ),
        Service(
            name="kafka",
            parameters={"replicas": Parameter(type="integer", default=2, scope="scale")},
            endpoints={
                "out": Endpoint(port=9094, public=True, protocol="kafka", members="replicas")
            },
        ),
        Service(name="db", endpoints={"sql": Endpoint(port=5432, public=True, protocol="tcp")}),
    )
}


def scene(
    *names: str,
    services: Mapping[str, Service] = SERVICES,
    settings: Traefik | None = None,
    around: Mapping[str, Any] | None = None,
    **border: Any,
) -> Scene:
    """Return a scene of these services; what is not said of it stays at its default."""
    chosen = {name: services[name] for name in names or ("web",)}
    full = Border(**{"type": "traefik", "anonymous": True, **border})
    routes = with_members(
        routes_of(chosen, Environment("dev", border=full)), {"kafka": {"replicas": 2}}
    )
    return Scene(
        **{
            "project": "shop",
            "environment": "dev",
            "stack_id": HOME,
            "namespace": HOME,
            "border": full,
            "settings": settings or Traefik(),
            "routes": routes,
            **(around or {}),
        }
    )


def rendered(*names: str, **given: Any) -> BorderManifests:
    """Return what the adapter makes of such a scene."""
    return TraefikBorder().render(scene(*names, **given))


def objects(made: BorderManifests, kind: str) -> dict[str, Any]:
    """Return the objects of a kind by name, with their namespace before it where they have one."""
    found = {}
    for each in made.objects:
        if each["kind"] == kind:
            meta = each["metadata"]
            key = "/".join(filter(None, (meta.get("namespace"), meta["name"])))
            found[key] = each
    return found


def spec(made: BorderManifests, kind: str, name: str) -> Any:
    """Return the spec of one object."""
    return objects(made, kind)[name]["spec"]


def through(router: dict[str, Any]) -> list[str]:
    """Return the names of a router's middlewares."""
    return [each["name"] for each in router.get("middlewares", [])]


def pods(made: Any, kind: str = "Deployment", name: str = f"{HOME}-border/border-traefik") -> Any:
    """Return the spec of Traefik's pods."""
    return spec(made, kind, name)["template"]["spec"]


def arguments(made: Any, **where: str) -> list[str]:
    """Return what Traefik is told when it starts."""
    found: list[str] = pods(made, **where)["containers"][0]["args"]
    return found
