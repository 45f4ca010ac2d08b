"""The port through which the outside reaches a stack: endpoints in, manifests and routes out.

An adapter is pure: what it needs to know is in the :class:`Scene`.
What looks at a cluster or at the network is an ability of its own, found by ``isinstance``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from attrs import field, frozen

from infometis_sdk.model.border import Border, Route
from infometis_sdk.model.environment import Peer
from infometis_sdk.model.external import ExternalService
from infometis_sdk.model.secret import SecretRef

if TYPE_CHECKING:
    from infometis_sdk.model.border_report import Proof
    from infometis_sdk.model.fault import Fault
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.ports.platform import Finding

__all__ = (
    "FEATURES",
    "BorderAdapter",
    "BorderChecks",
    "BorderManifests",
    "BorderSecret",
    "BorderSpec",
    "BorderVerify",
    "Reach",
    "Scene",
)

FEATURES: Mapping[str, str] = {
    "acme": "certificates from an ACME server",
    "allow": "CIDR ranges that may pass",
    "basic": "user names and passwords",
    "body-limit": "largest request body",
    "cert-manager": "certificates from cert-manager",
    "egress": "external services of which only a name is known",
    "forward": "another service decides who may pass",
    "hsts": "browsers remember to use HTTPS only",
    "in-flight": "requests of one client at a time",
    "kafka": "Kafka by the name in the TLS handshake",
    "methods": "another authentication for some paths and methods",
    "middlewares": "rules of the adapter's own",
    "mtls": "client certificates",
    "mtls-names": "client certificates of certain names only",
    "passthrough": "the service holds the certificate",
    "paths": "several endpoints below paths of one host",
    "rate": "how often one client may ask",
    "redirect": "HTTP is answered with a redirect to HTTPS",
    "request-headers": "headers set on the way in",
    "response-headers": "headers set on the way out",
    "retries": "requests without an answer are tried again",
    "reencrypt": "HTTPS to the service, with its certificate verified",
    "sticky": "the requests of one client stay on one pod",
    "strip": "the path is taken off before the service sees it",
    "tcp": "plain TCP on a port of its own",
    "timeout": "how long the service may take to answer",
    "tls": "HTTPS with a certificate of the environment's",
    "tls-minimum": "oldest version of TLS",
}
"""What an adapter may be able to do, by the word that it declares."""


@frozen(kw_only=True)
class BorderSecret:
    """A Secret that the adapter's manifests name; made at apply, never rendered.

    Attributes:
        name: of the Secret, in the stack's namespace.
        kind: ``certificate`` (keys ``tls.crt`` and ``tls.key``), ``authorities`` (``ca.crt``)
            or ``users`` (``users``: a line ``name:bcrypt`` for each source, whose value is the
            password).
        sources: key, or user name, to where its value is to be had.
        hosts: for a ``certificate`` of the development authority: the names on it.

    """

    name: str
    kind: str
    sources: Mapping[str, SecretRef] = field(factory=dict)
    hosts: tuple[str, ...] = field(default=(), converter=tuple[str, ...])


@frozen(kw_only=True)
class Scene:
    """Everything that a border is rendered from.

    Attributes:
        project, environment: names.
        stack_id: unique among all stacks of a cluster.
        namespace: where the services are.
        mode: ``independent`` or ``shared``.
        border: what the environment says in neutral words.
        settings: the adapter's own, an object of its settings class.
        routes: every route, sorted by name.
        egress: external services of which only a name is known.
        capabilities: what the platform declares, by name: ``declared``, ``absent`` …
        host_ports: TCP ports of this machine to ports of the nodes, where the platform has such.

    """

    project: str
    environment: str
    stack_id: str
    namespace: str
    mode: str = "independent"
    border: Border = field(factory=Border)
    settings: Any = None
    routes: tuple[Route, ...] = field(default=(), converter=tuple[Route, ...])
    egress: tuple[ExternalService, ...] = field(default=(), converter=tuple[ExternalService, ...])
    capabilities: Mapping[str, str] = field(factory=dict)
    host_ports: Mapping[int, int] = field(factory=dict)


@frozen(kw_only=True)
class BorderManifests:
    """What a border adds to a stack.

    Attributes:
        objects: Kubernetes objects; those without a namespace go to the stack's.
        secrets: what they name, made at apply.
        peers: the pods that let the outside in, and that NetworkPolicies therefore let in.
        egress: the pods through which the inside reaches external services by name.

    """

    objects: tuple[Mapping[str, Any], ...] = field(converter=tuple[Mapping[str, Any], ...])
    secrets: tuple[BorderSecret, ...] = field(default=(), converter=tuple[BorderSecret, ...])
    peers: tuple[Peer, ...] = field(default=(), converter=tuple[Peer, ...])
    egress: tuple[Peer, ...] = field(default=(), converter=tuple[Peer, ...])


class BorderAdapter(ABC):
    """Turns routes and border settings into manifests; pure, and the same for the same scene."""

    @property
    @abstractmethod
    def features(self) -> frozenset[str]:
        """Words of :data:`FEATURES`; a scene that asks for another one never gets here."""

    @abstractmethod
    def render(self, scene: Scene) -> BorderManifests:
        """Return everything that publishes the routes of a scene.

        Raises:
            ProjectError: nothing, where :meth:`faults` found nothing.

        """

    def faults(self, scene: Scene) -> tuple[Fault, ...]:
        """Return what is wrong with a scene beyond what holds for every adapter."""
        del scene
        return ()


@frozen(kw_only=True)
class Reach:
    """How this machine gets to what a border publishes.

    Attributes:
        ports: published port to the address and port to connect to from here;
            a port that is not named leads nowhere from here.
        authorities: PEM file whose authorities count besides those of the system; ``None`` for
            none.
        resolve: turns a reference to a secret into its value, for the passwords of proofs.

    """

    ports: Mapping[int, tuple[str, int]] = field(factory=dict)
    authorities: Path | None = None
    resolve: Callable[[SecretRef], Any] | None = field(default=None, repr=False)


@runtime_checkable
class BorderChecks(Protocol):
    """Ability: says before an apply what of the scene cannot work on a cluster; reads only."""

    def check(self, scene: Scene, cluster: Cluster, run: Run) -> tuple[Finding, ...]:
        """Look whether what the scene rests on is there: classes, Secrets, certificates, ports."""


@runtime_checkable
class BorderVerify(Protocol):
    """Ability: proves from outside that every route answers as promised."""

    def verify(self, scene: Scene, cluster: Cluster, reach: Reach, run: Run) -> tuple[Proof, ...]:
        """Ask the border what it loaded, and each route for an answer, and judge both.

        Changes nothing. A route that cannot be asked is ``unproven`` with the reason,
        never ``passed``.
        """


@frozen(kw_only=True)
class BorderSpec:
    """What a plugin registers for a border; light, so that nothing heavy is imported.

    Attributes:
        name: what ``border: {type: …}`` names, and the key of the adapter's own section.
        summary: one line.
        settings: an attrs class; its fields are the legal keys of that section.
        factory: makes the adapter; imports what is heavy.

    """

    name: str
    summary: str
    settings: type[Any]
    factory: Callable[[], BorderAdapter] = field(eq=False)
