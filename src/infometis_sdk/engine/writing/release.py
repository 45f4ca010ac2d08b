"""Releases as objects of the cluster, and what they say of what runs.

A Release is a ConfigMap in the stack's home namespace: compressed, with the digest of what it says.
One that outgrows an object is split; its parts carry the digest in their names,
so that a write that stops halfway leaves the old Release whole.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects.marks import ROLE, STACK
from infometis_sdk.errors import TamperedError
from infometis_sdk.model.canonical import canonical_json, sha256_of
from infometis_sdk.model.release import FORMAT, Release, ServiceRecord

if TYPE_CHECKING:
    from infometis_sdk.model.stack import ManifestSet

__all__ = (
    "CHUNK",
    "KEPT",
    "Object",
    "joined",
    "latest",
    "outdated",
    "read_releases",
    "record_digest",
    "records_of",
    "release_name",
    "release_objects",
    "split",
)

Object = Mapping[str, Any]

KEPT = 10
"""Releases that stay in the cluster, besides those that alone tell of a service."""

CHUNK = 768 * 1024
"""Bytes of one object: the API server takes 1 MiB of data in a ConfigMap, names and keys with it.

Source: https://kubernetes.io/docs/concepts/configuration/configmap/
"""


def records_of(manifests: ManifestSet, only: Iterable[str] = ()) -> dict[str, ServiceRecord]:
    """Return what a Release says of the services of a render; limited to ``only`` where given."""
    chosen = set(only)
    return {
        name: ServiceRecord(
            version=composed.service.version,
            digest=manifests.digests.get(name, ""),
            values=dict(composed.values),
            origins={path: words[-1].origin for path, words in composed.history.items() if words},
        )
        for name, composed in manifests.services.items()
        if not chosen or name in chosen
    }


def record_digest(services: Mapping[str, ServiceRecord]) -> str:
    """Return one digest over version, core and values of every service."""
    told = {name: [r.version, r.digest, r.values] for name, r in services.items()}
    return sha256_of(canonical_json(told))


def release_name(stack_id: str, number: int) -> str:
    """Return the name of a Release's object; the number makes a race of two writers a conflict."""
    return f"infometis-{stack_id}-release-{number}"


def split(data: bytes, chunk: int = CHUNK) -> list[str]:
    """Compress, cut into pieces that objects can hold, and encode each as ConfigMaps want it."""
    packed = zlib.compress(data, 9)
    pieces = [packed[start : start + chunk] for start in range(0, len(packed), chunk)]
    return [base64.b64encode(piece).decode() for piece in pieces]


def joined(pieces: Iterable[str], name: str, digest: str) -> bytes:
    """Put the pieces together again.

    Raises:
        TamperedError: they are not what was written.

    """
    try:
        packed = b"".join(base64.b64decode(piece, validate=True) for piece in pieces)
        return zlib.decompress(packed)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise TamperedError(name, expected=digest, found="nothing that can be read") from error


def release_objects(
    release: Release, stack_id: str, namespace: str, *, chunk: int = CHUNK
) -> list[dict[str, Any]]:
    """Return the objects that hold a Release, the one that makes it a Release last."""
    name, digest = release_name(stack_id, release.number), release.digest
    pieces = split(release.to_bytes(), chunk)
    labels = {STACK: stack_id, "app.kubernetes.io/managed-by": "infometis-sdk"}
    head = {
        "format": FORMAT,
        "number": str(release.number),
        "status": release.status,
        "digest": digest,
        "parts": str(len(pieces)),
        # For people with kubectl; what counts is inside.
        "bundle": release.bundle,
        "time": release.time,
        "actor": release.actor,
    }
    parts = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": _part_name(name, digest, index),
                "namespace": namespace,
                "labels": {**labels, ROLE: "release-part"},
            },
            "binaryData": {"record": piece},
        }
        for index, piece in enumerate(pieces[1:], 1)
    ]
    return [
        *parts,
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {**labels, ROLE: "release"},
            },
            "data": head,
            "binaryData": {"record": pieces[0]},
        },
    ]


def _part_name(name: str, digest: str, index: int) -> str:
    return f"{name}-{digest.removeprefix('sha256:')[:12]}-{index}"


def read_releases(objects: Iterable[Object]) -> tuple[tuple[Release, ...], tuple[str, ...]]:
    """Return the Releases among ConfigMaps, oldest first, and what is wrong with others.

    Each is checked against its recorded digest, its object's name and its own words;
    what is not exactly what was written is no Release any more.
    """
    roles: dict[str, dict[str, Object]] = {"release": {}, "release-part": {}}
    for obj in objects:
        meta = obj.get("metadata") or {}
        role = (meta.get("labels") or {}).get(ROLE)
        if role in roles:
            roles[role][meta.get("name", "")] = obj
    found, problems = [], []
    for name, obj in roles["release"].items():
        try:
            found.append(_read(name, obj, roles["release-part"]))
        except TamperedError as error:
            space = obj["metadata"].get("namespace", "")
            problems.append(
                f"{error.message}; restore ConfigMap/{name} in namespace {space}, or delete it if "
                "rules that rest on it, such as never shrinking a volume, may be forgotten"
            )
    return tuple(sorted(found, key=lambda release: release.number)), tuple(sorted(problems))


def _read(name: str, obj: Object, parts: Mapping[str, Object]) -> Release:
    data = obj.get("data") or {}
    stack = obj["metadata"]["labels"].get(STACK, "")
    thing = f"release {data.get('number')} of stack {stack}"
    if data.get("format") != FORMAT:
        raise TamperedError(thing, expected=FORMAT, found=str(data.get("format")))
    digest, count = str(data.get("digest")), str(data.get("parts"))
    names = (
        [_part_name(name, digest, index) for index in range(1, int(count))]
        if (count.isdecimal())
        else [""]
    )
    lacking = next((part for part in names if part not in parts), None)
    if lacking is not None:
        raise TamperedError(thing, expected=digest, found=f"no ConfigMap/{lacking}")
    holders = [obj, *(parts[part] for part in names)]
    pieces = [str((holder.get("binaryData") or {}).get("record", "")) for holder in holders]
    release = Release.from_bytes(joined(pieces, thing, digest), digest, name=thing)
    said = (str(data.get("number")), data.get("status"), name)
    kept = (str(release.number), release.status, release_name(stack, release.number))
    if said != kept or release.stack_id not in ("", stack):
        raise TamperedError(thing, expected=" ".join(kept), found=" ".join(map(str, said)))
    return release


def latest(releases: Iterable[Release]) -> dict[str, ServiceRecord]:
    """Return what is known to run: for each service the newest record, failed applies included.

    A failed or interrupted apply may have changed the service, so its word counts:
    that is the safe side for rules such as *never shrink*.
    """
    known: dict[str, ServiceRecord] = {}
    for release in releases:
        known.update(release.services)
    return known


def outdated(releases: Sequence[Release], kept: int = KEPT) -> tuple[Release, ...]:
    """Return the Releases that may go, oldest first.

    The newest ones stay, those that are deployed, and each that is the last word on a service:
    rules such as *never shrink* hold for a service whose volumes are still there.

    Args:
        releases: all of a stack.
        kept: how many of the newest stay.

    """
    known = sorted(releases, key=lambda release: release.number)
    stay = {release.number for release in known[-max(kept, 1) :]}
    stay |= {release.number for release in known if release.status == "deployed"}
    stay |= set({name: release.number for release in known for name in release.services}.values())
    return tuple(release for release in known if release.number not in stay)
