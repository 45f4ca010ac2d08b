"""Plan -> ApplyReport: the only writer.

The order of things is what makes a crash at any point harmless:
the home namespace, the Lease, the pending Release, the inventory (written ahead),
the credentials (created if absent), the objects in stages, the deletions,
the inventory (shrunk) and the Release's end.
Every step may be repeated: kill it anywhere, run it again.
"""

from __future__ import annotations

import datetime
import getpass
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs
from attrs import define, field

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
from infometis_sdk.engine.established import wait_established
from infometis_sdk.engine.fingerprint import fingerprint
from infometis_sdk.engine.inventory import Inventory, inventory_manifest, kinds_of
from infometis_sdk.engine.inventory_id import (
    CLUSTER_NAMESPACE,
    CLUSTER_PARENT,
    cluster_applyset_id,
)
from infometis_sdk.engine.lease import Writer
from infometis_sdk.engine.live import Live, observe
from infometis_sdk.engine.marks import CREDENTIALS, manager_of
from infometis_sdk.engine.order import apply_rank, delete_rank
from infometis_sdk.engine.parallel import parallel
from infometis_sdk.engine.perform import perform
from infometis_sdk.engine.plan import cluster_uid, digest_of
from infometis_sdk.engine.release import (
    KEPT,
    Release,
    ServiceRecord,
    read_releases,
    release_manifest,
    release_name,
)
from infometis_sdk.engine.seal import pod_template, sealed, with_annotation
from infometis_sdk.errors import (
    ApplyError,
    ClusterError,
    ConflictError,
    InfometisError,
    LockedError,
    PlanRefusedError,
    SecretError,
    StalePlanError,
    WrongClusterError,
)
from infometis_sdk.model.plan import Plan, PlanItem
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.report import ApplyReport, Outcome
from infometis_sdk.model.run import Event, Run
from infometis_sdk.model.stack import BoundCredential
from infometis_sdk.ports.cluster import Cluster, Write

__all__ = ("Materials", "apply", "await_gone", "waves")

Object = Mapping[str, Any]
Gate = Callable[[Sequence[str]], None]

_REMOVING = frozenset({"delete", "release"})


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

    credentials: tuple[BoundCredential, ...] = field(default=(), converter=tuple)
    resolve: Resolver
    secrets: Mapping[tuple[str, str, str, str], Object] = field(factory=dict)
    services: Mapping[str, ServiceRecord] = field(factory=dict)
    sdk_version: str = ""


@define
class _State:
    """What one apply knows while it runs."""

    outcomes: list[Outcome] = field(factory=list)
    failed_services: set[str] = field(factory=set)
    warnings: list[str] = field(factory=list)
    release: Release | None = None


def apply(  # noqa: PLR0913 - every argument is a decision of the caller
    cluster: Cluster,
    plan: Plan,
    materials: Materials,
    run: Run,
    *,
    confirm: str = "",
    gate: Gate | None = None,
    before: Callable[[Plan], None] | None = None,
) -> ApplyReport:
    """Do what the plan says, exactly, or refuse.

    Args:
        cluster: the API.
        plan: from :func:`infometis_sdk.engine.plan.plan`, in this process or from a file.
        materials: what the plan refers to.
        run: deadline, events, cancel token.
        confirm: the plan's digest, where circuit breakers demand it.
        gate: called between two stages of a first install with the services that must be ready;
            the Lease is given back meanwhile.
        before: told of the plan after every refusal has been decided.

    Raises:
        PlanRefusedError: the plan is blocked, or not confirmed.
        StalePlanError: the plan was edited, or the cluster moved.
        WrongClusterError: this is another cluster.
        LockedError: another writer holds the stack, or took it.
        ApplyError: some objects were not applied; ``.report`` says which.

    """
    begun = time.monotonic()
    _refuse(plan, confirm)
    _same_cluster(cluster, plan, run)
    _check_materials(plan, materials)
    if before:
        before(plan)
    state = _State()
    if plan.empty:
        return _report(plan, state, begun)
    _home(cluster, plan, state, run)
    stages = _stages(plan)
    for number, stage in enumerate(stages):
        first, last = number == 0, number == len(stages) - 1
        with Writer(cluster, plan.stack_id, plan.namespace, run) as writer:
            try:
                _stage(cluster, writer, plan, materials, stage, state, run, first=first, last=last)
            except InfometisError:
                _close(cluster, writer, plan, state, "failed")
                raise
        if state.failed_services and not last:
            _skip(stages[number + 1 :], state)
            with Writer(cluster, plan.stack_id, plan.namespace, run) as writer:
                _close(cluster, writer, plan, state, "failed")
            break
        if not last and gate:
            ready_first = _gates(stages[number + 1], stage)
            if ready_first:
                gate(ready_first)
    report = _report(plan, state, begun)
    if report.failed:
        count = len(report.failed)
        msg = f"{count} of {len(report.outcomes)} objects were not applied: " + "; ".join(
            f"{o.ref}: {o.detail}" for o in report.failed[:5]
        )
        raise ApplyError(msg, report=report, hint="mend the cause and run the same command again")
    return report


def _refuse(plan: Plan, confirm: str) -> None:
    if digest_of(plan) != plan.digest:
        msg = "the plan was changed after it was made: its digest does not fit"
        raise StalePlanError(msg, hint="make the plan again")
    if plan.blocked:
        lines = "\n".join(f"  - {reason}" for reason in plan.blocked)
        msg = f"the plan for {plan.environment} may not be applied:\n{lines}"
        raise PlanRefusedError(msg, plan=plan, hint="see `infometis plan`; nothing was changed")
    if plan.confirm and confirm != plan.digest:
        msg = f"the plan needs confirmation: {plan.confirm}"
        raise PlanRefusedError(
            msg, plan=plan, hint=f"look at it, then repeat with --confirm {plan.digest}"
        )


def _same_cluster(cluster: Cluster, plan: Plan, run: Run) -> None:
    if plan.empty or not plan.cluster_uid:
        return
    actual = cluster_uid(cluster, run)
    if actual != plan.cluster_uid:
        msg = f"the plan was made for cluster {plan.cluster_uid}, this is {actual or 'unknown'}"
        raise WrongClusterError(msg, hint="set the kubeconfig or its context right, or plan again")


def _check_materials(plan: Plan, materials: Materials) -> None:
    """Refuse before the first write what would be missing in the middle."""
    for item in plan.items:
        if item.ref.kind == "Secret" and item.action not in _REMOVING:
            known = materials.secrets.get(item.ref.key)
            if known is None:
                msg = f"the plan applies {item.ref}, but the project no longer renders it"
                raise StalePlanError(msg, moved=(item.ref,), hint="make the plan again")


def _home(cluster: Cluster, plan: Plan, state: _State, run: Run) -> None:
    """Make the home namespace first: the Lease lives in it. Two writers may both do so."""
    for item in plan.items:
        if item.ref.kind == "Namespace" and item.ref.name == plan.namespace and item.action == "create":
            outcome = perform(
                cluster, cluster.write, item, item.payload, None, manager_of(plan.stack_id), run
            )
            _note(outcome, state, run)
            if outcome.result == "failed":
                msg = f"the namespace {plan.namespace} could not be made: {outcome.detail}"
                raise ApplyError(msg, report=_report(plan, state, time.monotonic()))
            wait_established(cluster, (item.ref,), run)


def _stages(plan: Plan) -> list[list[PlanItem]]:
    """Split a plan into stages by needs; deletions belong to the last one."""
    home = [
        i
        for i in plan.items
        if i.ref.kind == "Namespace" and i.ref.name == plan.namespace and i.action == "create"
    ]
    rest = [item for item in plan.items if item not in home]
    level = {name: n for n, names in enumerate(plan.stages) for name in names}
    count = max(len(plan.stages), 1)
    stages: list[list[PlanItem]] = [[] for _ in range(count)]
    for item in rest:
        if item.action in _REMOVING:
            stages[-1].append(item)
        elif item.ref.kind in ("Namespace", "CustomResourceDefinition"):
            stages[0].append(item)
        else:
            stages[level.get(item.service, 0)].append(item)
    kept = [stage for stage in stages if stage]
    return kept or [[]]


def _gates(coming: Sequence[PlanItem], done: Sequence[PlanItem]) -> list[str]:
    """Return the services to wait for: those just installed, where new ones come next."""
    if not any(item.action == "create" for item in coming):
        return []
    return sorted({item.service for item in done if item.action == "create" and item.service})


def _stage(  # noqa: PLR0913 - the parts of one apply
    cluster: Cluster,
    writer: Writer,
    plan: Plan,
    materials: Materials,
    stage: Sequence[PlanItem],
    state: _State,
    run: Run,
    *,
    first: bool,
    last: bool,
) -> None:
    live = observe(
        cluster,
        plan.stack_id,
        plan.namespace,
        ((item.ref, item.singleton) for item in stage),
        run,
    )
    _fresh(stage, live)
    inventory = _inventory(plan, live, materials)
    if first:
        releases = read_releases(live.of_kind("ConfigMap"))
        state.release = _open(writer, plan, materials, releases, inventory, run)
        inventory = attrs.evolve(inventory, release=state.release.number)
        _write_inventory(writer, inventory.with_kinds(kinds_of(plan.members)), materials, run)
        _write_shared(writer, plan, run)
    hashes = _credentials(cluster, writer, plan, materials, live, run)
    payloads = [_payload(item, materials, hashes, plan) for item in stage]
    work = list(zip(stage, payloads, strict=True))
    for wave in waves(work):
        _perform_wave(cluster, writer, plan, wave, live, state, run)
    if last:
        # The record of what this apply meant for the next prune: only once nothing failed.
        failed = [o for o in state.outcomes if o.result in ("failed", "skipped")]
        if not failed and not plan.scope:
            kinds = kinds_of(plan.members)
            kept = [k for k in inventory.kinds if plan.kept or plan.incomplete]
            number = state.release.number if state.release else inventory.release
            _write_inventory(
                writer,
                attrs.evolve(inventory, kinds=(*kinds, *kept), release=number),
                materials,
                run,
            )
        _close(cluster, writer, plan, state, "failed" if failed else "deployed")


def _fresh(stage: Sequence[PlanItem], live: Live) -> None:
    """Refuse where anything that the plan rests on has moved."""
    moved = []
    for item in stage:
        have = live.get(item.ref)
        if item.action == "resize":
            continue  # claims carry no label of ours; the write itself re-reads
        if item.fingerprint and have is None and item.action not in _REMOVING:
            moved.append(item.ref)
        elif item.fingerprint and have is not None and fingerprint(have) != item.fingerprint:
            moved.append(item.ref)
        elif item.action == "create" and have is not None:
            moved.append(item.ref)
    if moved:
        names = ", ".join(str(ref) for ref in moved[:5])
        msg = f"{len(moved)} objects moved since the plan was made: {names}"
        raise StalePlanError(msg, moved=moved, hint="plan again and look at what changed")


def _inventory(plan: Plan, live: Live, materials: Materials) -> Inventory:
    base = live.inventory or Inventory(stack_id=plan.stack_id, namespace=plan.namespace)
    return attrs.evolve(
        base,
        cluster_uid=plan.cluster_uid or base.cluster_uid,
        claims=(*base.claims, *plan.claims),
        volatile={
            "environment": plan.environment,
            "plan": plan.digest,
            "core": plan.core_digest,
            "sdk": materials.sdk_version,
        },
    )


def _write_inventory(writer: Writer, inventory: Inventory, materials: Materials, run: Run) -> None:
    body = inventory_manifest(inventory, materials.sdk_version)
    writer.write(
        Write(
            verb="apply",
            ref=ObjectRef.of(body),
            body=body,
            manager=manager_of(inventory.stack_id),
            force=True,
        ),
        run,
    )


def _write_shared(writer: Writer, plan: Plan, run: Run) -> None:
    """Name this stack as a user of the cluster's singletons, ahead of applying them."""
    if not any(single for _, single in plan.members):
        return
    refs = sorted(f"{ref.group_kind}/{ref.name}" for ref, single in plan.members if single)
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": CLUSTER_NAMESPACE,
            "labels": {"app.kubernetes.io/managed-by": "infometis-sdk"},
        },
    }
    parent = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": CLUSTER_PARENT,
            "namespace": CLUSTER_NAMESPACE,
            "labels": {
                "applyset.kubernetes.io/id": cluster_applyset_id(),
                "app.kubernetes.io/managed-by": "infometis-sdk",
            },
        },
        "data": {plan.stack_id: "\n".join(refs)},
    }
    for body in (namespace, parent):
        writer.write(
            Write(
                verb="apply",
                ref=ObjectRef.of(body),
                body=body,
                manager=manager_of(plan.stack_id),
                force=True,
            ),
            run,
        )


def _open(  # noqa: PLR0913
    writer: Writer,
    plan: Plan,
    materials: Materials,
    releases: Sequence[Release],
    inventory: Inventory,
    run: Run,
) -> Release:
    """Write the pending Release; its number makes a race of two writers a conflict."""
    number = max([inventory.release, *(r.number for r in releases)], default=0) + 1
    release = Release(
        number=number,
        status="pending",
        plan=plan.digest,
        core=plan.core_digest,
        actor=_actor(),
        time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        sdk=materials.sdk_version,
        services={n: r for n, r in materials.services.items() if not plan.scope or n in plan.scope},
    )
    try:
        _put_release(writer, plan, release, "create", run)
    except ConflictError as error:
        msg = f"release {number} of stack {plan.stack_id} was begun by somebody else"
        raise LockedError(msg, holder="unknown", hint="run the same command again") from error
    # What is superseded by number is known; more than the last few tell nobody anything.
    for old in releases[: -(KEPT - 1)]:
        if old.status != "deployed" or old.number < number - 2 * KEPT:
            ref = _release_ref(plan, old.number)
            try:
                writer.write(Write(verb="delete", ref=ref), run)
            except ClusterError:
                continue
    return release


def _release_ref(plan: Plan, number: int) -> ObjectRef:
    return ObjectRef(
        api_version="v1",
        kind="ConfigMap",
        namespace=plan.namespace,
        name=release_name(plan.stack_id, number),
    )


def _put_release(writer: Writer, plan: Plan, release: Release, verb: str, run: Run) -> None:
    body = release_manifest(release, plan.stack_id, plan.namespace)
    writer.write(
        Write(
            verb=verb,
            ref=ObjectRef.of(body),
            body=body,
            manager=manager_of(plan.stack_id),
            force=verb == "apply",
        ),
        run,
    )


def _close(cluster: Cluster, writer: Writer, plan: Plan, state: _State, status: str) -> None:
    """Say in the Release how it ended; a failure to say so changes nothing for the cluster."""
    if state.release is None:
        return
    run = Run.within(10)
    ref = _release_ref(plan, state.release.number)
    try:
        writer.write(
            Write(
                verb="merge-patch",
                ref=ref,
                body={"data": {"status": status}},
                manager=manager_of(plan.stack_id),
            ),
            run,
        )
        if status == "deployed":
            for number in range(max(1, state.release.number - 1), state.release.number):
                old = cluster.get(_release_ref(plan, number), run)
                if old and (old.get("data") or {}).get("status") == "deployed":
                    writer.write(
                        Write(
                            verb="merge-patch",
                            ref=_release_ref(plan, number),
                            body={"data": {"status": "superseded"}},
                            manager=manager_of(plan.stack_id),
                        ),
                        run,
                    )
    except InfometisError as error:
        state.warnings.append(f"the release's end could not be recorded: {error.message}")
    state.release = attrs.evolve(state.release, status=status)


def _actor() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _credentials(  # noqa: PLR0913
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
        return writer.write(Write(verb="create", ref=ref, body=body, manager="infometis"), run).object
    except ConflictError:
        found = cluster.get(ref, run)
        if found is None:
            msg = f"{ref} was made and removed by somebody else in this moment"
            raise SecretError(msg, reference=ref.name, hint="run the same command again") from None
        return found


def _payload(
    item: PlanItem,
    materials: Materials,
    hashes: Mapping[str, dict[str, bytes]],
    plan: Plan,
) -> Object:
    """Return what is sent: the planned payload, with secret values and the readers' hash put in."""
    if item.action in _REMOVING or item.action == "resize":
        return item.payload
    if item.ref.kind == "Secret":
        actual = materials.secrets[item.ref.key]
        key = hashes.get("", {}).get("hmac")
        planned = item.payload.get("data") or {}
        if key and any(v.startswith("hmac:") and v != "hmac:unkeyed" for v in planned.values()) and (
            sealed(actual, key) != item.payload
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


def waves(
    work: Iterable[tuple[PlanItem, Object]],
) -> list[list[tuple[PlanItem, Object]]]:
    """Group items that may be written side by side: by rank of their kind; deletions last, reversed."""
    waves: dict[tuple[int, int], list[tuple[PlanItem, Object]]] = {}
    for item, payload in work:
        removing = item.action in _REMOVING
        if item.action == "resize":
            rank = apply_rank(item.ref)  # claims come before the workload that mounts them
        else:
            rank = delete_rank(item.ref) if removing else apply_rank(item.ref)
        waves.setdefault((int(removing), rank), []).append((item, payload))
    return [waves[key] for key in sorted(waves)]


def _perform_wave(  # noqa: PLR0913
    cluster: Cluster,
    writer: Writer,
    plan: Plan,
    wave: Sequence[tuple[PlanItem, Object]],
    live: Live,
    state: _State,
    run: Run,
) -> None:
    manager = manager_of(plan.stack_id)
    removing = wave[0][0].action in _REMOVING
    if removing and state.failed_services:
        # Prune only after everything else went well: a half-applied stack keeps what it had.
        for item, _ in wave:
            _note(_skipped(item, "something else failed first"), state, run)
        return
    ready: list[tuple[PlanItem, Object]] = []
    for item, payload in wave:
        if item.service in state.failed_services:
            _note(_skipped(item, f"an earlier object of {item.service} failed"), state, run)
        else:
            ready.append((item, payload))

    def one(pair: tuple[PlanItem, Object]) -> Outcome:
        item, payload = pair
        have = live.get(item.ref)
        if item.action == "resize":
            have = cluster.get(item.ref, run)
        return perform(cluster, writer.write, item, payload, have, manager, run)

    parallel(one, ready, run, "applying", on_result=lambda outcome: _note(outcome, state, run))
    early = [
        item.ref
        for item, _ in ready
        if not removing and item.ref.kind in ("Namespace", "CustomResourceDefinition")
    ]
    if early and not state.failed_services:
        wait_established(cluster, early, run)
    if removing:
        await_gone(cluster, [(i.ref, i.uid) for i, _ in ready if i.action == "delete"], run)


def await_gone(cluster: Cluster, going: Sequence[tuple[ObjectRef, str]], run: Run) -> None:
    """Wait until deleted objects are gone, naming the finalizers that hold one up."""
    patience = time.monotonic() + 60
    left = list(going)
    while left:
        found = parallel(lambda pair: cluster.get(pair[0], run), left, run, "waiting for deletions")
        left = [
            pair
            for pair, obj in zip(left, found, strict=True)
            if obj is not None and obj["metadata"]["uid"] == pair[1]
        ]
        if left and time.monotonic() > patience:
            held = [
                f"{ref} (finalizers: {', '.join(obj['metadata'].get('finalizers') or ['none'])})"
                for (ref, _), obj in zip(left, (cluster.get(r, run) for r, _ in left), strict=True)
                if obj is not None
            ]
            run.emit(Event(name="delete", state="info", detail=f"still waiting for {', '.join(held)}"))
            patience = time.monotonic() + 60
        if left:
            run.sleep(0.3, f"waiting for {left[0][0]} to go")


def _skipped(item: PlanItem, why: str) -> Outcome:
    return Outcome(
        ref=item.ref, service=item.service, action=item.action, result="skipped", detail=why
    )


def _skip(stages: Sequence[Sequence[PlanItem]], state: _State) -> None:
    names = ", ".join(sorted(name or "the stack" for name in state.failed_services))
    for stage in stages:
        state.outcomes += [_skipped(item, f"{names} failed first") for item in stage]


def _note(outcome: Outcome, state: _State, run: Run) -> None:
    state.outcomes.append(outcome)
    if outcome.result == "failed":
        state.failed_services.add(outcome.service)
    run.emit(
        Event(
            name="apply object",
            subject=str(outcome.ref),
            state="failed" if outcome.result == "failed" else "finished",
            detail=outcome.detail,
            done=len(state.outcomes),
            unit="objects",
        )
    )


def _report(plan: Plan, state: _State, begun: float) -> ApplyReport:
    return ApplyReport(
        stack_id=plan.stack_id,
        plan_digest=plan.digest,
        outcomes=tuple(state.outcomes),
        release=state.release.number if state.release else 0,
        seconds=time.monotonic() - begun,
        warnings=tuple(state.warnings),
    )
