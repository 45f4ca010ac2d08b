"""What was asked of the API server, in the words of RBAC and in words for people."""

from __future__ import annotations

from attrs import frozen

from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Resource

__all__ = ("Asked",)

_DOING = {
    "apply": "applying",
    "create": "creating",
    "replace": "replacing",
    "merge-patch": "patching",
    "json-patch": "patching",
    "delete": "deleting",
    "get": "reading",
    "list": "listing",
    "watch": "watching",
}
_RBAC = {"apply": "patch", "replace": "update", "merge-patch": "patch", "json-patch": "patch"}


@frozen(kw_only=True)
class Asked:
    """One question to the API server.

    Attributes:
        verb: as in :class:`~infometis_sdk.ports.cluster.Write`, or ``get``, ``list``, ``watch``.
        resource: the kind; ``None`` where only a path was asked for.
        namespace: where; empty for all, or for cluster-scoped kinds.
        ref: the object, where it was one.
        path: the path, where there is no kind.
        subresource: such as ``scale``.
        dry_run: whether nothing was to be changed.

    """

    verb: str
    resource: Resource | None = None
    namespace: str = ""
    ref: ObjectRef | None = None
    path: str = ""
    subresource: str = ""
    dry_run: bool = False

    @property
    def rbac_verb(self) -> str:
        """The verb as RBAC rules spell it."""
        return _RBAC.get(self.verb, self.verb)

    @property
    def rbac_resource(self) -> str:
        """Plural, group and subresource as ``kubectl auth can-i`` takes them."""
        if self.resource is None:
            return self.path
        group = self.resource.api_version.rpartition("/")[0]
        plural = self.resource.plural + (f".{group}" if group else "")
        return f"{plural}/{self.subresource}" if self.subresource else plural

    @property
    def thing(self) -> str:
        """What it is about, such as ``ConfigMap/a in namespace demo``."""
        if self.resource is None:
            return self.path
        what = str(self.ref) if self.ref else self.resource.plural
        if self.subresource:
            what = f"{what} ({self.subresource})"
        if self.resource.namespaced:
            what = f"{what} in namespace {self.namespace}" if self.namespace else f"all {what}"
        return what

    @property
    def doing(self) -> str:
        """The question as a gerund, such as ``applying ConfigMap/a in namespace demo``."""
        trial = " (dry run)" if self.dry_run else ""
        return f"{_DOING[self.verb]} {self.thing}{trial}"
