"""The port to a Kubernetes API: the one door; raw objects in, raw objects out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.model.reference import ObjectRef

if TYPE_CHECKING:
    from infometis_sdk.model.run import Run

__all__ = ("Cluster", "Resource", "WatchEvent", "Write", "Written")


@frozen(kw_only=True)
class Resource:
    """A kind as the API server serves it."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the URL path of a collection or an object.

        Example:
            >>> pod = Resource(api_version="v1", kind="Pod", plural="pods", namespaced=True)
            >>> pod.path("a", "b")
            '/api/v1/namespaces/a/pods/b'

        """
        root = (
            f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        )
        where = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        tail = f"/{name}" if name else ""
        return f"{root}{where}/{self.plural}{tail}"


@frozen(kw_only=True)
class Write:
    """One write.

    Attributes:
        verb: ``apply`` (server-side apply), ``create``, ``replace``, ``merge-patch``,
            ``json-patch`` or ``delete``.
        ref: the object.
        body: the object, or the patch; ``None`` for ``delete``.
        manager: field manager.
        force: take over conflicting fields (``apply``).
        dry_run: ask what would happen, change nothing.
        subresource: such as ``status`` or ``scale``.
        uid, resource_version: preconditions; the write fails with ConflictError if they moved.
        propagation: ``Foreground``, ``Background`` or ``Orphan`` (``delete``).

    """

    verb: str
    ref: ObjectRef
    body: Mapping[str, Any] | list[Any] | None = None
    manager: str = ""
    force: bool = False
    dry_run: bool = False
    subresource: str = ""
    uid: str = ""
    resource_version: str = ""
    propagation: str = ""


@frozen(kw_only=True)
class Written:
    """The API server's answer to a write.

    Attributes:
        object: the object as it is now; a ``Status`` after some deletions.
        created: true where the object did not exist before (HTTP 201).
        warnings: ``Warning`` headers.

    """

    object: Mapping[str, Any]
    created: bool = False
    warnings: tuple[str, ...] = field(default=(), converter=tuple[str, ...])


@frozen(kw_only=True)
class WatchEvent:
    """One event of a watch.

    Attributes:
        type: ``ADDED``, ``MODIFIED`` or ``DELETED``;
            ``SYNCED`` when all that is there has been told as ``ADDED``;
            ``RELIST`` before all is told anew: what is not told again until the next ``SYNCED``
            is gone.
        object: the object; empty for ``SYNCED`` and ``RELIST``.

    """

    type: str
    object: Mapping[str, Any]


class Cluster(ABC):
    """A Kubernetes API; safe to share between threads.

    Every method raises the typed errors below ``ClusterError``,
    retries 429, 5xx and dropped connections with backoff where the request is idempotent,
    and gives up when ``run`` has no time left.
    """

    @abstractmethod
    def resource(self, api_version: str, kind: str, run: Run) -> Resource:
        """Return how a kind is served; without a request for the built-in kinds.

        Raises:
            UnknownKindError: the API server serves no such kind.

        """

    def learn(self, definition: Mapping[str, Any]) -> None:
        """Be told of a CustomResourceDefinition, so that its kinds need no discovery; optional."""
        del definition

    @abstractmethod
    def list(
        self,
        api_version: str,
        kind: str,
        run: Run,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
    ) -> tuple[Mapping[str, Any], ...]:
        """Return all objects of a kind, with ``apiVersion`` and ``kind``; one request a page."""

    @abstractmethod
    def get(self, ref: ObjectRef, run: Run) -> Mapping[str, Any] | None:
        """Return one object, or ``None`` where there is none (or its kind is not served)."""

    @abstractmethod
    def write(self, write: Write, run: Run) -> Written:
        """Change one object; strict field validation for all but deletions."""

    @abstractmethod
    def watch(
        self, api_version: str, kind: str, run: Run, *, namespace: str = "", labels: str = ""
    ) -> Iterator[WatchEvent]:
        """Yield what is there, ``SYNCED``, then every change, until the run ends.

        Survives closed connections; after 410 all is told anew, beginning with ``RELIST``.
        """

    @abstractmethod
    def read(self, path: str, run: Run, *, params: Mapping[str, str] | None = None) -> str:
        """Return the text at a path, such as ``/version``, a pod's log or a service proxy."""
