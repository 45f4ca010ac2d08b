"""Fill in what a plan refers to and must not hold: credentials, and the values of Secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from infometis_sdk.engine.objects.marks import CREDENTIALS, SOURCE
from infometis_sdk.engine.planning.seal import pod_template, sealed, with_annotation
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.engine.writing.credentials import (
    PENDING,
    SOURCED,
    credential_manifest,
    key_manifest,
    key_of,
    key_ref,
    make,
    reader_hash,
    secret_data,
)
from infometis_sdk.engine.writing.job import REMOVING
from infometis_sdk.engine.writing.renewals import source_hash
from infometis_sdk.errors import ConflictError, SecretError, StalePlanError, UnreachableError
from infometis_sdk.model.run import Event
from infometis_sdk.model.secret import SecretRef
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from infometis_sdk.engine.reading.live import Live
    from infometis_sdk.engine.writing.job import Job, Materials
    from infometis_sdk.engine.writing.lease import Writer
    from infometis_sdk.model.plan import PlanItem
    from infometis_sdk.model.reference import ObjectRef
    from infometis_sdk.model.stack import BoundCredential

__all__ = (
    "Data",
    "Filling",
    "Object",
    "ensure_credentials",
    "payload_of",
    "prepare",
)

Object = Mapping[str, Any]
Data = dict[str, bytes]


@frozen(kw_only=True)
class Filling:
    """What is known once the credentials are there.

    Attributes:
        key: the stack's HMAC key; empty where nothing needed one.
        data: data of each credential's Secret, by its name.

    """

    key: bytes = b""
    data: Mapping[str, Data] = field(factory=dict, repr=False)


def prepare(job: Job, materials: Materials) -> dict[str, Data]:
    """Resolve given sources of Secrets that are still to be made, before anything is written.

    Returns:
        Data by the Secret's name; what is generated anyway is left to :func:`ensure_credentials`.

    Raises:
        SecretError: a source is missing, or its value does not fit.

    """
    given = [b for b in _chosen(job, materials) if any(map(_is_given, b.sources.values()))]
    found = parallel(
        lambda b: job.cluster.get(_ref(job, b), job.run), given, job.run, "looking for credentials"
    )
    return {
        bound.secret: make(bound, job.plan.namespace, materials.resolve)
        for bound, live in zip(given, found, strict=True)
        if live is None
    }


def ensure_credentials(
    job: Job, writer: Writer, materials: Materials, live: Live, prepared: Mapping[str, Data]
) -> Filling:
    """Create what is absent, never touching what is there.

    Raises:
        SecretError: a Secret was made and removed by somebody else in this moment.

    """
    bound = _chosen(job, materials)
    secrets = any(
        item.ref.kind == "Secret" and item.action not in REMOVING for item in job.plan.items
    )
    if not bound and not secrets:
        return Filling()
    ref = key_ref(job.plan.stack_id, job.plan.namespace)
    have = live.get(ref)
    if have is None:
        body = key_manifest(job.plan.stack_id, job.plan.namespace)
        have = _create_once(job, writer, ref, body)
    data: dict[str, Data] = {}
    for one in bound:
        found = live.get(_ref(job, one))
        if found is None:
            values = prepared.get(one.secret) or make(one, job.plan.namespace, materials.resolve)
            body = credential_manifest(one, job.plan.stack_id, job.plan.namespace, values)
            if one.credential.type in SOURCED:
                said = {name: materials.resolve(ref).reveal() for name, ref in one.sources.items()}
                notes = body["metadata"].setdefault("annotations", {})
                notes[SOURCE] = source_hash(key_of(have) or b"", said)
            found = _create_once(job, writer, _ref(job, one), body)
            name = f"{one.service}.{one.name}"
            job.run.emit(Event(name="credential", subject=name, state="finished"))
        data[one.secret] = secret_data(found)
    return Filling(key=key_of(have) or b"", data=data)


def payload_of(item: PlanItem, materials: Materials, filling: Filling) -> Object:
    """Return what is sent: the planned payload, with secret values and the readers' hash put in.

    Raises:
        StalePlanError: a value is not the one that the plan rests on.

    """
    if item.action in REMOVING or item.action == "resize":
        return item.payload
    if item.ref.kind == "Secret":
        return _secret(item, materials, filling)
    if not item.reads:
        return item.payload
    found = {name: filling.data[name] for name in item.reads if name in filling.data}
    value = reader_hash(filling.key, found)
    if _annotation(item.payload) not in (PENDING, value):
        msg = f"a credential that {item.ref} reads changed since the plan was made"
        raise StalePlanError(msg, moved=(item.ref,), hint="make the plan again")
    return with_annotation(item.payload, CREDENTIALS, value)


def _secret(item: PlanItem, materials: Materials, filling: Filling) -> Object:
    actual = materials.secrets[item.ref.key]
    planned = (item.payload.get("data") or {}).values()
    keyed = any(v.startswith("hmac:") and v != "hmac:unkeyed" for v in planned)
    if keyed and sealed(actual, filling.key) != item.payload:
        msg = f"the values of {item.ref} are not those that were planned"
        raise StalePlanError(msg, moved=(item.ref,), hint="make the plan again")
    return actual


def _annotation(payload: Object) -> str:
    node: Any = payload
    for step in (*(pod_template(payload["kind"]) or ()), "metadata", "annotations", CREDENTIALS):
        node = (node or {}).get(step)
    return node or PENDING


def _chosen(job: Job, materials: Materials) -> list[BoundCredential]:
    """Return the credentials of the services in scope, and those of others that they read."""
    scope = job.plan.scope
    read = {name for item in job.plan.items for name in item.reads}
    return [b for b in materials.credentials if not scope or b.service in scope or b.secret in read]


def _is_given(ref: Any) -> bool:  # noqa: ANN401 - a SecretRef
    return isinstance(ref, SecretRef) and ref.scheme != "generated"


def _ref(job: Job, bound: BoundCredential) -> ObjectRef:
    key = key_ref(job.plan.stack_id, job.plan.namespace)
    return attrs.evolve(key, name=bound.secret)


def _create_once(job: Job, writer: Writer, ref: ObjectRef, body: Object) -> Object:
    try:
        write = Write(verb="create", ref=ref, body=body, manager="infometis")
        return writer.write(write, job.run).object
    except ConflictError:
        pass
    except UnreachableError:
        # Whether it was made is not known; if so, its value counts and ours is forgotten.
        if job.cluster.get(ref, job.run) is None:
            raise
    found = job.cluster.get(ref, job.run)
    if found is None:
        msg = f"{ref} was made and removed by somebody else in this moment"
        raise SecretError(msg, reference=ref.name, hint="run the same command again") from None
    return found
