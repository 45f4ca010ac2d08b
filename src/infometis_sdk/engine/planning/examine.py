"""What would become of one object: proven unchanged, or asked of the API server by a dry-run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.engine.objects.fieldset import Owner, Path, ours, without
from infometis_sdk.engine.objects.fingerprint import content
from infometis_sdk.engine.objects.marks import DIGEST
from infometis_sdk.engine.objects.paths import MISSING, differences
from infometis_sdk.engine.planning.conflicts import additions, decide
from infometis_sdk.errors import (
    ClusterError,
    ConflictError,
    InvalidError,
    ThrottledError,
    UnauthorizedError,
    UnreachableError,
)
from infometis_sdk.model.environment import DriftPolicy
from infometis_sdk.model.plan import Change, Decision
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Cluster, Write

if TYPE_CHECKING:
    from infometis_sdk.model.run import Run

__all__ = (
    "Examination",
    "Rules",
    "about_object",
    "changes",
    "dry_run",
    "examine",
    "replaceable",
    "state_of",
)

_REPLACEABLE = frozenset({"Job", "Deployment", "StatefulSet", "DaemonSet"})
"""Kinds that may be deleted and made again: nothing of theirs is lost but their pods
(a StatefulSet leaves its pods and volumes behind, and takes them up again)."""


@frozen(kw_only=True)
class Rules:
    """What decides about conflicts on one object."""

    manager: str
    policy: DriftPolicy = field(factory=DriftPolicy)
    protected: bool = False
    adopted: bool = False
    autoscaled: bool = False


@frozen(kw_only=True)
class Examination:
    """What would become of one object.

    Attributes:
        action: empty (nothing to do), ``create``, ``update`` or ``replace``.
        state: ``pending``, ``drift`` or ``foreign``.
        payload: what is to be sent: the desired object without the fields that are yielded.
        foreign: what others added.
    """

    action: str = ""
    state: str = ""
    payload: Mapping[str, Any] = field(factory=dict)
    force: bool = False
    changes: tuple[Change, ...] = field(default=(), converter=tuple[Change, ...])
    decisions: tuple[Decision, ...] = field(default=(), converter=tuple[Decision, ...])
    problems: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    warnings: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    foreign: tuple[tuple[Path, Owner, Any], ...] = field(
        default=(), converter=tuple[tuple[Path, Owner, Any], ...]
    )


def about_object(error: ClusterError) -> bool:
    """Whether an error is the word of the API server or a webhook on one object, not on us.

    A broken admission webhook answers 500 for the object that it should have judged.
    """
    return error.status != 0 and not isinstance(
        error, (UnauthorizedError, ThrottledError, UnreachableError)
    )


def state_of(desired: Mapping[str, Any], live: Mapping[str, Any]) -> str:
    """Return ``pending`` where desired moved since it was applied, else ``drift``."""
    want = ((desired.get("metadata") or {}).get("annotations") or {}).get(DIGEST)
    have = ((live.get("metadata") or {}).get("annotations") or {}).get(DIGEST)
    return "drift" if want and want == have else "pending"


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the leaves that differ between two objects, status and bookkeeping left out.

    Example:
        >>> [str(c) for c in changes({"spec": {"replicas": 1}}, {"spec": {"replicas": 3}})]
        ['~ spec.replicas: 1 -> 3']

    """
    found = []
    for path, (before, after) in sorted(differences(content(old), content(new)).items()):
        if after is MISSING:
            found.append(Change(path=path, op="remove", old=before))
        elif before is MISSING:
            found.append(Change(path=path, op="add", new=after))
        else:
            found.append(Change(path=path, op="replace", old=before, new=after))
    return tuple(found)


def dry_run(
    cluster: Cluster,
    ref: ObjectRef,
    payload: Mapping[str, Any],
    manager: str,
    run: Run,
    *,
    force: bool,
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Ask what a server-side apply would give; nothing is changed.

    Raises:
        ClusterError: the API server refuses, as it would refuse the write itself.

    """
    written = cluster.write(
        Write(verb="apply", ref=ref, body=payload, manager=manager, force=force, dry_run=True), run
    )
    return written.object, written.warnings


def examine(
    cluster: Cluster,
    desired: Mapping[str, Any],
    live: Mapping[str, Any],
    rules: Rules,
    run: Run,
) -> Examination:
    """Find out what applying ``desired`` over ``live`` would do, who stands against it, and decide.

    One dry-run where nobody objects, two where somebody does.

    Raises:
        ClusterError: the API server does not answer; its refusals become ``problems``.

    """
    ref = ObjectRef.of(desired)
    foreign = tuple(additions(desired, live, rules.manager, rules.policy))
    payload: Any = desired
    force = False
    decisions: tuple[Decision, ...] = ()
    try:
        try:
            after, warnings = dry_run(cluster, ref, payload, rules.manager, run, force=False)
        except ConflictError:
            decided = decide(
                desired,
                live,
                rules.manager,
                policy=rules.policy,
                autoscaled=rules.autoscaled,
                protected=rules.protected,
                adopted=rules.adopted,
            )
            decisions = tuple(decision for _, decision in decided)
            for path, decision in decided:
                if decision.action == "yield":
                    payload = without(payload, path)
            stops = tuple(
                f"{d.path} is held by {d.manager}: {d.why}" for d in decisions if d.action == "stop"
            )
            force = True
            after, warnings = dry_run(cluster, ref, payload, rules.manager, run, force=True)
            if stops:
                return Examination(
                    action="update",
                    state=state_of(desired, live),
                    payload=payload,
                    force=True,
                    changes=changes(live, after),
                    decisions=decisions,
                    problems=stops,
                    foreign=foreign,
                )
    except InvalidError as error:
        if replaceable(ref, error):
            return Examination(
                action="replace",
                state=state_of(desired, live),
                payload=desired,
                changes=_lacking(desired, live),
                decisions=decisions,
                warnings=(_made_anew(ref),),
                foreign=foreign,
            )
        return _refused(desired, live, payload, decisions, foreign, error=error)
    except ClusterError as error:
        if not about_object(error):
            raise
        return _refused(desired, live, payload, decisions, foreign, error=error)
    found = changes(live, after)
    if not found and ours(after, rules.manager) == ours(live, rules.manager):
        return Examination(foreign=foreign, decisions=decisions, payload=payload)
    return Examination(
        action="update",
        state=state_of(desired, live),
        payload=payload,
        force=force,
        changes=found,
        decisions=decisions,
        warnings=warnings,
        foreign=foreign,
    )


def _lacking(desired: Mapping[str, Any], live: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the desired leaves that live does not have: what is known without a dry-run."""
    return tuple(c for c in changes(live, desired) if c.op != "remove")


def _refused(
    desired: Mapping[str, Any],
    live: Mapping[str, Any],
    payload: Mapping[str, Any],
    decisions: tuple[Decision, ...],
    foreign: tuple[tuple[Path, Owner, Any], ...],
    *,
    error: ClusterError,
) -> Examination:
    return Examination(
        action="update",
        state=state_of(desired, live),
        payload=payload,
        changes=_lacking(desired, live),
        decisions=decisions,
        problems=(f"the API server refuses it: {_reason(error)}",),
        foreign=foreign,
    )


def _reason(error: ClusterError) -> str:
    return " ".join(error.message.split())


def _made_anew(ref: ObjectRef) -> str:
    """Say what becomes of the pods; which field it is about stands among the changes."""
    if ref.kind == "StatefulSet":
        pods = "its pods and volumes stay, and are taken up again"
    else:
        pods = "its pods end first, so it is away for a while"
    return f"an immutable field changes, so {ref} is deleted and made again; {pods}"


def replaceable(ref: ObjectRef, error: InvalidError) -> bool:
    """Whether a refusal is about an immutable field of a kind that may be made again.

    Flux takes every refusal for that and would delete on a plain validation error;
    we read the causes.
    """
    if ref.kind not in _REPLACEABLE:
        return False
    texts = [str(cause.get("message", "")) for cause in error.causes] or [error.message]
    # Every cause: where something else is wrong too, the new object could not be made.
    return all(
        "field is immutable" in text or "updates to statefulset spec" in text for text in texts
    )
