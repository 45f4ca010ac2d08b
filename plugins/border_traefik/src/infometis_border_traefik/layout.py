"""Where Traefik runs, what it listens on and how that is published: decided once for a scene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import field, frozen

from infometis_border_traefik.names import BORDER, INGRESS_CLASS

if TYPE_CHECKING:
    from infometis_border_traefik.settings import Traefik
    from infometis_sdk.ports.border import Scene

__all__ = (
    "CHECK_PORT",
    "METRICS_PORT",
    "NODE_PORTS",
    "STATUS",
    "STATUS_PORT",
    "TCP_OFFSET",
    "WEB",
    "WEBSECURE",
    "Layout",
    "Listener",
    "layout_of",
    "published_by",
)

WEB, WEBSECURE = "web", "websecure"
STATUS = "traefik"
"""Entry point on which the kubelet asks whether Traefik is ready."""

STATUS_PORT = 8080
CHECK_PORT = 8081
METRICS_PORT = 9100
TCP_OFFSET = 10_000
"""Ports of containers below 1024 need a privilege, and our own stand below 10,000."""

NODE_PORTS = range(30_000, 32_768)
"""The ports that a cluster gives to Services by default."""

_OWN_PORTS = {WEB: 8000, WEBSECURE: 8443}


@frozen(kw_only=True)
class Listener:
    """One entry point that is published.

    Attributes:
        name: of the entry point.
        port: in the container.
        public: as clients see it.
        node: port of the nodes; 0 where the cluster chooses one.

    """

    name: str
    port: int
    public: int
    node: int = 0

    @property
    def http(self) -> bool:
        """Whether it carries HTTP."""
        return self.name in (WEB, WEBSECURE)


@frozen(kw_only=True)
class Layout:
    """Where Traefik runs and how it is published.

    Attributes:
        home: namespace of the services and of the routes.
        namespace: Traefik's; its own unless it must share the services'.
        installed: whether there is a Traefik of ours at all.
        reads_files: routes come from a ConfigMap, not from custom resources.
        published_by: one of ``host-ports``, ``node-ports``, ``load-balancer``, ``cluster``.
        per_node: one pod on each node, instead of replicas.
        listeners: what is published, HTTP first.
        http, https: names of the entry points.
        ingress_class: what routes name; empty for nothing.
        selector: labels that tell Traefik's pods from all others.

    """

    home: str
    namespace: str
    installed: bool = True
    reads_files: bool = False
    published_by: str = "cluster"
    per_node: bool = False
    listeners: tuple[Listener, ...] = field(default=(), converter=tuple[Listener, ...])
    http: str = WEB
    https: str = WEBSECURE
    ingress_class: str = ""
    selector: Mapping[str, str] = field(factory=dict)

    @property
    def apart(self) -> bool:
        """Whether Traefik has a namespace of its own."""
        return self.namespace != self.home

    def entry_point(self, *, tls: bool, public: int, http: bool) -> str:
        """Return the entry point of a route."""
        for listener in self.listeners:
            if not listener.http and not http and listener.public == public:
                return listener.name
        return self.https if tls else self.http


def layout_of(scene: Scene) -> Layout:
    """Decide; pure.

    Traefik has a namespace of its own where the cluster is ours: ports of nodes are more than the
    namespace of the services should permit. It shares the services' where we are guests, where it
    reads files, and where it needs a Secret of the stack in its own pod.
    """
    settings: Traefik = scene.settings
    acme = scene.border.tls.acme
    selector = {
        "app.kubernetes.io/instance": scene.stack_id,
        "app.kubernetes.io/name": BORDER,
    }
    if settings.use_existing:
        http, https = (*settings.entry_points, WEB, WEBSECURE)[:2]
        namespace = settings.namespace
        return Layout(
            home=scene.namespace,
            namespace=namespace,
            installed=False,
            http=http,
            https=https,
            ingress_class=settings.ingress_class,
        )
    reads_files = settings.configuration == "file"
    together = scene.mode == "shared" or reads_files or (acme is not None and acme.ca is not None)
    published = published_by(scene)
    return Layout(
        home=scene.namespace,
        namespace=scene.namespace if together else f"{scene.namespace}-border",
        reads_files=reads_files,
        published_by=published,
        # Certificates of ACME lie on a volume that one pod alone may write.
        per_node=published == "host-ports" and acme is None,
        listeners=_listeners(scene, published),
        selector=selector,
        ingress_class=settings.ingress_class or INGRESS_CLASS,
    )


def published_by(scene: Scene) -> str:
    """Return how the border is published, ``auto`` resolved.

    What can roll without losing a request comes first: a load balancer, then ports of the nodes
    that a Service takes; a pod that holds a port of its node must go before the next can come.
    """
    asked = scene.border.published_by
    if asked != "auto":
        return asked
    if scene.capabilities.get("load_balancer") in ("declared", "proved"):
        return "load-balancer"
    wanted = {scene.border.http_port, scene.border.https_port}
    if scene.host_ports and all(scene.host_ports.get(port) in NODE_PORTS for port in wanted):
        return "node-ports"
    if scene.capabilities.get("host_ports") in ("declared", "proved"):
        return "host-ports"
    return "cluster"


def _listeners(scene: Scene, published: str) -> list[Listener]:
    border = scene.border
    public = {WEB: border.http_port}
    if border.tls.source != "none" or any(route.tls == "passthrough" for route in scene.routes):
        public[WEBSECURE] = border.https_port
    own = {
        route.public_port
        for route in scene.routes
        if not route.http and route.public_port not in (border.http_port, border.https_port)
    }
    public |= {f"tcp-{port}": port for port in sorted(own)}
    return [
        Listener(
            name=name,
            port=_OWN_PORTS.get(name, port + TCP_OFFSET),
            public=port,
            node=_node_port(scene, port, published),
        )
        for name, port in public.items()
    ]


def _node_port(scene: Scene, public: int, published: str) -> int:
    if published == "host-ports":
        return scene.host_ports.get(public, public)
    if published == "node-ports":
        return scene.host_ports.get(public, public if public in NODE_PORTS else 0)
    return 0
