"""An environment-agnostic bundle: descriptor, Kubernetes templates and configuration files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from infometis_sdk.model.fault import Origin
from infometis_sdk.model.parameter import Parameter

ANNOUNCED = ("url", "host", "prefix", "domain", "port")
"""What a service may learn of its route; see :class:`Endpoint`."""

__all__ = (
    "ANNOUNCED",
    "CREDENTIAL_TYPES",
    "DERIVED_FORMS",
    "DOWNGRADES",
    "PATH_STYLES",
    "PROTOCOLS",
    "ROTATIONS",
    "SCALING_DIRECTIONS",
    "Check",
    "Credential",
    "Endpoint",
    "Image",
    "Metrics",
    "Scaling",
    "SensitiveOperation",
    "Service",
    "ServiceSource",
    "Upgrade",
)

PROTOCOLS = ("http", "https", "tcp", "kafka")
PATH_STYLES = ("native", "strip", "host")
CREDENTIAL_TYPES = ("password", "key", "cluster-id", "tls")
DERIVED_FORMS = ("htpasswd", "bcrypt")
ROTATIONS = ("restart", "never")
DOWNGRADES = ("never", "allow")
SCALING_DIRECTIONS = ("out", "in")


@frozen(kw_only=True)
class Image:
    """A container image, pinned; the digest is known once a lock has resolved the tag.

    Attributes:
        repository: such as ``apache/kafka``, without the registry's prefix of an environment.
        tag: a version, never ``latest``.
        digest: ``sha256:…``.

    """

    repository: str
    tag: str
    digest: str = ""

    def __str__(self) -> str:
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}:{self.tag}{digest}"


@frozen(kw_only=True)
class SensitiveOperation:
    """Paths and methods of an endpoint that need stronger authentication than the rest.

    Attributes:
        paths: request paths as the service sees them at the root of a host, each with all below
            it; a part ``*`` stands for any one part.
        methods: HTTP methods; none means all.
        doc: what somebody could do there.

    """

    paths: tuple[str, ...] = field(default=("/",), converter=tuple[str, ...])
    methods: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    doc: str = ""


@frozen(kw_only=True)
class Endpoint:
    """What a Service offers.

    Attributes:
        port: port of the Kubernetes Service.
        protocol: ``http``, ``https``, ``tcp`` or ``kafka``.
        service: name of the Kubernetes Service; the Service's own name when empty.
        path: the path below which it answers natively.
        path_style: ``native`` (serves ``path`` itself), ``strip`` (wants it removed) or ``host``
            (wants a host of its own).
        public: whether the border may route to it.
        sensitive: operations that need stronger authentication.
        announce: what of its route the service must know, to the parameter of scope ``border``
            that tells it: ``url``, ``host`` (with the port unless it is the usual one),
            ``prefix`` (the path that the border takes off), ``domain`` (of the members' hosts)
            or ``port``.
        members: name of the integer parameter that counts the pods, where clients must reach
            each of them by itself; pod N has a Kubernetes Service ``<service>-member-N``.
        sticky: the border keeps the requests of one client on one pod.
        doc: what it is for.

    """

    port: int
    protocol: str = "http"
    service: str = ""
    path: str = "/"
    path_style: str = "native"
    public: bool = False
    sensitive: tuple[SensitiveOperation, ...] = field(
        default=(), converter=tuple[SensitiveOperation, ...]
    )
    announce: Mapping[str, str] = field(factory=dict)
    members: str = ""
    sticky: bool = False
    doc: str = ""


@frozen(kw_only=True)
class Credential:
    """A secret that the service needs; made once in the cluster, never rendered.

    The Secret is named ``<service>-<credential>``.
    Its keys follow the type: ``password``: ``username`` and ``password``;
    ``key``: ``key``; ``cluster-id``: ``id`` (22 characters, base64url of 16 bytes);
    ``tls``: ``ca.crt``, ``tls.crt``, ``tls.key``; and one more key for each derived form.

    Attributes:
        type: ``password``, ``key``, ``cluster-id`` or ``tls``; the engine itself knows ``given``,
            for the credentials of external systems, of which nothing is ever made up.
        username: for ``password``.
        length: characters of what is generated.
        derived: extra forms: ``htpasswd`` (bcrypt line), ``bcrypt`` (hash alone).
        hosts: DNS names for ``tls``: short service names, ``*`` allowed at the front;
            the namespace is added when the certificate is made.
        durable: it unlocks data on volumes and therefore lives and dies with them.
        rotation: ``restart`` (readers restart), ``never`` (a change would lose data).
        doc: what it opens.

    """

    type: str = "password"
    username: str = ""
    length: int = 24
    derived: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    hosts: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    durable: bool = False
    rotation: str = "restart"
    doc: str = ""


@frozen(kw_only=True)
class Check:
    """A question that shows that the service works, beyond the readiness of its pods.

    Attributes:
        endpoint: which endpoint of the service is asked.
        path: request path.
        status: expected HTTP status.
        contains: text that the answer must hold.
        credential: name of the credential for basic authentication.
        doc: what a pass means.

    """

    endpoint: str
    path: str = "/"
    status: int = 200
    contains: str = ""
    credential: str = ""
    doc: str = ""


@frozen(kw_only=True)
class Metrics:
    """Where Prometheus finds the metrics of the service.

    Attributes:
        endpoint: which endpoint of the service.
        path: request path.

    """

    endpoint: str
    path: str = "/metrics"


@frozen(kw_only=True)
class Scaling:
    """Whether an environment may leave the number of pods to an autoscaler.

    Attributes:
        workload: whose pods, such as ``Deployment/hello``; empty where nothing may scale.
        parameter: the integer parameter that sets their number.
        directions: ``out`` (pods may be added at any time), and apart from it
            ``in`` (any pod may be taken away at any time, and nothing is lost).
        why: why it may not scale in, or not at all; part of the error.

    """

    workload: str = ""
    parameter: str = "replicas"
    directions: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    why: str = ""


@frozen(kw_only=True)
class Upgrade:
    """Which versions may be followed by this one.

    Attributes:
        accepts: PEP 440 specifier of versions that this one may replace; empty for any.
        downgrade: ``never`` or ``allow``.
        why: part of the plan's error.

    """

    accepts: str = ""
    downgrade: str = "never"
    why: str = ""


@frozen(kw_only=True)
class Service:
    """An environment-agnostic bundle; one per service, for all environments.

    Attributes:
        name: DNS label.
        version: version of the software, such as ``4.3.1``.
        summary: one line.
        images: by short name, used in templates as ``images.NAME``.
        parameters: by name, used in templates as ``params.NAME``.
        needs: services that start first.
        uses: ``service.endpoint`` that it talks to, or ``external.NAME`` for a system that each
            environment declares; cycles are legal.
        endpoints, credentials, checks: by name.
        metrics: where Prometheus finds the metrics, if there are any.
        scaling: whether an autoscaler may set the number of pods; ``None`` says that none may.
        upgrade: which versions may be followed by this one.
        kubernetes_api: whether those of its pods that mount a token speak to the Kubernetes API.
        renamed_from: earlier names of this service.
        templates: file name to text, below ``templates/``.
        files: file name to text, below ``files/``.
        manifests: raw Kubernetes objects, kept as they are (their namespaces too).
        origin: the descriptor's file.
        origins: where each of the manifests stands; shorter where they were made in code.
        lines: line of each path in the descriptor, for error messages.

    Example:
        >>> hello = Service.web("hello", image="example/hello:1.0", port=8080)
        >>> sorted(hello.templates)
        ['deployment.yaml.j2', 'pdb.yaml.j2', 'service.yaml.j2', 'serviceaccount.yaml.j2']

    """

    name: str
    version: str = "0"
    summary: str = ""
    images: Mapping[str, Image] = field(factory=dict)
    parameters: Mapping[str, Parameter] = field(factory=dict)
    needs: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    uses: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    endpoints: Mapping[str, Endpoint] = field(factory=dict)
    credentials: Mapping[str, Credential] = field(factory=dict)
    checks: Mapping[str, Check] = field(factory=dict)
    metrics: Metrics | None = None
    scaling: Scaling | None = None
    upgrade: Upgrade = Upgrade()
    kubernetes_api: bool = False
    renamed_from: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    templates: Mapping[str, str] = field(factory=dict, repr=False)
    files: Mapping[str, str] = field(factory=dict, repr=False)
    manifests: tuple[Mapping[str, Any], ...] = field(
        default=(), converter=tuple[Mapping[str, Any], ...], repr=False
    )
    origin: Origin = Origin()
    origins: tuple[Origin, ...] = field(
        default=(), converter=tuple[Origin, ...], repr=False, eq=False
    )
    lines: Mapping[str, int] = field(factory=dict, repr=False, eq=False)

    @classmethod
    def load(cls, path: str | Path) -> Service:
        """Read a service directory; see :func:`infometis_sdk.project.load_service`.

        Raises:
            ProjectError: all faults of all its files.

        """
        from infometis_sdk.project import load_service  # noqa: PLC0415 - convenience door, see CONTRIBUTING

        return load_service(Path(path))

    @classmethod
    def web(cls, name: str, *, image: str, port: int, **options: Any) -> Service:  # noqa: ANN401
        """Make a stateless HTTP service; see :func:`infometis_sdk.model.shapes.web`."""
        from infometis_sdk.model.shapes import web  # noqa: PLC0415 - shapes builds on this module

        return web(name, image=image, port=port, **options)

    @classmethod
    def stateful(cls, name: str, *, image: str, port: int, **options: Any) -> Service:  # noqa: ANN401
        """Make a service with volumes; see :func:`infometis_sdk.model.shapes.stateful`."""
        from infometis_sdk.model.shapes import stateful  # noqa: PLC0415 - as above

        return stateful(name, image=image, port=port, **options)


@frozen(kw_only=True)
class ServiceSource:
    """What a plugin registers for a service; light: the files are read only when it is used.

    Attributes:
        name: what a project's ``services:`` names.
        summary: one line.
        package: importable package whose directory holds ``service.yaml``, ``templates/`` and
            ``files/``.

    """

    name: str
    summary: str
    package: str
