"""Releases and Bundles in the cluster itself, as ConfigMaps in the stack's home namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects.inventory_id import parent_name
from infometis_sdk.engine.objects.marks import BUNDLE_OF, ROLE, STACK, manager_of
from infometis_sdk.engine.writing.inventory import read_inventory
from infometis_sdk.engine.writing.release import (
    CHUNK,
    joined,
    read_releases,
    release_name,
    release_objects,
    split,
)
from infometis_sdk.errors import (
    ClusterError,
    ConflictError,
    LockedError,
    NotFoundError,
    RefusedError,
    StoreError,
    TamperedError,
    UnreachableError,
)
from infometis_sdk.model.bundle import Bundle
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.release import Release, ReleaseList
from infometis_sdk.ports.cluster import Write
from infometis_sdk.ports.release_store import ReleaseStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infometis_sdk.engine.writing.lease import Writer
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("ClusterReleases",)


class ClusterReleases(ReleaseStore):
    """The Releases of a stack in its own cluster.

    Args:
        cluster: the API.
        stack_id: which stack.
        namespace: its home.
        writer: the session that holds the stack's Lease; without one the store only reads.
        chunk: bytes of one object.

    """

    def __init__(
        self,
        cluster: Cluster,
        stack_id: str,
        namespace: str,
        writer: Writer | None = None,
        *,
        chunk: int = CHUNK,
    ) -> None:
        self._cluster = cluster
        self._stack = stack_id
        self._namespace = namespace
        self._writer = writer
        self._chunk = chunk

    def releases(self, run: Run) -> ReleaseList:
        """Return every Release; see the port."""
        wanted = f"{STACK}={self._stack},{ROLE} in (inventory,release,release-part)"
        try:
            objects = self._cluster.list("v1", "ConfigMap", run, namespace=self._namespace,
                                         labels=wanted)  # fmt: skip
        except ClusterError as error:
            msg = f"the releases of stack {self._stack} cannot be read: {error.message}"
            raise StoreError(msg, hint=error.hint) from error
        found, problems = read_releases(objects)
        number = self._newest(objects)
        if number and all(release.number != number for release in found) and not problems:
            problems = (f"release {number}, the newest, is gone from the cluster",)
        return ReleaseList(stack_id=self._stack, items=found, problems=problems)

    def _newest(self, objects: Sequence[Any]) -> int:
        for obj in objects:
            if obj["metadata"]["name"] == parent_name(self._stack):
                try:
                    return read_inventory(obj, self._stack).release
                except RefusedError:
                    return 0
        return 0

    def bundle(self, release: Release, run: Run) -> Bundle:
        """Return the Bundle of a Release; see the port."""
        thing = f"the bundle of release {release.number} of stack {self._stack}"
        digest = release.bundle_digest
        if not digest:
            msg = f"release {release.number} of stack {self._stack} keeps no bundle"
            raise StoreError(msg, hint="use the file that `infometis bundle build` wrote")
        first = self._part(digest, 0, run)
        if first is None:
            msg = f"{thing} is gone from the cluster"
            raise StoreError(msg, hint="use the file that `infometis bundle build` wrote")
        count = str((first.get("data") or {}).get("parts"))
        if not count.isdecimal():
            raise TamperedError(thing, expected=digest, found="a part that names no number")
        parts = [first, *(self._part(digest, index, run) for index in range(1, int(count)))]
        if None in parts:
            raise TamperedError(thing, expected=digest, found="fewer parts")
        pieces = [str(((part or {}).get("binaryData") or {}).get("record", "")) for part in parts]
        bundle = Bundle.from_bytes(joined(pieces, thing, digest), name=thing)
        if bundle.digest != digest or bundle.id != release.bundle:
            raise TamperedError(thing, expected=digest, found=bundle.digest)
        return bundle

    def _part(self, digest: str, index: int, run: Run) -> Any:  # noqa: ANN401 - an object
        ref = self._ref(_bundle_name(self._stack, digest, index))
        try:
            return self._cluster.get(ref, run)
        except ClusterError as error:
            msg = f"the bundle {digest} of stack {self._stack} cannot be read: {error.message}"
            raise StoreError(msg, hint=error.hint) from error

    def add(self, release: Release, bundle: Bundle | None, run: Run) -> None:
        """Write a new Release and its Bundle; see the port."""
        if bundle is not None:
            for body in self._bundle_objects(bundle):
                try:
                    self._write("create", body, run)
                except ConflictError as error:
                    self._same(body, run, error)
        *parts, head = release_objects(release, self._stack, self._namespace, chunk=self._chunk)
        for body in parts:
            self._write("apply", body, run)
        try:
            self._write("create", head, run)
        except ConflictError as error:
            msg = f"release {release.number} of stack {self._stack} was begun by somebody else"
            raise LockedError(msg, holder="unknown", hint="run the same command again") from error

    def _bundle_objects(self, bundle: Bundle) -> list[dict[str, Any]]:
        pieces = split(bundle.to_bytes(), self._chunk)
        return [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": _bundle_name(self._stack, bundle.digest, index),
                    "namespace": self._namespace,
                    "labels": {
                        BUNDLE_OF: self._stack,
                        ROLE: "bundle",
                        "app.kubernetes.io/managed-by": "infometis-sdk",
                    },
                },
                "immutable": True,
                "data": {"digest": bundle.digest, "parts": str(len(pieces)), "part": str(index)},
                "binaryData": {"record": piece},
            }
            for index, piece in enumerate(pieces)
        ]

    def _same(self, body: dict[str, Any], run: Run, cause: ConflictError) -> None:
        """Make a part anew that is not what its name says."""
        ref = ObjectRef.of(body)
        have = self._cluster.get(ref, run)
        same = ("data", "binaryData")
        if have is not None and all(have.get(key) == body[key] for key in same):
            return
        if have is None or (have["metadata"].get("labels") or {}).get(BUNDLE_OF) != self._stack:
            msg = f"{ref} is there, and is not ours"
            raise StoreError(msg, hint="remove it, or choose another stack_id") from cause
        self._delete(ref, run)
        self._write("create", body, run)

    def save(self, release: Release, run: Run) -> None:
        """Replace what is kept of a Release; see the port."""
        *parts, head = release_objects(release, self._stack, self._namespace, chunk=self._chunk)
        for body in parts:
            self._write("apply", body, run)
        self._write("merge-patch", head, run)

    def remove(self, numbers: Sequence[int], run: Run) -> None:
        """Remove Releases, and what no other one needs; see the port."""
        for number in numbers:
            self._delete(self._ref(release_name(self._stack, number)), run)
        stays = self.releases(run)
        if stays.problems:
            return  # what cannot be read may name anything
        objects = [
            body
            for release in stays.items
            for body in release_objects(release, self._stack, self._namespace, chunk=self._chunk)
        ]
        needed = {body["metadata"]["name"] for body in objects}
        bundles = {_bundle_name(self._stack, r.bundle_digest, 0)[:-2] for r in stays.items}
        for labels in (f"{STACK}={self._stack},{ROLE}=release-part", f"{BUNDLE_OF}={self._stack}"):
            for obj in self._cluster.list("v1", "ConfigMap", run, namespace=self._namespace,
                                          labels=labels, metadata_only=True):  # fmt: skip
                name = obj["metadata"]["name"]
                if name not in needed and name.rpartition("-")[0] not in bundles:
                    self._delete(self._ref(name), run)

    def _ref(self, name: str) -> ObjectRef:
        return ObjectRef(api_version="v1", kind="ConfigMap", namespace=self._namespace, name=name)

    def _delete(self, ref: ObjectRef, run: Run) -> None:
        self._send(Write(verb="delete", ref=ref), run)

    def _write(self, verb: str, body: dict[str, Any], run: Run) -> None:
        write = Write(
            verb=verb,
            ref=ObjectRef.of(body),
            body=body,
            manager=manager_of(self._stack),
            force=verb == "apply",
        )
        self._send(write, run)

    def _send(self, write: Write, run: Run) -> None:
        if self._writer is None:
            msg = f"the releases of stack {self._stack} are open for reading only"
            raise StoreError(msg)
        try:
            self._writer.write(write, run)
        except (ConflictError, UnreachableError):
            raise
        except NotFoundError as error:
            if write.verb == "delete":
                return  # somebody was faster, or we were before we were killed
            msg = f"{write.ref} of stack {self._stack} is gone from the cluster"
            raise StoreError(msg, hint="the next apply records what runs anew") from error
        except ClusterError as error:
            msg = f"a release of stack {self._stack} cannot be kept: {error.message}"
            cure = "make room (quota, etcd), or give us the right to write ConfigMaps"
            raise StoreError(msg, hint=error.hint or cure) from error


def _bundle_name(stack_id: str, digest: str, index: int) -> str:
    return f"infometis-{stack_id}-bundle-{digest.removeprefix('sha256:')[:16]}-{index}"
