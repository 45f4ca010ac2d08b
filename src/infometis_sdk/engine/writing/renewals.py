"""Secrets that follow their sources: certificates, authorities and users of a border.

Credentials of services are made once, since data may hang on them.
What a border shows to the outside hangs on nothing and expires,
so it is written again wherever its source has changed.
A plan knows the change by a keyed hash alone.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from infometis_sdk.engine.objects.marks import SOURCE
from infometis_sdk.engine.writing.credentials import key_of, key_ref, keyed_hash, make
from infometis_sdk.errors import StalePlanError
from infometis_sdk.model.run import Event
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infometis_sdk.engine.reading.live import Live
    from infometis_sdk.engine.writing.job import Job, Materials
    from infometis_sdk.engine.writing.lease import Writer
    from infometis_sdk.model.reference import ObjectRef
    from infometis_sdk.model.stack import BoundCredential

__all__ = ("Given", "changed_sources", "prepare_renewals", "renew", "source_hash")

Given = Mapping[str, Mapping[str, str]]
"""Name of a Secret to the values of its sources."""


def source_hash(key: bytes, values: Mapping[str, str]) -> str:
    """Return a keyed hash over what sources say."""
    parts = [part.encode() for item in sorted(values.items()) for part in item]
    return keyed_hash(key, *parts)


def changed_sources(
    credentials: Iterable[BoundCredential], given: Given, live: Live, namespace: str, key: bytes
) -> dict[str, str]:
    """Return the Secrets that are there and whose sources say something else by now.

    Args:
        credentials: of the stack.
        given: what the sources say; those that cannot be asked here are left out.
        live: what is in the cluster.
        namespace: where the Secrets are.
        key: the stack's HMAC key.

    Returns:
        Name of each Secret to the keyed hash of what its sources say.

    """
    changed = {}
    for bound in credentials:
        found = live.get(_ref(namespace, bound.secret))
        if found is None or bound.secret not in given:
            continue
        wanted = source_hash(key, given[bound.secret])
        if (found["metadata"].get("annotations") or {}).get(SOURCE) != wanted:
            changed[bound.secret] = wanted
    return changed


def prepare_renewals(job: Job, materials: Materials) -> dict[str, Mapping[str, bytes]]:
    """Resolve the sources of what the plan renews, before anything is written.

    Raises:
        SecretError: a source is missing, or its value does not fit.
        StalePlanError: a source says something else than when the plan was made.

    """
    if not job.plan.renewals:
        return {}
    ref = key_ref(job.plan.stack_id, job.plan.namespace)
    key = key_of(job.cluster.get(ref, job.run)) or b""
    made: dict[str, Mapping[str, bytes]] = {}
    for bound in materials.credentials:
        planned = job.plan.renewals.get(bound.secret)
        if planned is None:
            continue
        values = {
            name: materials.resolve(source).reveal() for name, source in bound.sources.items()
        }
        if source_hash(key, values) != planned:
            msg = f"the source of the Secret {bound.secret} changed since the plan was made"
            raise StalePlanError(msg, hint="make the plan again")
        made[bound.secret] = make(bound, job.plan.namespace, materials.resolve)
    return made


def renew(job: Job, writer: Writer, renewed: Mapping[str, Mapping[str, bytes]]) -> None:
    """Write what :func:`prepare_renewals` resolved; a Secret that is gone is made elsewhere."""
    for name, data in renewed.items():
        ref = _ref(job.plan.namespace, name)
        found = job.cluster.get(ref, job.run)
        if found is None:
            continue
        metadata = found["metadata"]
        notes = {**(metadata.get("annotations") or {}), SOURCE: job.plan.renewals[name]}
        body = {
            **found,
            "metadata": {**metadata, "annotations": notes},
            "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
        }
        write = Write(
            verb="replace",
            ref=ref,
            body=body,
            manager="infometis",
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
        )
        writer.write(write, job.run)
        job.run.emit(Event(name="renew secret", subject=name, state="finished"))


def _ref(namespace: str, name: str) -> ObjectRef:
    return attrs.evolve(key_ref("", namespace), name=name)
