"""Fill in what a plan refers to and must not hold: credentials, and the values of Secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field

from infometis_sdk.engine.credentials import (
    PENDING,
    Resolver,
    credential_manifest,
    key_manifest,
    key_of,
    key_ref,
    make,
    reader_hash,
    secret_data,
)
from infometis_sdk.engine.marks import CREDENTIALS
from infometis_sdk.engine.release import ServiceRecord
from infometis_sdk.engine.seal import pod_template, sealed, with_annotation
from infometis_sdk.engine.waves import REMOVING
from infometis_sdk.errors import ConflictError, SecretError, StalePlanError
from infometis_sdk.model.run import Event, Run
from infometis_sdk.model.stack import BoundCredential
from infometis_sdk.ports.cluster import Cluster, Write

if TYPE_CHECKING:
    from infometis_sdk.engine.lease import Writer
    from infometis_sdk.engine.live import Live
    from infometis_sdk.model.plan import Plan, PlanItem
    from infometis_sdk.model.reference import ObjectRef

__all__ = ("Materials", "ensure_credentials", "payload_of")

Object = Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Materials:
    """What a plan refers to and must not hold.

    Attributes:
        credentials: the stack's credentials.
        resolve: turns a secret reference into its value.
        secrets: Secrets among the manifests, by :attr:`ObjectRef.key`; a plan holds only their hashes.
        services: what the Release says of the services.
        sdk_version: for inventory and Release.
    """

    credentials: tuple[BoundCredential, ...] = field(default=(), converter=tuple[BoundCredential, ...])
    resolve: Resolver
    secrets: Mapping[tuple[str, str, str, str], Object] = field(factory=dict)
    services: Mapping[str, ServiceRecord] = field(factory=dict)
    sdk_version: str = ""


def ensure_credentials(
    cluster: Cluster,
    writer: Writer,
    plan: Plan,
    materials: Materials,
    live: Live,
    run: Run,
) -> Mapping[str, dict[str, bytes]]:
    """Create what is absent and return the data of every credential's Secret, and the key as ``""``."""
    scope = set(plan.scope)
    bound = [b for b in materials.credentials if not scope or b.service in scope]
    if not bound:
        return {}
    key = key_ref(plan.stack_id, plan.namespace)
    have = live.get(key)
    if have is None:
        have = _create_once(cluster, writer, key, key_manifest(plan.stack_id, plan.namespace), run)
    data: dict[str, dict[str, bytes]] = {"": {"hmac": key_of(have) or b""}}
    missing: list[tuple[BoundCredential, ObjectRef, dict[str, bytes]]] = []
    for one in bound:
        ref = attrs.evolve(key, name=one.secret)
        found = live.get(ref)
        if found is None:
            # Resolved before the first of them is written, so that a missing source changes nothing.
            missing.append((one, ref, make(one, plan.namespace, materials.resolve)))
        else:
            data[one.secret] = secret_data(found)
    for one, ref, values in missing:
        body = credential_manifest(one, plan.stack_id, plan.namespace, values)
        data[one.secret] = secret_data(_create_once(cluster, writer, ref, body, run))
        run.emit(Event(name="credential", subject=f"{one.service}.{one.name}", state="finished"))
    return data


def _create_once(
    cluster: Cluster, writer: Writer, ref: ObjectRef, body: Object, run: Run
) -> Object:
    try:
        return writer.write(
            Write(verb="create", ref=ref, body=body, manager="infometis"), run
        ).object
    except ConflictError:
        found = cluster.get(ref, run)
        if found is None:
            msg = f"{ref} was made and removed by somebody else in this moment"
            raise SecretError(msg, reference=ref.name, hint="run the same command again") from None
        return found


def payload_of(
    item: PlanItem,
    materials: Materials,
    hashes: Mapping[str, dict[str, bytes]],
    plan: Plan,
) -> Object:
    """Return what is sent: the planned payload, with secret values and the readers' hash put in."""
    if item.action in REMOVING or item.action == "resize":
        return item.payload
    if item.ref.kind == "Secret":
        actual = materials.secrets[item.ref.key]
        key = hashes.get("", {}).get("hmac")
        planned = item.payload.get("data") or {}
        if (
            key
            and any(v.startswith("hmac:") and v != "hmac:unkeyed" for v in planned.values())
            and (sealed(actual, key) != item.payload)
        ):
            msg = f"the values of {item.ref} are not those that were planned"
            raise StalePlanError(msg, moved=(item.ref,), hint="make the plan again")
        return actual
    if not item.reads:
        return item.payload
    found = {name: hashes[name] for name in item.reads if name in hashes}
    key = hashes.get("", {}).get("hmac", b"")
    value = reader_hash(key, found)
    planned = _annotation(item.payload)
    if planned not in (PENDING, value):
        msg = f"a credential that {item.ref} reads changed since the plan was made"
        raise StalePlanError(msg, moved=(item.ref,), hint="make the plan again")
    del plan
    return with_annotation(item.payload, CREDENTIALS, value)


def _annotation(payload: Object) -> str:
    node: Any = payload
    for step in (*(pod_template(payload["kind"]) or ()), "metadata", "annotations", CREDENTIALS):
        node = (node or {}).get(step)
    return node or PENDING
