"""What of a scene Traefik cannot do, or does only in a way that nobody wants."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from infometis_border_traefik.layout import TCP_OFFSET, published_by
from infometis_border_traefik.settings import CONFIGURATIONS, ENCODED
from infometis_sdk.model.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_border_traefik.settings import Traefik
    from infometis_sdk.model.border import Route
    from infometis_sdk.ports.border import Scene

__all__ = ("OLDEST", "scene_faults")

OLDEST = (3, 7, 12)
"""Older releases lack options that close ways round authentication."""

_PER_CENT = 100
_PORT_MAX = 65_535 - TCP_OFFSET
_TAG = re.compile(r":v(\d+)\.(\d+)\.(\d+)(?:@.*)?$")
_LEVELS = ("DEBUG", "INFO", "WARN", "ERROR")
_OFFERS = {"host-ports": "host_ports", "load-balancer": "load_balancer"}


def scene_faults(scene: Scene) -> Iterator[Fault]:
    """Yield every fault, each at the words that say so."""
    yield from _settings(scene.settings)
    if scene.settings.use_existing:
        yield from _existing(scene)
    else:
        yield from _publishing(scene)
        yield from _acme(scene)
    if scene.settings.configuration == "file":
        yield from _file(scene)
    for route in scene.routes:
        yield from _route(route, scene)


def _scaling(settings: Traefik) -> Iterator[Fault]:
    if settings.replicas < 1:
        yield _own("replicas", "is out of bounds", found=str(settings.replicas), legal="1 or more")
    if settings.max_replicas and settings.max_replicas <= settings.replicas:
        yield _own(
            "max_replicas",
            "leaves an autoscaler nothing to do",
            found=str(settings.max_replicas),
            legal=f"more than {settings.replicas}, or 0 for a fixed number",
        )
    if settings.max_replicas and "cpu" not in settings.requests:
        yield _own("requests", "an autoscaler measures by the requested cpu", legal="cpu: …")
    if not 1 <= settings.cpu <= _PER_CENT:
        yield _own("cpu", "is out of bounds", found=str(settings.cpu), legal="1 to 100")


def _settings(settings: Traefik) -> Iterator[Fault]:
    tag = _TAG.search(settings.image)
    if tag and tuple(map(int, tag.groups())) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        yield _own("image", "too old", found=settings.image, legal=f"v{oldest} or newer")
    yield from _scaling(settings)
    if settings.configuration not in CONFIGURATIONS:
        yield _own(
            "configuration",
            "unknown word",
            found=settings.configuration,
            legal=", ".join(CONFIGURATIONS),
        )
    if settings.log_level not in _LEVELS:
        yield _own("log_level", "unknown word", found=settings.log_level, legal=", ".join(_LEVELS))
    for index, text in enumerate(settings.trusted_proxies):
        try:
            ipaddress.ip_network(text)
        except ValueError:
            yield _own(
                f"trusted_proxies[{index}]",
                "not a CIDR range",
                found=repr(text),
                legal="such as 10.0.0.0/8, no host bits set",
            )
    for index, word in enumerate(settings.encoded_characters):
        if word not in ENCODED:
            yield _own(
                f"encoded_characters[{index}]",
                "unknown word",
                found=repr(word),
                legal=", ".join(ENCODED),
            )
    if settings.proxy_protocol and not settings.trusted_proxies:
        yield _own(
            "proxy_protocol",
            "nobody is trusted to speak it",
            legal="trusted_proxies: the ranges of the proxies in front",
        )


def _existing(scene: Scene) -> Iterator[Fault]:
    settings: Traefik = scene.settings
    if not settings.namespace:
        yield _own(
            "namespace",
            "nothing says which pods let the outside in",
            legal="the namespace where the existing Traefik runs",
        )
    if len(settings.entry_points) != 2:  # noqa: PLR2004 - HTTP and HTTPS
        yield _own(
            "entry_points",
            "not two names",
            found=", ".join(settings.entry_points),
            legal="[web, websecure]: that of HTTP, that of HTTPS",
        )
    if scene.border.tls.source == "acme":
        yield Fault(
            message="an existing Traefik has certificate resolvers of its own",
            path="border.tls.source",
            found="acme",
            legal="another source, or use_existing: false",
        )


def _publishing(scene: Scene) -> Iterator[Fault]:
    way = published_by(scene)
    offer = _OFFERS.get(way)
    if offer and scene.capabilities.get(offer) == "absent":
        yield Fault(
            message=f"the platform offers no {way.replace('-', ' ')}",
            path="border.published_by",
            found=way,
            legal="another way, or auto",
        )
    if way != "host-ports" or not scene.host_ports:
        return
    wanted = {"http_port": scene.border.http_port}
    if scene.border.tls.source != "none":
        wanted["https_port"] = scene.border.https_port
    wanted |= {
        f"routes.{route.name}.port": route.public_port
        for route in scene.routes
        if route.settings.port
    }
    for path, port in wanted.items():
        if port not in scene.host_ports:
            yield Fault(
                message="no port of this machine leads to the nodes here",
                path=f"border.{path}",
                found=str(port),
                legal=", ".join(map(str, sorted(scene.host_ports))),
            )


def _acme(scene: Scene) -> Iterator[Fault]:
    acme = scene.border.tls.acme
    if acme is None:
        return
    if max(scene.settings.replicas, scene.settings.max_replicas) > 1:
        yield _own(
            "replicas",
            "certificates of ACME lie on a volume that one pod alone may write",
            found=str(scene.settings.replicas),
            legal="1, or certificates from cert-manager",
        )
    if not str(urlsplit(acme.server).hostname).endswith(".letsencrypt.org"):
        return  # a server of one's own may knock wherever it likes
    field, port, usual = (
        ("http_port", scene.border.http_port, 80)
        if acme.challenge == "http"
        else ("https_port", scene.border.https_port, 443)
    )
    if port != usual:
        yield Fault(
            message=f"the challenge {acme.challenge!r} comes in on port {usual}",
            path=f"border.{field}",
            found=str(port),
            legal=str(usual),
        )


def _file(scene: Scene) -> Iterator[Fault]:
    if scene.mode != "shared":
        yield _own(
            "configuration",
            "a file is for guests of a cluster who may not have the definitions",
            found="file",
            legal="crd",
        )
    if scene.settings.use_existing:
        yield _own(
            "use_existing",
            "an existing Traefik does not read our file",
            found="true",
            legal="configuration: crd",
        )
    for route in scene.routes:
        if route.settings.middlewares:
            yield Fault(
                message="middlewares of one's own are custom resources, which no file can name",
                origin=route.origin,
                path=f"border.routes.{route.name}.middlewares",
                found=", ".join(route.settings.middlewares),
                legal="configuration: crd",
            )


def _route(route: Route, scene: Scene) -> Iterator[Fault]:
    auths = [
        auth
        for word in (route.auth, *(guarded.auth for guarded in route.guarded))
        if (auth := scene.border.auth.get(word)) is not None
    ]
    mutual = [auth for auth in auths if auth.type == "mtls"]
    path = f"border.routes.{route.name}"
    if not route.http and any(auth.names for auth in mutual):
        yield Fault(
            message="a connection that is no HTTP cannot be asked for certain names",
            origin=route.origin,
            path=f"{path}.auth",
            legal="an auth of type mtls without names, and an authority that signs only these",
        )
    existing = scene.settings.use_existing
    if (existing and any(auth.names for auth in mutual)) or (
        existing and len(mutual) not in (0, len(auths))
    ):
        yield Fault(
            message="an existing Traefik cannot ask itself what stands on a certificate",
            origin=route.origin,
            path=f"{path}.auth",
            legal="an auth of type mtls without names, for the whole route",
        )
    if not route.settings.port or route.http:
        return
    if existing:
        yield Fault(
            message="an existing Traefik has no entry point for this port",
            origin=route.origin,
            path=f"{path}.port",
            found=str(route.settings.port),
            legal="use_existing: false",
        )
    if route.settings.port > _PORT_MAX:
        yield Fault(
            message="too high: pods listen on a port so much higher that no privilege is needed",
            origin=route.origin,
            path=f"{path}.port",
            found=str(route.settings.port),
            legal=f"{_PORT_MAX} or less",
        )


def _own(field: str, message: str, *, found: str = "", legal: str = "") -> Fault:
    return Fault(message=message, path=f"border.traefik.{field}", found=found, legal=legal)
