"""What only Traefik knows of a border; the neutral words stand beside it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

__all__ = ("CONFIGURATIONS", "ENCODED", "Traefik")

CONFIGURATIONS = ("crd", "file")
ENCODED = ("slash", "backslash", "null-character", "percent", "hash", "question-mark", "semicolon")


@frozen(kw_only=True)
class Traefik:
    """Settings of the border ``traefik``, in its own section.

    Attributes:
        image: of Traefik itself, pinned; 3.7.12 or newer.
        replicas: number of Traefik pods; has no effect with ports of the nodes, where each node
            runs one.
        max_replicas: so many at most, when an autoscaler adds pods to ``replicas``;
            0 for a fixed number.
        cpu: per cent of the requested cpu that the autoscaler keeps the pods at.
        requests, limits: of each pod, by resource.
        configuration: ``crd`` (Traefik reads custom resources) or ``file`` (it reads a ConfigMap
            and needs no right at the Kubernetes API: for guests who may not have the CRDs).
        use_existing: the cluster already runs Traefik, which takes the routes; nothing is
            installed.
        namespace: where that Traefik runs.
        ingress_class: what routes name so that only the right Traefik takes them; when empty
            ``infometis``, or none for an existing Traefik.
        entry_points: for ``use_existing``: its entry points for HTTP and HTTPS.
        trusted_proxies: CIDR ranges of proxies in front, whose ``X-Forwarded-`` headers count.
        proxy_protocol: those proxies speak the PROXY protocol.
        encoded_characters: characters that may stand percent-encoded in a path, of ``slash``,
            ``backslash``, ``null-character``, ``percent``, ``hash``, ``question-mark`` and
            ``semicolon``; none by default, since they help to get around rules.
        storage_class: of the volume with ACME certificates; the cluster's default when empty.
        log_level: ``DEBUG``, ``INFO``, ``WARN`` or ``ERROR``.

    Example:
        >>> Traefik(replicas=2, trusted_proxies=["192.0.2.0/24"]).configuration
        'crd'

    """

    image: str = "docker.io/library/traefik:v3.7.15"
    replicas: int = 1
    max_replicas: int = 0
    cpu: int = 70
    requests: Mapping[str, str] = field(factory=lambda: {"cpu": "100m", "memory": "128Mi"})
    limits: Mapping[str, str] = field(factory=lambda: {"memory": "512Mi"})
    configuration: str = "crd"
    use_existing: bool = False
    namespace: str = ""
    ingress_class: str = ""
    entry_points: tuple[str, ...] = field(default=("web", "websecure"), converter=tuple[str, ...])
    trusted_proxies: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    proxy_protocol: bool = False
    encoded_characters: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    storage_class: str = ""
    log_level: str = "INFO"
