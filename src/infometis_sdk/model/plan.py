"""The exact changes to one cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.report import Report, Table, merged
from infometis_sdk.model.table import apart

__all__ = ("FORMAT", "Change", "Decision", "Plan", "PlanItem")

FORMAT = "infometis.io/plan/v1"
_OWN_MARKS = "metadata.annotations[infometis.io/"


@frozen(kw_only=True)
class Change:
    """One field that changes; ``op`` is ``add``, ``remove`` or ``replace``; secrets are masked."""

    path: str
    op: str
    old: Any = None
    new: Any = None

    def __str__(self) -> str:
        if self.op == "add":
            return f"+ {self.path}: {_short(self.new)}"
        if self.op == "remove":
            return f"- {self.path}: {_short(self.old)}"
        old, new = self.old, self.new
        if isinstance(old, str) and isinstance(new, str):
            old, new = apart(old, new)
        return f"~ {self.path}: {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:  # noqa: ANN401 - any leaf
    text = value if isinstance(value, str) else repr(value)
    text = text.replace("\n", "\\n")
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004 - one terminal line


@frozen(kw_only=True)
class Decision:
    """What is done about one field that somebody else holds.

    Attributes:
        path: field path.
        manager: who holds it (self-declared), with ``/subresource`` where it has one.
        action: ``overrule``, ``yield``, ``remove`` or ``stop``.
        why: the rule that decided.
        live: the live value, masked where secret.

    """

    path: str
    manager: str
    action: str
    why: str
    live: Any = None


@frozen(kw_only=True)
class PlanItem:
    """One object and what is done to it.

    Attributes:
        action: ``create``, ``update``, ``replace``, ``adopt``, ``resize`` (a volume claim),
            ``release`` (a singleton that others still use) or ``delete``.
        certainty: ``exact``, or ``predicted`` where what it rests on comes with the same plan:
            its namespace, its CRD, or an object that it names, such as the role of a binding.
        state: ``pending``, ``drift``, ``foreign`` or empty; why there is something to do.
        payload: exactly what is sent; values of Secrets are keyed hashes.
        force: whether conflicts are overruled; every one is listed in ``decisions``.
        uid, fingerprint: the live object this rests on.
        problems: reasons why this may not be applied.
        warnings: what the operator should know.
        removals: paths of foreign additions that are taken away first.
        reads: Secrets of credentials that the pods of this object read.

    """

    action: str
    ref: ObjectRef
    service: str = ""
    zone: str = "core"
    singleton: bool = False
    certainty: str = "exact"
    state: str = ""
    payload: Mapping[str, Any] = field(factory=dict, repr=False)
    force: bool = False
    uid: str = ""
    fingerprint: str = ""
    changes: tuple[Change, ...] = field(default=(), converter=tuple[Change, ...])
    decisions: tuple[Decision, ...] = field(default=(), converter=tuple[Decision, ...])
    problems: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    warnings: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    removals: tuple[tuple[str, ...], ...] = field(default=(), converter=tuple[tuple[str, ...], ...])
    reads: tuple[str, ...] = field(default=(), converter=tuple[str, ...])

    @property
    def ahead(self) -> bool:
        """Whether it is done before all else, though it deletes.

        An autoscaler that goes would undo the number of pods that is sent meanwhile.
        """
        return self.action == "delete" and self.ref.kind == "HorizontalPodAutoscaler"

    @property
    def told(self) -> tuple[Change, ...]:
        """The changes that say something: our own digests follow from the others."""
        telling = tuple(c for c in self.changes if not c.path.startswith(_OWN_MARKS))
        return telling or self.changes


@frozen(kw_only=True, repr=False)
class Plan(Report):
    """The exact changes to one cluster; what ``apply`` takes.

    Attributes:
        digest: SHA-256 over everything else but ``created``.
        cluster_uid: UID of the cluster's ``kube-system`` namespace; empty where the clean check
            needed no request for it.
        items: in order of application; deletions last, but for those of autoscalers.
        unchanged: how many objects need nothing.
        scope: names of the services the plan is limited to; empty for all.
        members: every object that the stack wants and whether it is a singleton, for the inventory.
        claims: ``namespace/template-statefulset`` of every volume claim that the stack's sets make.
        stages: services by how deep their needs go; a stage begins when the one before is applied.
        needs: service to the services that it needs: where one of them fails, it is skipped.
        core_digest: of the stack, the id of the Bundle.
        record: digest over versions, cores and values of all services: what a Release will say.
        kept: objects that are no longer desired and stay all the same, with the reason.
        left: data of services that this plan removes, which stays until it is deleted by name.
        credentials: ``secret name`` to the sources of its keys, by reference.
        renewals: ``secret name`` to the keyed hash of what its sources say by now, where that is
            no longer what the Secret was made of: certificates, authorities and users of a border.
        confirm: whether circuit breakers demand the digest as confirmation, and why.
        incomplete: what could not be looked at (403), so that prune is incomplete.
        unfinished: what an earlier apply left to be recorded although no object need change;
            empty where there is nothing.

    """

    stack_id: str
    environment: str
    namespace: str
    cluster_uid: str = ""
    items: tuple[PlanItem, ...] = field(default=(), converter=tuple[PlanItem, ...])
    unchanged: int = 0
    scope: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    members: tuple[tuple[ObjectRef, bool], ...] = field(
        default=(), converter=tuple[tuple[ObjectRef, bool], ...]
    )
    claims: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    stages: tuple[tuple[str, ...], ...] = field(default=(), converter=tuple[tuple[str, ...], ...])
    needs: Mapping[str, tuple[str, ...]] = field(factory=dict)
    core_digest: str = ""
    record: str = ""
    digests: Mapping[str, str] = field(factory=dict)
    credentials: Mapping[str, Mapping[str, str]] = field(factory=dict)
    renewals: Mapping[str, str] = field(factory=dict)
    confirm: str = ""
    incomplete: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    unfinished: str = ""
    kept: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    left: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    problems: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    created: str = ""
    format: str = FORMAT
    digest: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.items and not self.problems and not self.renewals

    @property
    def blocked(self) -> tuple[str, ...]:
        """Every reason why this plan may not be applied."""
        return self.problems + tuple(
            f"{item.ref}: {problem}" for item in self.items for problem in item.problems
        )

    def headline(self) -> str:
        """Count the actions."""
        if self.empty:
            return f"{self.environment}: nothing to do, {self.unchanged} objects are as desired"
        counts: dict[str, int] = {}
        for item in self.items:
            counts[item.action] = counts.get(item.action, 0) + 1
        if self.renewals:
            counts["renew"] = len(self.renewals)
        text = ", ".join(f"{n} to {action}" for action, n in counts.items())
        return f"{self.environment}: {text or 'refused'}, {self.unchanged} unchanged"

    def table(self) -> Table:
        """Show one row an object, and below it changes, decisions and problems."""
        notes: list[str] = []
        for item in self.items:
            lines = [f"  {change}" for change in item.told]
            lines += [
                f"  {d.action}: {d.path} is held by {d.manager} ({d.why})" for d in item.decisions
            ]
            lines += [f"  refused: {problem}" for problem in item.problems]
            lines += [f"  warning: {warning}" for warning in item.warnings]
            if lines:
                notes += [f"{item.ref}:", *lines]
        notes += [f"refused: {problem}" for problem in self.problems]
        notes += [f"not looked at: {reason}" for reason in self.incomplete]
        notes += [f"kept: {reason}" for reason in self.kept]
        notes += merged(f"kept: {reason}" for reason in self.left)
        notes += [f"renewed, since its source changed: Secret/{name}" for name in self.renewals]
        if self.unfinished:
            notes.append(f"to be recorded: {self.unfinished}")
        if self.confirm:
            notes.append(f"needs confirmation: {self.confirm}")
        if self.digest and not self.empty:
            notes.append(f"plan digest {self.digest}")
        return Table(
            title=self.headline(),
            columns=("ACTION", "OBJECT", "NAMESPACE", "SERVICE", "WHY"),
            rows=tuple(
                (
                    item.action + ("" if item.certainty == "exact" else " (predicted)"),
                    str(item.ref),
                    # Only where it is not the home namespace, which nearly everything lives in.
                    "" if item.ref.namespace == self.namespace else item.ref.namespace,
                    item.service,
                    item.state,
                )
                for item in self.items
            ),
            footer=tuple(notes),
        )
