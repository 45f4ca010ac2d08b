"""What a stack wants, kept small: each object as compressed JSON until it is asked for."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

import attrs
from attrs import frozen

from infometis_sdk.engine.objects.inventory_id import cluster_applyset_id
from infometis_sdk.engine.objects.marks import PART_OF, STACK
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.stack import ComposedService, Manifest, ManifestSet

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ("Key", "Source", "Wanted")

Key = tuple[str, str, str, str]
_SCALER = "HorizontalPodAutoscaler"


@frozen(kw_only=True)
class Source:
    """One collection that is watched: a kind in a namespace, limited to what carries our label."""

    api_version: str
    kind: str
    namespace: str
    labels: str

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.kind}{where}"


@frozen
class _Packed:
    version: str
    service: str
    zone: str
    singleton: bool
    reads: tuple[str, ...]
    body: bytes


class Wanted:
    """The manifests of a stack by their key.

    Args:
        manifests: what is desired; not kept.

    """

    def __init__(self, manifests: ManifestSet) -> None:
        keep = attrs.evolve(
            manifests,
            manifests=tuple(m for m in manifests.manifests if m.ref.kind == _SCALER),
            services={name: _bare(one) for name, one in manifests.services.items()},
        )
        self.stack = keep
        """The stack with nothing but its autoscalers."""
        self._packed = {m.ref.key: _pack(m) for m in manifests.manifests}
        self._sources = {m.ref.key: _source(m, manifests.stack_id) for m in manifests.manifests}
        unique = {source: source for source in self._sources.values()}
        self._sources = {key: unique[source] for key, source in self._sources.items()}
        self.sources = frozenset(unique)
        """What is to be watched."""

    def __len__(self) -> int:
        return len(self._packed)

    @property
    def keys(self) -> Collection[Key]:
        """The keys of all objects."""
        return self._packed.keys()

    def of(self, source: Source) -> set[Key]:
        """Return the keys of the objects that a watch has to tell of."""
        return {key for key, found in self._sources.items() if found is source or found == source}

    def ref(self, key: Key) -> ObjectRef:
        """Return the name of an object."""
        _, kind, namespace, name = key
        version = self._packed[key].version
        return ObjectRef(api_version=version, kind=kind, namespace=namespace, name=name)

    def manifest(self, key: Key) -> Manifest:
        """Unpack one object."""
        packed = self._packed[key]
        return Manifest(
            object=json.loads(zlib.decompress(packed.body)),
            zone=packed.zone,
            service=packed.service,
            singleton=packed.singleton,
            reads=packed.reads,
        )

    def only(self, keys: Iterable[Key]) -> ManifestSet:
        """Return the stack limited to some objects."""
        return attrs.evolve(self.stack, manifests=tuple(self.manifest(key) for key in keys))

    def readers(self, secret: str) -> tuple[Key, ...]:
        """Return the workloads that read a credential's Secret."""
        return tuple(key for key, packed in self._packed.items() if secret in packed.reads)


def _bare(composed: ComposedService) -> ComposedService:
    """Return a service with its values, and without what was rendered long ago."""
    bare = attrs.evolve(
        composed.service, templates={}, files={}, manifests=(), origins=(), lines={}
    )
    return attrs.evolve(composed, service=bare, history={})


def _pack(manifest: Manifest) -> _Packed:
    text = json.dumps(manifest.object, separators=(",", ":"), ensure_ascii=False)
    return _Packed(
        manifest.ref.api_version,
        manifest.service,
        manifest.zone,
        manifest.singleton,
        manifest.reads,
        zlib.compress(text.encode("utf-8", "surrogatepass"), 1),
    )


def _source(manifest: Manifest, stack_id: str) -> Source:
    shared = f"{PART_OF}={cluster_applyset_id()}"
    return Source(
        api_version=manifest.ref.api_version,
        kind=manifest.ref.kind,
        namespace=manifest.ref.namespace,
        labels=shared if manifest.singleton else f"{STACK}={stack_id}",
    )
