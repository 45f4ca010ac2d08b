"""The audit of one stack: what is recorded, kept, verified and shown."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from infometis_sdk.engine.recording import begun, outcomes_of, overrides_of
from infometis_sdk.errors import (
    ApplyError,
    AuditError,
    CancelledError,
    ClusterError,
    InfometisError,
    NotFoundError,
    RefusedError,
)
from infometis_sdk.model.audit import AuditEvent, AuditHead
from infometis_sdk.model.audit_report import AuditReport, AuditTimeline
from infometis_sdk.model.run import Event, Run
from infometis_sdk.ports.audit import AuditSinkContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from infometis_sdk._adapters.audit_file import AuditFile
    from infometis_sdk.model.audit import AuditLine
    from infometis_sdk.model.plan import Plan
    from infometis_sdk.model.report import Outcome
    from infometis_sdk.ports.audit import AuditSink
    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.workspace.stack import Stack

__all__ = ("Action", "Audit", "audit_of", "parse_head", "verify_audit")

_KEEPING = 20.0


def audit_of(stack: Stack) -> Audit:
    """Return the audit of a stack, with the sinks that its environment names."""
    from infometis_sdk._adapters.audit_file import AuditFile
    from infometis_sdk.engine.compose import home_namespace

    workspace, environment = stack.workspace, stack.environment

    def sinks() -> Mapping[str, AuditSink]:
        context = AuditSinkContext(
            stack_id=stack.stack_id,
            environment=environment.name,
            namespace=home_namespace(workspace.project, environment),
            connect=stack._cluster,  # noqa: SLF001 - the stack's own door
        )
        found = (workspace.plugins.audit_sink(one) for one in environment.policies.audit.sinks)
        return {spec.name: spec.factory(settings, context) for spec, settings in found}

    return Audit(
        stack_id=stack.stack_id,
        environment=environment.name,
        file=AuditFile(workspace.state_dir / "audit"),
        make_sinks=sinks,
    )


def verify_audit(stack: Stack, head: str, run: Run, *, offline: bool) -> AuditReport:
    """Verify the records of a stack against the heads that are kept elsewhere."""
    from infometis_sdk.engine.writing.audit_heads import read_heads
    from infometis_sdk.workspace.audit_in_cluster import copies

    heads: dict[str, Sequence[AuditHead]] = {}
    notes = []
    kept: Sequence[AuditLine] = ()
    if head:
        heads["the head that was given"] = (parse_head(head, stack.stack_id),)
    if not offline:
        try:
            cluster = stack._cluster(run)  # noqa: SLF001 - the stack's own door
            namespace = stack.compose().namespace
            heads["the cluster"] = read_heads(cluster, stack.stack_id, namespace, run)
            kept = copies(cluster, stack.stack_id, namespace, run)
        except InfometisError as error:
            notes.append(f"the cluster was not asked for its heads: {error.message}")
    return stack.audit.verify(heads, copies=kept, notes=notes)


def parse_head(text: str, stack_id: str) -> AuditHead:
    """Read a head as it is printed.

    Raises:
        AuditError: it is none.

    """
    chain, _, rest = text.strip().partition("/")
    number, _, digest = rest.partition("/")
    if not (chain and number.isdigit() and digest.startswith("sha256:")):
        msg = f"{text!r} is no head of an audit"
        raise AuditError(msg, hint="it looks like CHAIN/NUMBER/sha256:…")
    return AuditHead(stack_id=stack_id, chain=chain, sequence=int(number), hash=digest)


class Audit:
    """The audit of one stack; get it from the stack: ``ws["dev"].audit``.

    Example:
        .. code-block:: python

            audit = ws["dev"].audit
            assert audit.verify().intact
            print(audit.timeline(kind="heal"))

    """

    def __init__(
        self,
        *,
        stack_id: str,
        environment: str,
        file: AuditFile,
        make_sinks: Callable[[], Mapping[str, AuditSink]],
    ) -> None:
        self.stack_id = stack_id
        self.environment = environment
        self._file = file
        self._make_sinks = make_sinks
        self._sinks: Mapping[str, AuditSink] | None = None

    @property
    def path(self) -> Path:
        """Where the records are."""
        return self._file.path(self.stack_id)

    # --- recording ----------------------------------------------------------------------------

    def record(self, kind: str, **fields: Any) -> AuditEvent:  # noqa: ANN401 - fields of AuditEvent
        """Record one event, and give it to every sink.

        Args:
            kind: see :class:`~infometis_sdk.model.audit.AuditEvent`.
            **fields: its other fields; actor, stack and environment are filled in.

        Returns:
            The record with its place in the chain.

        Raises:
            AuditError: it cannot be kept, or a sink refuses it.

        """
        from infometis_sdk._adapters.actor import actor

        if self._sinks is None:
            self._sinks = self._make_sinks()
        given = {"actor": actor(), **fields}
        kept = self._file.record(
            AuditEvent(kind=kind, stack_id=self.stack_id, environment=self.environment, **given)
        )
        for name, sink in self._sinks.items():
            try:
                sink.append(kept)
            except Exception as error:
                msg = f"the audit sink {name!r} failed: {type(error).__name__}: {error}"
                raise AuditError(msg, hint="mend it, or take it out of policies.audit") from error
        return kept

    @contextmanager
    def acting(
        self,
        plan: Plan,
        cluster: Cluster,
        run: Run,
        *,
        verb: str,
        reason: str = "",
        kind: str = "write",
        confirm: str = "",
        keep: bool = True,
    ) -> Iterator[Action]:
        """Record the beginning and the end of carrying out a plan.

        Args:
            plan: what is carried out.
            cluster: where heads are kept.
            run: of the action.
            verb: such as ``apply``.
            reason: why, in the actor's words.
            kind: ``write`` or ``heal``.
            confirm: digest that was given as confirmation.
            keep: keep the head in the cluster afterwards.

        Yields:
            What the writer is given: its ``before`` is to be called before the first write,
            its ``run`` records each credential that is created.

        """
        action = Action(self, plan, run, verb=verb, reason=reason, kind=kind, confirm=confirm)
        try:
            yield action
        except BaseException as error:
            action.end(error)
            # Where the API or the Lease was lost, the next action brings the head along.
            if keep and isinstance(error, ApplyError):
                self._keep(action, cluster)
            raise
        action.end(None)
        if keep:
            self._keep(action, cluster)

    def _keep(self, action: Action, cluster: Cluster) -> None:
        if action.head is not None:
            action.warnings += self.keep(cluster, action.head, action.namespace)

    @contextmanager
    def ending(self, verb: str, *, reason: str = "") -> Iterator[None]:
        """Record the beginning and the end of what needs no plan, such as ``destroy``."""
        action = secrets.token_hex(6)
        fields: dict[str, Any] = {"verb": verb, "action": action, "reason": reason}
        self.record("write", phase="begin", **fields)
        try:
            yield
        except BaseException as error:
            self.record(
                "write",
                phase="end",
                result=_result_of(error),
                evidence={"error": _text(error)},
                **fields,
            )
            raise
        self.record("write", phase="end", result="done", **fields)

    def keep(self, cluster: Cluster, head: AuditHead, namespace: str) -> list[str]:
        """Keep a head in the cluster; returns what went wrong, which changes nothing."""
        from infometis_sdk.engine.writing.audit_heads import keep_head

        run = Run.within(_KEEPING)
        try:
            keep_head(cluster, head.kept_by(self._file.ledger(self.stack_id)), namespace, run)
        except NotFoundError:
            return []  # the home namespace is gone, or was never made
        except (ClusterError, InfometisError) as error:
            return [f"the audit's head is not kept in the cluster: {error.message}"]
        return []

    # --- asking -------------------------------------------------------------------------------

    def head(self) -> AuditHead | None:
        """Return what this machine remembers of the newest record."""
        return self._file.head(self.stack_id)

    def verify(
        self,
        heads: Mapping[str, Sequence[AuditHead]] | None = None,
        *,
        copies: Sequence[AuditLine] = (),
        notes: Sequence[str] = (),
    ) -> AuditReport:
        """Find every record that was removed, changed, reordered or cut off.

        Args:
            heads: heads that others kept, such as those of the cluster, or one that was printed.
            copies: what the sink ``cluster`` keeps: this machine's records are compared with
                theirs, and those of others with each other.
            notes: what could not be compared with.

        Raises:
            AuditError: the records cannot be read.

        """
        from infometis_sdk.engine.audit import sort_copies, verify

        more = list(notes)
        kept: dict[str, Sequence[AuditHead]] = {}
        try:
            own = self.head()
        except AuditError as error:
            own = None
            more.append(error.message)
        if own:
            kept["this machine"] = (own,)
        lines = list(self._file.read(self.stack_id))
        mine = self._file.ledger(self.stack_id)
        chains = {own.chain} if own else set()
        # A chain that took the place of an earlier one is told by the heads that others kept.
        here = chains | {h.chain for g in (heads or {}).values() for h in g if h.ledger == mine}
        sorted_ = sort_copies(self.stack_id, copies, here)
        if sorted_.heads:
            kept["copies in the cluster"] = sorted_.heads
        for name, group in (heads or {}).items():
            # Other machines have chains of their own, which cannot be looked at from here.
            kept[name] = tuple(h for h in group if h.ledger in ("", mine) or h.chain in chains)
            others = len({h.chain for h in group} - {h.chain for h in kept[name]})
            if others:
                more.append(f"{name} knows {others} chains of other machines; verify them there")
        report = verify(self.stack_id, lines, kept)
        found = [verify(self.stack_id, each, {}) for each in sorted_.others.values()]
        more += [f"{r.records} copies of records of another machine; head {r.head}" for r in found]
        faults = [*report.faults, *sorted_.faults, *(f for r in found for f in r.faults)]
        return attrs.evolve(report, faults=faults, notes=(*report.notes, *more))

    def timeline(
        self,
        *,
        since: str = "",
        until: str = "",
        actor: str = "",
        kind: str = "",
        about: str = "",
        lines: Iterable[AuditLine] | None = None,
    ) -> AuditTimeline:
        """Return the records that fit, oldest first.

        Args:
            since: UTC, ISO 8601 or the beginning of it, such as ``2026-11-24``.
            until: the same; covers all that begins with it.
            actor: part of the actor.
            kind: one of :data:`~infometis_sdk.model.audit.KINDS`.
            about: part of an object's name, such as ``StatefulSet/kafka``.
            lines: other records than this machine's, such as those of
                :meth:`.Stack.audit_copies`.

        """
        from infometis_sdk._serde.audit_lines import read_audit_line

        def fits(event: AuditEvent) -> bool:
            if event.time < since or (until and event.time[: len(until)] > until):
                return False
            if actor not in event.actor or kind not in ("", event.kind):
                return False
            if not about:
                return True
            told = (event.evidence.get("subject", ""), *event.evidence.get("objects", ()))
            objects = (*(o.object for o in event.outcomes), *(c.object for c in event.diff))
            return any(about in str(name) for name in (*told, *objects))

        found: list[AuditEvent] = []
        unreadable = 0
        for line in self._file.read(self.stack_id) if lines is None else lines:
            try:
                event = read_audit_line(line.text)
            except ValueError:
                unreadable += bool(line.text)
                continue
            if fits(event):
                found.append(event)
        return AuditTimeline(stack_id=self.stack_id, events=found, unreadable=unreadable)


def _result_of(error: BaseException) -> str:
    if isinstance(error, RefusedError):
        return "refused"
    if isinstance(error, (CancelledError, KeyboardInterrupt)):
        return "cancelled"
    return "failed"


def _text(error: BaseException) -> str:
    return error.message if isinstance(error, InfometisError) else type(error).__name__


class Action:
    """One plan being carried out, as the audit sees it.

    Attributes:
        head: of the newest record of this action; ``None`` before it began.
        namespace: the stack's home, where heads are kept.
        warnings: what went wrong with the records without harm to the action.

    """

    def __init__(
        self,
        audit: Audit,
        plan: Plan,
        within: Run,
        *,
        verb: str,
        reason: str,
        kind: str,
        confirm: str,
    ) -> None:
        self.head: AuditHead | None = None
        self.warnings: list[str] = []
        self._audit, self._plan, self._within = audit, plan, within
        self._kind, self._confirm = kind, confirm
        self._fields: dict[str, Any] = {"action": secrets.token_hex(6), "reason": reason}
        self._verb = verb
        self.namespace = plan.namespace
        self._outcomes: Sequence[Outcome] = ()
        self._release = 0

    def before(self, plan: Plan) -> None:
        """Record what will be done; where that cannot be kept, nothing must be done.

        Raises:
            AuditError: it cannot be kept.

        """
        if plan.empty and not plan.unfinished:
            return
        for name, what in overrides_of(plan, confirm=self._confirm).items():
            self._record("override", verb=name, evidence={"what": what}, plan=plan.digest)
        self._record(self._kind, **begun(plan), verb=self._verb, phase="begin")

    @property
    def run(self) -> Run:
        """The caller's run, which also records every credential that is created."""

        def emit(event: Event) -> None:
            if event.name == "credential" and event.state == "finished":
                self._record("credential", verb="create", evidence={"subject": event.subject})
            self._within.emit(event)

        return attrs.evolve(self._within, emit=emit)

    def done(self, outcomes: Sequence[Outcome], *, release: int = 0) -> None:
        """Take note of what became of every object."""
        self._outcomes, self._release = outcomes, release

    def end(self, error: BaseException | None) -> None:
        """Record how it ended; what cannot be kept any more is a warning."""
        if self.head is None:
            return  # refused before anything was begun
        if isinstance(error, ApplyError):
            self.done(error.report.outcomes, release=error.report.release)
        try:
            self._record(
                self._kind,
                verb=self._verb,
                phase="end",
                result=_result_of(error) if error else "done",
                plan=self._plan.digest,
                cluster_uid=self._plan.cluster_uid,
                release=self._release,
                outcomes=outcomes_of(self._outcomes),
                evidence={"error": _text(error)} if error else {},
            )
        except AuditError as trouble:
            self.warnings.append(f"its end is not in the audit: {trouble.message}")
        self._within.emit(Event(name="audit", subject="head", detail=str(self.head)))

    def _record(self, kind: str, **fields: Any) -> None:  # noqa: ANN401 - fields of AuditEvent
        self.head = self._audit.record(kind, **self._fields, **fields).head
