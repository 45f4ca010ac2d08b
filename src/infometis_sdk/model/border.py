"""How the outside reaches an environment: its ``border`` section, and the routes that it gives.

The words here are neutral: any adapter can implement them, or says that it cannot.
What only one adapter knows stands in a section of its own, under the adapter's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from infometis_sdk.model.fault import Origin
from infometis_sdk.model.secret import SecretRef
from infometis_sdk.model.service import Endpoint

__all__ = (
    "ACME_CHALLENGES",
    "ACME_STAGING",
    "AUTH_TYPES",
    "CERTIFICATE_SOURCES",
    "OPEN",
    "PUBLISHED_BY",
    "TLS_MODES",
    "TLS_VERSIONS",
    "Acme",
    "Auth",
    "Border",
    "BorderTls",
    "CertIssuer",
    "Guarded",
    "Member",
    "Rate",
    "Route",
    "RouteSettings",
)

AUTH_TYPES = ("basic", "forward", "mtls")
CERTIFICATE_SOURCES = ("development", "files", "secret", "acme", "cert-manager", "none")
ACME_CHALLENGES = ("tls-alpn", "http")
ACME_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
PUBLISHED_BY = ("auto", "host-ports", "node-ports", "load-balancer", "cluster")
TLS_MODES = ("", "terminate", "passthrough", "none")
TLS_VERSIONS = ("1.2", "1.3")
OPEN = "open"
"""The word of a route that wants no authentication at all, said on purpose."""


@frozen(kw_only=True)
class Auth:
    """A way to show who one is; routes name it.

    Attributes:
        type: ``basic`` (user name and password), ``forward`` (another service decides, as the
            proxies of OpenID Connect do) or ``mtls`` (a client certificate).
        users: for ``basic``: user name to the reference of the password, at most 72 bytes long.
        realm: for ``basic``: what the browser's question says.
        address: for ``forward``: URL that is asked with the request's own headers;
            2xx lets it pass, anything else is the client's answer.
        request_headers: for ``forward``: the headers that are passed on to it; empty for all.
        response_headers: for ``forward``: headers of its answer that the service gets.
        ca: for ``mtls``: PEM certificates of the authorities whose certificates count.
        names: for ``mtls``: common names or DNS names that may pass; empty for all of the
            authorities'.

    """

    type: str
    users: Mapping[str, SecretRef] = field(factory=dict)
    realm: str = "infometis"
    address: str = ""
    request_headers: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    response_headers: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    ca: SecretRef | None = None
    names: tuple[str, ...] = field(default=(), converter=tuple[str, ...])


@frozen(kw_only=True)
class Rate:
    """How often one client may ask.

    Attributes:
        average: requests a second.
        burst: so many more at once; what ``average`` is when 0.

    """

    average: int
    burst: int = 0


@frozen(kw_only=True)
class RouteSettings:
    """What an environment says of the route to one endpoint; unset means the endpoint's own way.

    Attributes:
        publish: ``false`` leaves the endpoint inside.
        host: DNS name; ``SERVICE.DOMAIN`` when empty.
        path: below which path of the host; the whole host by default.
        strip: whether that path is taken off before the service sees the request;
            unset for what the endpoint's ``path_style`` asks for.
        port: for ``tcp``: the published port, which is the route's alone.
        tls: ``terminate`` (the border holds the certificate), ``passthrough`` (the service does)
            or ``none``; empty for ``terminate``, or for ``none`` where the border has no
            certificate.
        auth: name of an entry of the border's ``auth``, or ``open``; empty for the border's own.
        sensitive_auth: the same, for the endpoint's sensitive operations.
        allow: CIDR ranges that may pass; empty for all.
        rate: how often one client may ask.
        in_flight: so many requests of one client at a time; 0 for any number.
        request_headers, response_headers: set on the way in and on the way out;
            an empty value takes the header away.
        timeout: seconds until the service must begin to answer; 0 for the adapter's own.
        retries: how often a request without an answer is tried again, with an idempotent method.
        body_limit: largest request body, a quantity such as ``10Mi``; empty for any size.
        middlewares: names of the adapter's own, in the stack's namespace, after all of these.

    """

    publish: bool = True
    host: str = ""
    path: str = "/"
    strip: bool | None = None
    port: int = 0
    tls: str = ""
    auth: str = ""
    sensitive_auth: str = ""
    allow: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    rate: Rate | None = None
    in_flight: int = 0
    request_headers: Mapping[str, str] = field(factory=dict)
    response_headers: Mapping[str, str] = field(factory=dict)
    timeout: float = 0.0
    retries: int = 0
    body_limit: str = ""
    middlewares: tuple[str, ...] = field(default=(), converter=tuple[str, ...])


@frozen(kw_only=True)
class Acme:
    """Certificates from an ACME server.

    Attributes:
        email: account's address.
        server: directory URL; Let's Encrypt's staging server by default, whose certificates no
            browser trusts: name the real one once the staging one works.
        challenge: ``tls-alpn`` or ``http``.
        ca: PEM certificates that sign the server's own; for a server of one's own.

    """

    email: str
    server: str = ACME_STAGING
    challenge: str = "tls-alpn"
    ca: SecretRef | None = None


@frozen(kw_only=True)
class CertIssuer:
    """A cert-manager issuer.

    Attributes:
        name: of the Issuer or ClusterIssuer.
        kind: ``Issuer`` or ``ClusterIssuer``.

    """

    name: str
    kind: str = "ClusterIssuer"


@frozen(kw_only=True)
class BorderTls:
    """Certificates and the rules of TLS.

    Attributes:
        source: where the certificate comes from: ``development`` (an authority of this machine,
            which ``infometis trust`` shows how to trust), ``files``, ``secret``, ``acme``,
            ``cert-manager`` or ``none`` (plain HTTP).
        certificate, key: for ``files``: references to PEM, the certificate with its chain.
        secret: for ``secret``: name of a Secret of type ``kubernetes.io/tls`` in the stack's
            namespace.
        acme: for ``acme``.
        issuer: for ``cert-manager``.
        required: a route without TLS is an error.
        redirect: HTTP is answered with a redirect to HTTPS.
        minimum: oldest version of TLS: ``1.2`` or ``1.3``.
        hsts: seconds for which browsers remember to use HTTPS only; 0 for no such header.

    """

    source: str = "development"
    certificate: SecretRef | None = None
    key: SecretRef | None = None
    secret: str = ""
    acme: Acme | None = None
    issuer: CertIssuer | None = None
    required: bool = True
    redirect: bool = True
    minimum: str = "1.2"
    hsts: int = 0


@frozen(kw_only=True)
class Border:
    """How the outside reaches the environment.

    Attributes:
        type: name of the border adapter; ``none`` publishes nothing.
        domain: every endpoint without a host of its own gets ``SERVICE.DOMAIN``.
        http_port, https_port: as clients see them, on the published address.
        published_by: ``host-ports`` (ports of the nodes), ``node-ports``, ``load-balancer``,
            ``cluster`` (an address inside the cluster only), or ``auto`` by what the platform can.
        anonymous: routes need no authentication; for development.
        auth: ways to show who one is, by name.
        default_auth: that of routes which name none.
        default_sensitive_auth: that of sensitive operations whose route names none;
            empty for the route's own.
        routes: ``SERVICE.ENDPOINT`` to what is said of its route.
        tls: certificates and the rules of TLS.
        settings: the adapter's own section: a mapping, or an object of its settings class.

    """

    type: str = "none"
    domain: str = "localhost"
    http_port: int = 80
    https_port: int = 443
    published_by: str = "auto"
    anonymous: bool = False
    auth: Mapping[str, Auth] = field(factory=dict)
    default_auth: str = ""
    default_sensitive_auth: str = ""
    routes: Mapping[str, RouteSettings] = field(factory=dict)
    tls: BorderTls = BorderTls()
    settings: Any = field(factory=dict)


@frozen(kw_only=True)
class Guarded:
    """Sensitive operations of a route, and who may do them.

    Attributes:
        paths: as the outside sees them, each with all below it.
        methods: HTTP methods; empty for all.
        auth: name of an entry of the border's ``auth``; ``open`` for no authentication.

    """

    paths: tuple[str, ...] = field(converter=tuple[str, ...])
    methods: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    auth: str


@frozen(kw_only=True)
class Member:
    """One pod of a service that the outside must reach by itself, such as a Kafka broker.

    Attributes:
        host: DNS name of its own.
        service: name of the Kubernetes Service that selects this pod alone.

    """

    host: str
    service: str


@frozen(kw_only=True)
class Route:
    """The way from the outside to one endpoint, all decided.

    Attributes:
        name: ``SERVICE.ENDPOINT``.
        service: name of the service of the stack.
        backend: name of the Kubernetes Service.
        port: its port.
        endpoint: what is published.
        host: DNS name; empty for any, which only plain TCP has.
        path: below which path, without a slash at the end unless it is ``/`` itself.
        strip: whether that path is taken off.
        tls: ``terminate``, ``passthrough`` or ``none``.
        public_port: as clients see it.
        auth: name of an entry of the border's ``auth``; ``open`` for no authentication.
        guarded: operations with another ``auth`` than the rest.
        members: pods that are reached one by one.
        authority: Secret of the stack whose ``ca.crt`` signs the certificate that the service
            itself shows; empty where the authorities of the system do.
        body_bytes: the body limit of the settings; 0 for any size.
        settings: limits, headers and the like, as the environment says.
        origin: file and line that says so.

    """

    name: str
    service: str
    backend: str
    port: int
    endpoint: Endpoint
    host: str = ""
    path: str = "/"
    strip: bool = False
    tls: str = "terminate"
    public_port: int
    auth: str = OPEN
    guarded: tuple[Guarded, ...] = field(default=(), converter=tuple[Guarded, ...])
    members: tuple[Member, ...] = field(default=(), converter=tuple[Member, ...])
    authority: str = ""
    body_bytes: int = 0
    settings: RouteSettings = RouteSettings()
    origin: Origin = Origin()

    @property
    def http(self) -> bool:
        """Whether it carries HTTP requests, which alone have paths and headers."""
        return self.endpoint.protocol in ("http", "https") and self.tls != "passthrough"

    @property
    def url(self) -> str:
        """Where clients find it, such as ``https://grafana.localhost/``."""
        if self.endpoint.protocol in ("http", "https"):
            scheme = "http" if self.tls == "none" else "https"
            usual = 443 if scheme == "https" else 80
            port = "" if self.public_port == usual else f":{self.public_port}"
            path = self.path if self.path.endswith("/") else f"{self.path}/"
            return f"{scheme}://{self.host}{port}{path}"
        scheme = "kafka" if self.endpoint.protocol == "kafka" else "tcp"
        return f"{scheme}://{self.host or 'localhost'}:{self.public_port}"
