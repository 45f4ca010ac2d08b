"""One round of looking: read the wanted objects, judge each, and explain what is not ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from infometis_sdk.engine.readiness.diagnose import WORKLOADS, Culprit, Diagnosis, diagnose
from infometis_sdk.engine.readiness.evidence import Evidence, gather
from infometis_sdk.engine.readiness.rules import readiness
from infometis_sdk.engine.readiness.verdict import Context, Verdict, failing
from infometis_sdk.engine.reading.look import Key, endpoints, look
from infometis_sdk.errors import ForbiddenError, NotFoundError, UnknownKindError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import ManifestSet

__all__ = (
    "UNREADABLE_SECONDS",
    "Object",
    "Seen",
    "Surveyor",
    "Target",
    "targets",
)

Object = Mapping[str, Any]

UNREADABLE_SECONDS = 5.0
"""An API server that has just started answers 403 until it has read the roles."""


@frozen(kw_only=True)
class Target:
    """One object of the stack.

    Attributes:
        ref: its name.
        service: the owning service; empty for what belongs to the stack as a whole.
        desired: as we want it; empty for a credential, whose content is not ours to look at.

    """

    ref: ObjectRef
    service: str = ""
    desired: Object = field(factory=dict)


def targets(
    manifests: ManifestSet,
    *,
    services: Sequence[str] = (),
) -> tuple[Target, ...]:
    """Return every object that the stack, or some of its services, wants; credentials too.

    Args:
        manifests: the stack.
        services: only these; empty for all, and for what belongs to no service.

    """
    found = [Target(ref=m.ref, service=m.service, desired=m.object) for m in manifests.manifests]
    found += [
        Target(
            ref=ObjectRef(
                api_version="v1", kind="Secret", namespace=manifests.namespace, name=bound.secret
            ),
            service=bound.service,
        )
        for bound in manifests.credentials
    ]
    wanted = set(services)
    unique = {target.ref.key: target for target in reversed(found)}
    return tuple(t for t in reversed(unique.values()) if not wanted or t.service in wanted)


@frozen(kw_only=True)
class Seen:
    """What one round found out about one object."""

    live: Object | None
    diagnosis: Diagnosis

    @property
    def verdict(self) -> Verdict:
        """The verdict, sharpened by what was found round the object."""
        return self.diagnosis.verdict

    @property
    def culprit(self) -> Culprit | None:
        """The container at fault."""
        return self.diagnosis.culprit


@define(eq=False)
class Surveyor:
    """Reads and judges; remembers only what need not be read every time.

    Attributes:
        cluster: the API.
        stack_id: whose label the objects carry.
        load_balancer: the platform proved that Services get an address.
        autoscaled: the platform adds nodes when pods do not fit.

    """

    cluster: Cluster
    stack_id: str
    load_balancer: bool = False
    autoscaled: bool = False
    _evidence: Evidence = field(factory=Evidence, init=False)
    _statuses: dict[tuple[str, str], bool | None] = field(factory=dict, init=False)

    def survey(
        self,
        wanted: Iterable[Target],
        run: Run,
        *,
        explain: bool,
        running: frozenset[Key] = frozenset(),
    ) -> dict[Key, Seen]:
        """Read and judge.

        Args:
            wanted: the objects.
            run: deadline and cancel token.
            explain: fetch events, claims, classes and nodes too, where something is not ready;
                otherwise those of the last time serve.
            running: objects that were seen at work before.

        """
        aims = tuple(wanted)
        sight = look(self.cluster, (t.ref for t in aims), self.stack_id, run)
        verdicts: dict[Key, Verdict] = {}
        contexts: dict[Key, Context] = {}
        for aim in aims:
            key = aim.ref.key
            problem = sight.problems.get(key)
            if problem is not None:
                verdicts[key] = failing(
                    problem, "Unreadable", UNREADABLE_SECONDS, becomes="unknown"
                )
                continue
            live = sight.objects.get(key)
            contexts[key] = self._context(aim, live, run, seen_running=key in running)
            verdicts[key] = readiness(live, context=contexts[key])
        self._gather(aims, verdicts, run, explain=explain)
        self._second_look(sight.objects, verdicts, contexts, run)
        seen: dict[Key, Seen] = {}
        for aim in aims:
            key = aim.ref.key
            live, verdict = sight.objects.get(key), verdicts[key]
            found = Diagnosis(verdict=verdict)
            if live is not None and verdict.state != "ready":
                found = diagnose(live, verdict, self._evidence, autoscaled=self.autoscaled)
            seen[key] = Seen(live=live, diagnosis=found)
        return seen

    def _context(
        self, aim: Target, live: Object | None, run: Run, *, seen_running: bool
    ) -> Context:
        count = None
        if live is not None and aim.ref.kind.endswith("WebhookConfiguration"):
            count = self._webhook_endpoints(live, run)
        return Context(
            desired=aim.desired,
            seen_running=seen_running,
            load_balancer=self.load_balancer,
            autoscaled=self.autoscaled,
            endpoints=count,
        )

    def _webhook_endpoints(self, live: Object, run: Run) -> int | None:
        behind = {
            (str(service.get("namespace") or ""), str(service.get("name") or ""))
            for hook in live.get("webhooks") or ()
            if (service := (hook.get("clientConfig") or {}).get("service"))
        }
        try:
            counts = [endpoints(self.cluster, space, name, run) for space, name in sorted(behind)]
        except ForbiddenError:
            return None
        return min(counts, default=None)

    def _gather(
        self, aims: Sequence[Target], verdicts: Mapping[Key, Verdict], run: Run, *, explain: bool
    ) -> None:
        late = [t.ref for t in aims if verdicts[t.ref.key].state not in {"ready", "missing"}]
        kinds = {ref.kind for ref in late}
        parts: list[str] = []
        if kinds & {*WORKLOADS, "Pod", "PersistentVolumeClaim"}:
            parts = ["pods"]
            parts += ["replica_sets"] if "Deployment" in kinds else []
            parts += ["claims", "classes", "nodes"] if explain else []
        if late and explain:
            parts.append("events")
        if "PersistentVolumeClaim" in kinds and self._evidence.classes is None:
            parts.append("classes")
        if not parts:
            return
        spaces = {ref.namespace for ref in late if ref.namespace}
        fresh = gather(self.cluster, spaces, run, parts=dict.fromkeys(parts))
        self._evidence = evolve(self._evidence, **{p: getattr(fresh, p) for p in set(parts)})

    def _second_look(
        self,
        objects: Mapping[Key, Object | None],
        verdicts: dict[Key, Verdict],
        contexts: Mapping[Key, Context],
        run: Run,
    ) -> None:
        """Judge again what depends on other objects: late claims, owned sets, unknown kinds."""
        owners = {
            str(live["metadata"].get("uid")): verdicts[key].state == "ready"
            for key, live in objects.items()
            if live is not None and key in verdicts
        }
        for key, live in objects.items():
            if live is None:
                continue
            better = contexts[key]
            if key[1] == "PersistentVolumeClaim" and verdicts[key].state == "progressing":
                better = evolve(
                    better,
                    late_binding=_late_binding(live, self._evidence),
                    has_consumer=_has_consumer(live, self._evidence),
                )
            elif key[1] == "StatefulSet":
                for owner in live["metadata"].get("ownerReferences") or ():
                    if owner.get("controller") and owner.get("uid") in owners:
                        better = evolve(better, owner_ready=owners[owner["uid"]])
            elif verdicts[key].symptom == "NoStatus":
                better = evolve(better, has_status=self._has_status(live, run))
            if better is not contexts[key]:
                verdicts[key] = readiness(live, context=better)

    def _has_status(self, live: Object, run: Run) -> bool | None:
        kind = (str(live["apiVersion"]), str(live["kind"]))
        if kind not in self._statuses:
            self._statuses[kind] = self._ask_status(*kind, run)
        return self._statuses[kind]

    def _ask_status(self, api_version: str, kind: str, run: Run) -> bool | None:
        group, _, version = api_version.rpartition("/")
        try:
            plural = self.cluster.resource(api_version, kind, run).plural
            definition = self.cluster.get(
                ObjectRef(
                    api_version="apiextensions.k8s.io/v1",
                    kind="CustomResourceDefinition",
                    name=f"{plural}.{group}",
                ),
                run,
            )
        except (ForbiddenError, NotFoundError, UnknownKindError):
            return None
        for one in ((definition or {}).get("spec") or {}).get("versions") or ():
            if one.get("name") == version:
                schema = (one.get("schema") or {}).get("openAPIV3Schema") or {}
                known = "status" in (schema.get("properties") or {})
                return known or "status" in (one.get("subresources") or {})
        return None


def _late_binding(claim: Object, evidence: Evidence) -> bool:
    name = (claim.get("spec") or {}).get("storageClassName")
    return any(
        found.get("volumeBindingMode") == "WaitForFirstConsumer"
        for found in evidence.classes or ()
        if found["metadata"]["name"] == name
    )


def _has_consumer(claim: Object, evidence: Evidence) -> bool:
    meta = claim["metadata"]
    return any(
        (volume.get("persistentVolumeClaim") or {}).get("claimName") == meta["name"]
        for pod in evidence.pods
        if pod["metadata"].get("namespace") == meta.get("namespace")
        for volume in (pod.get("spec") or {}).get("volumes") or ()
    )
