"""Release: the numbered record of one deployment, pending before the first write.

A Release is a ConfigMap in the stack's home namespace.
It holds versions, values and digests, and no secret:
values of credentials are no parameters and never enter it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.engine.objects.marks import ROLE, STACK

if TYPE_CHECKING:
    from infometis_sdk.model.stack import ManifestSet

__all__ = (
    "FORMAT",
    "KEPT",
    "Release",
    "ServiceRecord",
    "latest",
    "outdated",
    "read_releases",
    "records_of",
    "release_manifest",
    "release_name",
)

FORMAT = "infometis.io/release/v1"

KEPT = 10
"""Releases that stay in the cluster, besides those that alone tell of a service."""


@frozen(kw_only=True)
class ServiceRecord:
    """What was deployed of one service: enough to see what a change would do to it."""

    version: str
    digest: str = ""
    values: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Release:
    """One deployment.

    Attributes:
        number: counted from 1, without gaps in one stack.
        status: ``pending``, ``deployed``, ``failed`` or ``superseded``.
        plan: digest of the plan.
        core: core digest of the stack.
        actor: who deployed, as ``user@host``.
        time: start, UTC, by our clock.
        services: by name.
    """

    number: int
    status: str
    plan: str = ""
    core: str = ""
    actor: str = ""
    time: str = ""
    sdk: str = ""
    services: Mapping[str, ServiceRecord] = field(factory=dict)


def records_of(manifests: ManifestSet, only: Iterable[str] = ()) -> dict[str, ServiceRecord]:
    """Return what a Release says of the services of a render; limited to ``only`` where given."""
    chosen = set(only)
    return {
        name: ServiceRecord(
            version=composed.service.version,
            digest=manifests.digests.get(name, ""),
            values=dict(composed.values),
        )
        for name, composed in manifests.services.items()
        if not chosen or name in chosen
    }


def release_name(stack_id: str, number: int) -> str:
    """Return the name of a Release's object; the number makes a race of two writers a conflict."""
    return f"infometis-{stack_id}-release-{number}"


def release_manifest(release: Release, stack_id: str, namespace: str) -> dict[str, Any]:
    """Return the object that holds a Release."""
    data = {
        "format": FORMAT,
        "number": str(release.number),
        "status": release.status,
        "plan": release.plan,
        "core": release.core,
        "actor": release.actor,
        "time": release.time,
        "sdk": release.sdk,
        "services": json.dumps(
            {
                name: {"version": r.version, "digest": r.digest, "values": dict(r.values)}
                for name, r in release.services.items()
            },
            sort_keys=True,
            separators=(",", ":"),
        ),
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": release_name(stack_id, release.number),
            "namespace": namespace,
            "labels": {
                STACK: stack_id,
                ROLE: "release",
                "app.kubernetes.io/managed-by": "infometis-sdk",
            },
        },
        "data": data,
    }


def read_releases(objects: Iterable[Mapping[str, Any]]) -> tuple[Release, ...]:
    """Return the Releases among ConfigMaps, oldest first; what is not one is passed over."""
    found = []
    for obj in objects:
        if ((obj.get("metadata") or {}).get("labels") or {}).get(ROLE) != "release":
            continue
        data = obj.get("data") or {}
        if data.get("format") != FORMAT:
            continue
        found.append(
            Release(
                number=int(data["number"]),
                status=data.get("status", ""),
                plan=data.get("plan", ""),
                core=data.get("core", ""),
                actor=data.get("actor", ""),
                time=data.get("time", ""),
                sdk=data.get("sdk", ""),
                services={
                    name: ServiceRecord(
                        version=r.get("version", "0"),
                        digest=r.get("digest", ""),
                        values=r.get("values", {}),
                    )
                    for name, r in json.loads(data.get("services", "{}")).items()
                },
            )
        )
    return tuple(sorted(found, key=lambda release: release.number))


def latest(releases: Iterable[Release]) -> dict[str, ServiceRecord]:
    """Return what is known to run: for each service the newest record, failed applies included.

    A failed or interrupted apply may have changed the service, so its word counts:
    that is the safe side for rules such as *never shrink*.
    """
    known: dict[str, ServiceRecord] = {}
    for release in releases:
        known.update(release.services)
    return known


def outdated(releases: Iterable[Release]) -> tuple[Release, ...]:
    """Return the Releases that may go, oldest first.

    The newest ones stay, those that are deployed, and each that is the last word on a service:
    rules such as *never shrink* hold for a service whose volumes are still there.
    """
    known = sorted(releases, key=lambda release: release.number)
    stay = {release.number for release in known[-KEPT:]}
    stay |= {release.number for release in known if release.status == "deployed"}
    stay |= set({name: release.number for release in known for name in release.services}.values())
    return tuple(release for release in known if release.number not in stay)
