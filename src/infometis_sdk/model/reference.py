"""The name of one Kubernetes object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("ObjectRef",)


@frozen(kw_only=True, order=True)
class ObjectRef:
    """Which object: API version, kind, namespace (empty when cluster-scoped) and name.

    Example:
        >>> str(ObjectRef(api_version="v1", kind="Service", namespace="demo", name="kafka"))
        'Service/kafka'

    """

    api_version: str
    kind: str
    namespace: str = ""
    name: str

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> ObjectRef:
        """Return the reference of a Kubernetes object given as plain data."""
        meta = obj.get("metadata") or {}
        return cls(
            api_version=obj["apiVersion"],
            kind=obj["kind"],
            namespace=meta.get("namespace") or "",
            name=meta["name"],
        )

    @property
    def group(self) -> str:
        """API group, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def group_kind(self) -> str:
        """``Kind.group`` as KEP-3659 writes it; only ``Kind`` for the core group."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Identity without the version: an object served by two versions is one object."""
        return (self.group, self.kind, self.namespace, self.name)

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"
