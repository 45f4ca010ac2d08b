"""Values between compose and plan: the composed stack and its rendered manifests."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from attrs import field, frozen

from infometis_sdk.model.border import Route
from infometis_sdk.model.environment import Environment
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.model.project import Lock
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.service import Credential, Service

__all__ = (
    "BoundCredential",
    "ComposedService",
    "ComposedStack",
    "Manifest",
    "ManifestSet",
    "Setting",
)


@frozen(kw_only=True)
class Setting:
    """One layer's word on a value."""

    value: Any
    origin: Origin


@frozen(kw_only=True)
class ComposedService:
    """A service with its final values.

    Attributes:
        values: parameter to final value (defaults filled in, quantities canonical).
        history: dotted path below the service (``replicas``, ``config.retention``) to every
            layer's word on it, lowest layer first; the last one won.

    """

    service: Service
    values: Mapping[str, Any]
    history: Mapping[str, tuple[Setting, ...]] = field(factory=dict)

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service.name


@frozen(kw_only=True)
class ComposedStack:
    """One environment of a project, all values final; services in dependency order.

    Attributes:
        stack_id: identity of the stack; manager, inventory and Lease carry it.
        namespace: home namespace.
        routes: how the outside reaches the services; none without a border.
        publisher: who renders the border; ``None`` without one.

    """

    project: str
    environment: Environment
    stack_id: str
    namespace: str
    services: tuple[ComposedService, ...] = field(converter=tuple[ComposedService, ...])
    lock: Lock = Lock()
    routes: tuple[Route, ...] = field(default=(), converter=tuple[Route, ...])
    publisher: Any = field(default=None, eq=False, repr=False)

    def service(self, name: str) -> ComposedService:
        """Return the service of that name.

        Raises:
            KeyError: there is none.

        """
        for composed in self.services:
            if composed.name == name:
                return composed
        raise KeyError(name)


@frozen(kw_only=True)
class Manifest:
    """One Kubernetes object, ready to be applied.

    Attributes:
        object: plain data; never changed after it was made.
        zone: ``core``, ``border`` or ``platform``.
        service: the owning service; empty for what belongs to the stack as a whole.
        origin: template file, or raw manifest.
        singleton: one per cluster (CRD, IngressClass, StorageClass …), in the cluster inventory.
        reads: names of the Secrets of credentials that its pods read.

    """

    object: Mapping[str, Any]
    zone: str = "core"
    service: str = ""
    origin: Origin = Origin()
    singleton: bool = False
    reads: tuple[str, ...] = field(default=(), converter=tuple[str, ...])

    @cached_property
    def ref(self) -> ObjectRef:
        """Name of the object."""
        return ObjectRef.of(self.object)


@frozen(kw_only=True)
class BoundCredential:
    """A credential of a service in one environment: its Secret and the sources of its keys."""

    service: str
    name: str
    secret: str
    credential: Credential
    sources: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class ManifestSet:
    """Everything that one stack wants, in order of application.

    Attributes:
        order: services in dependency order.
        needs: service to the services it needs.
        digests: service to its core digest, ``sha256:…``.
        digest: over the sorted list of them.
        verified: every image is pinned by digest.
        findings: warnings that rendering and validation met.

    """

    stack_id: str
    environment: Environment
    namespace: str
    manifests: tuple[Manifest, ...] = field(converter=tuple[Manifest, ...])
    credentials: tuple[BoundCredential, ...] = field(
        default=(), converter=tuple[BoundCredential, ...]
    )
    order: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    needs: Mapping[str, tuple[str, ...]] = field(factory=dict)
    digests: Mapping[str, str] = field(factory=dict)
    digest: str = ""
    verified: bool = False
    services: Mapping[str, ComposedService] = field(factory=dict, repr=False)
    findings: tuple[Fault, ...] = field(default=(), converter=tuple[Fault, ...])
