"""What the cluster of a stack can do: declared by its platform, read from it, proved by probes.

What a probe showed is remembered with the cluster's UID, so that a new cluster knows nothing yet.
"""

from __future__ import annotations

import http.client
import json
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk.engine.capabilities.facts import Facts, read_facts
from infometis_sdk.engine.capabilities.probes import (
    IMAGE,
    PROBED,
    Seen,
    client_objects,
    judge,
    probe_objects,
)
from infometis_sdk.engine.capabilities.requirements import (
    asks_of_the_cluster,
    unencrypted,
    unmet,
)
from infometis_sdk.engine.capacity.quotas import quota_faults
from infometis_sdk.engine.objects.marks import STACK
from infometis_sdk.engine.reading.cluster_identity import cluster_uid
from infometis_sdk.errors import ForbiddenError, RefusedError, UnknownKindError
from infometis_sdk.machine import private_folder, write_private
from infometis_sdk.model.capability import CAPABILITIES, Capability
from infometis_sdk.model.run import Event, Run
from infometis_sdk.ports.cluster import Cluster
from infometis_sdk.ports.platform import HostPorts
from infometis_sdk.workspace.beside import beside
from infometis_sdk.workspace.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from infometis_sdk.model.fault import Fault
    from infometis_sdk.model.plan import Plan
    from infometis_sdk.model.stack import ManifestSet

__all__ = (
    "capabilities",
    "capacity_of",
    "lacking",
    "probe",
    "refuse_what_is_lacking",
    "worth_probing",
)

_PATIENCE = 90.0  # seconds for what a probe waits for; an image may have to come first
_CLEANING = 120.0  # seconds for taking the probes away
_LOOK = 0.5
_PREFIX = "probe-"


def capabilities(
    stack: Stack, cluster: Cluster, run: Run, *, facts: Facts | None = None
) -> tuple[Capability, ...]:
    """Return every capability that is known of, with its state; reads only."""
    facts = facts or read_facts(cluster, run)
    proofs = _remembered(stack, cluster_uid(cluster, run))
    said = stack.platform.capabilities
    names = sorted({*CAPABILITIES, *said, *proofs})
    read = {each.name: each for each in _from_facts(facts)}
    found = []
    for name in names:
        state = said.get(name, "unknown")
        declared = Capability(
            name=name, state=state, detail="" if state == "unknown" else "the platform says so"
        )
        found.append(read.get(name) or proofs.get(name) or declared)
    return tuple(found)


def lacking(
    stack: Stack, plan: Plan, manifests: ManifestSet, cluster: Cluster, run: Run
) -> tuple[Fault, ...]:
    """Return what changes need and the cluster lacks, so that they can never become healthy."""
    touched = {item.ref.key for item in plan.items}
    chosen = [manifest for manifest in manifests.manifests if manifest.ref.key in touched]
    if not asks_of_the_cluster(chosen) and not stack.environment.policies.encryption:
        return ()
    facts = read_facts(cluster, run)
    states = {each.name: each.state for each in capabilities(stack, cluster, run, facts=facts)}
    brought = [m.ref.name for m in manifests.manifests if m.ref.kind == "StorageClass"]
    simulated = stack.simulated or facts.simulated
    found = unmet(chosen, facts, states, brought=brought, simulated=simulated)
    faults = [fault for fault in found if fault.level == "error"]
    if (lack := unencrypted(stack.environment, states)) is not None:
        faults.append(lack)
    faults += quota_faults(manifests, capacity_of(cluster, manifests, run))
    return tuple(faults)


def refuse_what_is_lacking(
    stack: Stack, plan: Plan, manifests: ManifestSet, cluster: Cluster, run: Run
) -> None:
    """Refuse changes that can never become healthy on this cluster, before the first write.

    Raises:
        RefusedError: what they need and the cluster lacks, all of it.

    """
    faults = lacking(stack, plan, manifests, cluster, run)
    if faults:
        lines = [f"  - {fault}" for fault in faults]
        msg = "\n".join((f"the cluster of {stack.name} lacks what the stack needs", *lines))
        hint = f"'infometis doctor -e {stack.name}' shows what the cluster can do"
        raise RefusedError(msg, hint=hint)


def capacity_of(
    cluster: Cluster, manifests: ManifestSet, run: Run
) -> tuple[Mapping[str, Any], ...]:
    """Read the quotas and limits that others put on the namespaces of a stack.

    What we may not look at is left out; the quota itself will tell.
    """
    found: list[Mapping[str, Any]] = []
    names = sorted({m.ref.namespace for m in manifests.manifests if m.ref.namespace})
    for name in names:
        for kind in ("ResourceQuota", "LimitRange"):
            try:
                listed = cluster.list("v1", kind, run, namespace=name)
            except (ForbiddenError, UnknownKindError):
                continue
            found += [
                {**each, "kind": kind}
                for each in listed
                if (each["metadata"].get("labels") or {}).get(STACK) != manifests.stack_id
            ]
    return tuple(found)


def probe(
    stack: Stack, run: Run, *, image: str = IMAGE, names: Sequence[str] = PROBED
) -> tuple[Capability, ...]:
    """Show by small objects what the cluster can do, remember it, and take them away again.

    They are written by the same writer as everything else, and live in a namespace of their own.
    Where containers are simulated, only what needs none is tried.

    Args:
        stack: on whose cluster.
        run: deadline, events, cancel token.
        image: of the probes' pods, which need ``sh``, ``httpd`` and ``wget`` as in busybox.
        names: of the capabilities to try.

    """
    cluster = stack.cluster(run)
    _clear_leftovers(stack, cluster, run)
    if stack.simulated or read_facts(cluster, run).simulated:
        names = [name for name in names if name == "default_storage_class"]
    ports = stack.platform.host_ports() if isinstance(stack.platform, HostPorts) else {}
    names = [name for name in names if name != "host_ports" or ports]
    here, there = next(iter(ports.items()), (0, 0))
    probing = _Probing(
        stack=stack,
        cluster=cluster,
        stack_id=f"{_PREFIX}{secrets.token_hex(6)}",
        names=names,
        image=image,
        port=here,
        run=run,
    )
    objects = probe_objects(names, image=image, node_port=there)
    try:
        decided = probing.watch(objects)
    finally:
        # Also where the caller is gone: nothing of ours stays behind.
        side = beside(stack, "probe", objects, stack_id=probing.stack_id)
        over = Run.within(_CLEANING, emit=run.emit)
        side.down(delete_data=True, reason="probes are over", run=over)
    _remember(stack, cluster_uid(cluster, run), decided)
    return decided


@attrs.frozen(kw_only=True)
class _Probing:
    """The probes of one run."""

    stack: Stack
    cluster: Cluster
    stack_id: str
    names: Sequence[str]
    image: str
    port: int
    run: Run

    def watch(self, objects: list[dict[str, Any]]) -> tuple[Capability, ...]:
        """Write the probes and look at them until all is decided."""
        self._write(objects)
        end = time.monotonic() + self.run.remaining(_PATIENCE)
        asked = "network_policy_enforced" not in self.names
        told: set[str] = set()
        while True:
            seen = _see(self.cluster, self.stack_id, self.port, self.run)
            more = [] if asked else client_objects(seen, self.image)
            if more:
                asked = True
                self._write([*objects, *more])
            decided = judge(self.names, seen, time.time(), last=time.monotonic() > end)
            self._tell(decided, told)
            if len(decided) == len(self.names):
                return decided
            open_ones = ", ".join(name for name in self.names if name not in told)
            self.run.sleep(_LOOK, f"probing {open_ones}")

    def _write(self, objects: list[dict[str, Any]]) -> None:
        side = beside(self.stack, "probe", objects, stack_id=self.stack_id)
        side.apply(side.plan(run=self.run), reason="probing the cluster", run=self.run)

    def _tell(self, decided: Iterable[Capability], told: set[str]) -> None:
        for each in decided:
            if each.name not in told:
                told.add(each.name)
                state = "finished" if each.state == "proved" else "failed"
                event = Event(name="probe", subject=each.name, state=state, detail=each.detail)
                self.run.emit(event)


def _see(cluster: Cluster, namespace: str, port: int, run: Run) -> Seen:
    def by_name(kind: str) -> Mapping[str, Mapping[str, Any]]:
        found = cluster.list("v1", kind, run, namespace=namespace)
        return {str(each["metadata"]["name"]): each for each in found}

    return Seen(
        pods=by_name("Pod"),
        claims=by_name("PersistentVolumeClaim"),
        services=by_name("Service"),
        answers=_answers(port) if port else None,
    )


def _answers(port: int) -> bool:
    """Whether the probe itself answers there: a proxy would take the connection for anybody."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        return b"infometis-probe" in connection.getresponse().read(200)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _clear_leftovers(stack: Stack, cluster: Cluster, run: Run) -> None:
    """Take away what a probe left whose process was killed; its pods have ended by themselves."""
    for namespace in cluster.list("v1", "Namespace", run, labels=STACK):
        stack_id = str(namespace["metadata"]["labels"][STACK])
        made = str(namespace["metadata"].get("creationTimestamp", ""))
        ours = stack_id.startswith(_PREFIX) and stack_id == namespace["metadata"]["name"]
        if ours and _age(made) > _PATIENCE + _CLEANING:
            side = beside(stack, "probe", (), stack_id=stack_id)
            side.down(delete_data=True, reason="a probe was left behind", run=run)


def _age(stamp: str) -> float:
    from datetime import UTC, datetime

    try:
        made = datetime.fromisoformat(stamp)
    except ValueError:
        return 0.0
    return (datetime.now(UTC) - made).total_seconds()


def _from_facts(facts: Facts) -> Iterator[Capability]:
    """Judge what can be read without a probe."""
    if facts.nodes is not None:
        state = "proved" if facts.nodes > 1 else "absent"
        yield _read("multi_node", state, f"{facts.nodes} nodes take pods")
    if facts.classes is not None and not facts.default_class:
        yield _read("default_storage_class", "absent", "no StorageClass is the default")
    if facts.default_class:
        state = "proved" if facts.expandable else "absent"
        yield _read("volume_expansion", state, f"StorageClass {facts.default_class} says so")
    if facts.encrypted:
        yield _read("encrypted_transport", "proved", "every node has a WireGuard key")
    if facts.metrics is not None:
        state = "proved" if facts.metrics else "absent"
        detail = "its API answers" if facts.metrics else "no API metrics.k8s.io answers"
        yield _read("metrics", state, detail)


def _read(name: str, state: str, detail: str) -> Capability:
    at = time.time() if state == "proved" else 0.0
    return Capability(name=name, state=state, detail=detail, at=at)


def worth_probing(stack: Stack, run: Run) -> bool:
    """Whether a cluster may be tried unasked: it is ours, real, and was never tried."""
    if not stack.platform.owned or stack.environment.mode != "independent" or stack.simulated:
        return False
    return not _remembered(stack, cluster_uid(stack.cluster(run), run))


# --- memory -------------------------------------------------------------------------------------


def _file(stack: Stack, uid: str) -> Path:
    return stack.workspace.state_dir / "capabilities" / f"{uid}.json"


def _remembered(stack: Stack, uid: str) -> dict[str, Capability]:
    """Return what was proved of that very cluster; a damaged file is as good as none."""
    try:
        data = json.loads(_file(stack, uid).read_text(encoding="utf-8"))
        return {each["name"]: Capability(**each) for each in data}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def _remember(stack: Stack, uid: str, decided: Iterable[Capability]) -> None:
    known = _remembered(stack, uid) | {each.name: each for each in decided}
    path = _file(stack, uid)
    private_folder(path.parent)
    write_private(path, json.dumps([attrs.asdict(each) for each in known.values()]))
