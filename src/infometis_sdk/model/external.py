"""Systems outside the stack that its services use, as an environment declares them."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from infometis_sdk.model.secret import SecretRef

__all__ = (
    "EXTERNAL",
    "EXTERNAL_PROTOCOLS",
    "External",
    "ExternalCheck",
    "ExternalService",
    "ExternalTls",
)

EXTERNAL = "external"
"""First word of ``uses: [external.NAME]``; no service may be called that."""

EXTERNAL_PROTOCOLS = ("tcp", "tls", "http", "https", "kafka")


@frozen(kw_only=True)
class ExternalTls:
    """How TLS is spoken to an external system.

    Attributes:
        originate: the border's egress proxy speaks TLS to the system, while services speak plainly
            to the proxy; only where the system is known by its ``host``.
        server_name: the name that the certificate must hold; ``host`` when empty.
        ca: reference to the certificates (PEM) of the authorities that are trusted;
            those of the image or machine when unset.

    """

    originate: bool = False
    server_name: str = ""
    ca: SecretRef | None = None


@frozen(kw_only=True)
class ExternalCheck:
    """The question that shows that an external system answers.

    It is asked from the machine that runs InfoMetis: a connection for ``tcp`` and ``kafka``,
    a handshake for ``tls``, a request for ``http`` and ``https``.

    Attributes:
        enabled: without it nothing is asked, for systems that only the cluster reaches.
        path: request path.
        status: expected HTTP status; 0 takes any answer.

    """

    enabled: bool = True
    path: str = "/"
    status: int = 0


@frozen(kw_only=True)
class External:
    """A system outside the stack, which services find under one name in every environment.

    Attributes:
        addresses: IP addresses of the system; or, where only a name is known, ``host``.
        host: DNS name of the system, which the border's egress proxy looks up.
        port: port under which services find it: part of the core, so the same everywhere.
        target_port: port of the system itself; ``port`` when 0.
        protocol: ``tcp``, ``tls``, ``http``, ``https`` or ``kafka``.
        credentials: references by the key that services read in the Secret ``external-NAME``.
        tls: how TLS is spoken to it.
        check: the question that shows that it answers.
        doc: what it is.

    Example:
        >>> External(addresses=["192.0.2.10"], port=5432, target_port=6432).reached_port
        6432

    """

    addresses: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    host: str = ""
    port: int
    target_port: int = 0
    protocol: str = "tcp"
    credentials: Mapping[str, SecretRef] = field(factory=dict)
    tls: ExternalTls = ExternalTls()
    check: ExternalCheck = ExternalCheck()
    doc: str = ""

    @property
    def reached_port(self) -> int:
        """The port of the system itself."""
        return self.target_port or self.port


@frozen(kw_only=True)
class ExternalService:
    """What a border adapter makes of an external system that is known by its name only.

    A Kubernetes Service ``name`` in the stack's namespace takes connections on ``port`` and leads
    to the adapter's egress proxy, which connects to ``host`` and ``target_port``.

    Attributes:
        name: of the Kubernetes Service.
        host: DNS name of the system.
        port: of the Kubernetes Service.
        target_port: of the system.
        protocol: see :data:`EXTERNAL_PROTOCOLS`.
        originate: whether the proxy speaks TLS to the system.
        server_name: the name that the certificate must hold.
        secret: name of the Secret with the credentials; empty where there are none.
        ca_key: key of that Secret that holds the trusted authorities; empty for the system's own.

    """

    name: str
    host: str
    port: int
    target_port: int
    protocol: str
    originate: bool
    server_name: str
    secret: str = ""
    ca_key: str = ""
