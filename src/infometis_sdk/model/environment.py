"""One environment: where a project runs, in which mode, with which values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from infometis_sdk.model.border import Border
from infometis_sdk.model.capacity import LimitsPolicy, QuotaPolicy, ScalingPolicy
from infometis_sdk.model.external import External
from infometis_sdk.model.fault import Origin
from infometis_sdk.model.secret import SecretRef

__all__ = (
    "DRIFT_ACTIONS",
    "ENCRYPTION_DEMANDS",
    "FOREIGN_ACTIONS",
    "IMAGE_POLICIES",
    "MODES",
    "NETWORK_MODES",
    "POD_SECURITY_LEVELS",
    "AuditPolicy",
    "DriftPolicy",
    "Environment",
    "IsolationPolicy",
    "Patch",
    "Peer",
    "Policies",
    "Preview",
    "PrunePolicy",
    "RegistryPolicy",
    "ReleasePolicy",
)

MODES = ("independent", "shared")
DRIFT_ACTIONS = ("report", "heal", "heal-except")
FOREIGN_ACTIONS = ("keep", "remove")
IMAGE_POLICIES = ("any", "locked")
POD_SECURITY_LEVELS = ("privileged", "baseline", "restricted")
NETWORK_MODES = ("isolate", "open")
ENCRYPTION_DEMANDS = ("required",)


@frozen(kw_only=True)
class Patch:
    """A change to one rendered object, on allow-listed paths only.

    Attributes:
        kind, name: which object.
        path: field path such as ``spec.template.spec.containers[name=kafka].resources``.
        value: what the field becomes: maps merge, lists replace, ``None`` unsets.
        origin: file and line.

    """

    kind: str
    name: str
    path: str
    value: Any = None
    origin: Origin = Origin()


@frozen(kw_only=True)
class DriftPolicy:
    """What is done about fields that others added or changed.

    Attributes:
        action: what a guard does about drift by itself: ``report``, ``heal``,
            or ``heal-except`` what ``exceptions`` name.
        exceptions: what is reported and never healed: services, objects ``Kind/name`` or fields
            ``Kind/name:path``; ``*`` stands for anything.
        foreign: ``keep`` (show them) or ``remove`` (the next apply takes them away).
        yield_to: ``manager:subresource:path`` triples of controllers whose fields we leave alone;
            manager names are self-declared and prove nothing, so all three must match.

    """

    action: str = "report"
    exceptions: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    foreign: str = "keep"
    yield_to: tuple[str, ...] = field(default=(), converter=tuple[str, ...])


@frozen(kw_only=True)
class PrunePolicy:
    """Circuit breakers of prune.

    Attributes:
        enabled: whether objects that are no longer desired are deleted at all.
        max_count, max_percent: deleting more than the larger of both needs confirmation by digest.

    """

    enabled: bool = True
    max_count: int = 5
    max_percent: int = 20


@frozen(kw_only=True)
class AuditPolicy:
    """Who gets a copy of each audit record, besides the file that always has it.

    Attributes:
        sinks: ``{"type": NAME, …}`` each, with the sink's own settings, such as
            ``{"type": "stdout"}``.

    """

    sinks: tuple[Mapping[str, Any], ...] = field(
        default=(), converter=tuple[Mapping[str, Any], ...]
    )


@frozen(kw_only=True)
class RegistryPolicy:
    """Where images are pulled from.

    Attributes:
        prefix: put before every image repository, such as ``registry.corp.example/mirror``.
        pull_secrets: names of existing Secrets of the namespace.

    """

    prefix: str = ""
    pull_secrets: tuple[str, ...] = field(default=(), converter=tuple[str, ...])


@frozen(kw_only=True)
class ReleasePolicy:
    """How long Releases are kept.

    Attributes:
        keep: so many of the newest stay in the cluster, at least 1;
            what runs stays however old it is.
        directory: a directory, relative to the project, that gets a copy of every Release and
            Bundle and keeps them all; empty for none.

    """

    keep: int = 10
    directory: str = ""


@frozen(kw_only=True)
class Peer:
    """Pods outside the stack with which its pods may speak.

    Attributes:
        namespace: name of their namespace.
        pods: labels that they have; none for all pods of the namespace.

    """

    namespace: str
    pods: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class IsolationPolicy:
    """Whether pods are shut off from all that is not declared.

    Attributes:
        mode: ``isolate`` makes NetworkPolicies of what is declared, ``open`` makes none; when empty
            ``isolate`` in independent mode, and ``open`` in shared mode, where the owners of the
            cluster must have permitted it.
        dns: the pods that answer names.
        dns_port: the port on which they answer; 5353 on OpenShift.
        metrics: pods that may read the metrics of services.
        api_server: addresses and ports, such as ``192.0.2.10:6443``, of the Kubernetes API, for
            services that need it; read from the cluster when empty.

    """

    mode: str = ""
    dns: Peer = Peer(namespace="kube-system", pods={"k8s-app": "kube-dns"})
    dns_port: int = 53
    metrics: tuple[Peer, ...] = field(default=(), converter=tuple[Peer, ...])
    api_server: tuple[str, ...] = field(default=(), converter=tuple[str, ...])


@frozen(kw_only=True)
class Policies:
    """Policies of an environment.

    Attributes:
        pod_security: Pod Security level that the namespace enforces:
            ``privileged``, ``baseline`` or ``restricted``; empty sets none.
        network: whether pods are shut off from all that is not declared.
        encryption: ``required`` refuses every cluster that is not proved to encrypt the traffic
            between nodes, unless a mesh does; empty demands nothing.
        mesh: name of the service mesh that encrypts the traffic between pods, such as ``linkerd``;
            your word for it, which nobody checks.
        resource_quota: ``hard`` of a ResourceQuota for the namespace; empty for none.
        scoped_quotas: further ResourceQuotas by name, each of which counts only some objects.
        limits: what each container of the namespace gets and may ask for.
        scaling: by service: leave its number of pods to an autoscaler, within bounds.
        validate: ``module:function`` of functions called with the ManifestSet;
            they yield faults.
        images: ``any``, or ``locked``: every image must be pinned by digest,
            in its descriptor or by ``infometis lock --images``.
        releases: how long Releases are kept.
        audit: who gets a copy of each audit record.
        notify: whom a guard tells what it cannot mend: ``{"type": NAME, …}`` each, with the
            notifier's own settings, such as ``{"type": "alertmanager", "url": …}``.

    """

    drift: DriftPolicy = DriftPolicy()
    notify: tuple[Mapping[str, Any], ...] = field(
        default=(), converter=tuple[Mapping[str, Any], ...]
    )
    audit: AuditPolicy = AuditPolicy()
    prune: PrunePolicy = PrunePolicy()
    registry: RegistryPolicy = RegistryPolicy()
    pod_security: str = ""
    network: IsolationPolicy = IsolationPolicy()
    encryption: str = ""
    mesh: str = ""
    resource_quota: Mapping[str, str | int | float] = field(factory=dict)
    scoped_quotas: Mapping[str, QuotaPolicy] = field(factory=dict)
    limits: LimitsPolicy = field(factory=LimitsPolicy)
    scaling: Mapping[str, ScalingPolicy] = field(factory=dict)
    validate: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    images: str = "any"
    releases: ReleasePolicy = ReleasePolicy()


@frozen(kw_only=True)
class Preview:
    """A short-lived environment shares the cluster of a lasting one.

    It can neither stop nor destroy that cluster.

    Attributes:
        of: the environment that lasts.
        expires: UTC, ISO 8601; ``infometis preview destroy --expired`` removes it after that.

    """

    of: str = ""
    expires: str = ""


@frozen
class Environment:
    """Name, platform, mode, border, values, patches and policies.

    Attributes:
        name: DNS label.
        platform: a typed settings object of a plugin, or ``{"type": …, …}``.
        namespace: where the stack lives; ``<project>-<name>`` when empty.
        stack_id: written once, unique, never changed; derived from the project's id and the
            environment's name when empty.
        mode: ``independent`` (the cluster is ours) or ``shared`` (we are guests in namespaces).
        border: how the outside reaches it.
        values: ``{service: {parameter: value}}``.
        patches: changes to rendered objects, on allow-listed paths only.
        policies: drift, prune, registry, Pod Security, quota, functions that validate.
        credentials: ``{"service.credential": {key: SecretRef}}``; or, instead of the keys, one
            reference ``secret:NAME`` to an existing Secret that holds them all.
        external: systems outside the stack by the name under which services find them.
        protected: a reviewed plan is demanded, and what ends things needs the name typed.
        preview: of which environment it is a short-lived preview; none for those that last.
        local: the untracked layer of values above ``values``.
        sources: dotted path to file and line of each value, for ``explain``:
            ``environment.kafka.replicas``, ``local.kafka.replicas`` for values,
            and ``mode``, ``platform.nodes``, ``patches[0]`` … for the rest.

    Example:
        >>> Environment("uat", values={"kafka": {"replicas": 3}}).mode
        'independent'

    """

    name: str
    platform: Any = field(factory=lambda: {"type": "embedded"}, kw_only=True)
    mode: str = field(default="independent", kw_only=True)
    namespace: str = field(default="", kw_only=True)
    stack_id: str = field(default="", kw_only=True)
    border: Border = field(factory=Border, kw_only=True)
    values: Mapping[str, Mapping[str, Any]] = field(factory=dict, kw_only=True)
    patches: tuple[Patch, ...] = field(default=(), converter=tuple[Patch, ...], kw_only=True)
    policies: Policies = field(factory=Policies, kw_only=True)
    credentials: Mapping[str, Mapping[str, SecretRef] | SecretRef] = field(
        factory=dict, kw_only=True
    )
    external: Mapping[str, External] = field(factory=dict, kw_only=True)
    protected: bool = field(default=False, kw_only=True)
    preview: Preview = field(factory=Preview, kw_only=True)
    local: Mapping[str, Mapping[str, Any]] = field(factory=dict, kw_only=True)
    origin: Origin = field(factory=Origin, kw_only=True)
    sources: Mapping[str, Origin] = field(factory=dict, kw_only=True, repr=False, eq=False)

    @property
    def isolated(self) -> bool:
        """Whether pods are shut off from all that is not declared."""
        mode = self.policies.network.mode
        return mode == "isolate" or (not mode and self.mode == "independent")
