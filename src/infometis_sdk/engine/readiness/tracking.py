"""How one object's readiness develops while we watch it, by our own clock alone; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from infometis_sdk.engine.readiness.survey import Seen, Target
from infometis_sdk.engine.readiness.verdict import Verdict, progressing

if TYPE_CHECKING:
    from infometis_sdk.engine.reading.look import Key

__all__ = (
    "SLOW_START",
    "Object",
    "Timing",
    "Tracker",
    "limit_of",
)

Object = Mapping[str, Any]


@frozen(kw_only=True)
class Timing:
    """How long is waited, in seconds.

    Attributes:
        resource: for one object.
        first_start: for a workload's first start where its probes grant a slow one (JVM services
            with an image pull).
        services: limits of single services, instead of both.
        patience: factor on how long symptoms may last.
        settle: what was wrong at the first look gets at least this long, since its cure may be
            what was just applied and the kubelet and the controllers try again with delay.
        interval: between two looks, once the first quick ones are over.
        explain: between two fetches of events, claims, classes and nodes.
        heartbeat: between two words to the user.

    """

    resource: float = 600.0
    first_start: float = 1200.0
    services: Mapping[str, float] = field(factory=dict)
    patience: float = 1.0
    settle: float = 15.0
    interval: float = 1.0
    explain: float = 5.0
    heartbeat: float = 10.0


SLOW_START = 120
"""Seconds of start-up budget from which a service counts as slow; JVM services grant 300."""


@define(eq=False)
class Tracker:
    """One object under watch.

    Attributes:
        target: the object.
        outcome: ``ready``, ``failed``, ``timed out``, ``unknown``, ``suspended`` or ``skipped``;
            empty while it is waited for.
        verdict: the last one.
        seen: what the last look found out.
        ran: it was seen at work.

    """

    target: Target
    timing: Timing
    outcome: str = ""
    verdict: Verdict = field(factory=lambda: progressing("not looked at yet"))
    seen: Seen | None = None
    ran: bool = False
    _symptom: str = ""
    _held: float = 0.0
    _from_start: str | None = None
    _good_at: float | None = None
    _began: float | None = None

    @property
    def key(self) -> Key:
        """Identity of the object."""
        return self.target.ref.key

    def update(self, seen: Seen, now: float, gap: float, *, gated: bool) -> None:
        """Take in one look.

        Args:
            seen: what was found.
            now: our monotonic clock.
            gap: seconds since the last look that count as observed; an outage of the API server
                does not, since nobody saw the symptom then.
            gated: the service waits for another one: good news counts, symptoms and time do not.

        """
        self.seen = seen
        self._notice_work(seen)
        verdict = self._timed(seen.verdict, gap, gated=gated)
        self.verdict = verdict
        if verdict.state == "ready":
            self._confirm(verdict, now)
            return
        self._good_at = None
        if gated:
            return
        if self._began is None:
            self._began = now
        limit = limit_of(self.target, seen.live, self.timing)
        if verdict.state in {"failed", "unknown", "suspended"}:
            self.outcome = verdict.state
        elif (
            verdict.symptom and verdict.becomes == verdict.state and self._held >= verdict.patience
        ):
            self.outcome = "failed"  # missing or terminating for too long
        elif now - self._began >= limit:
            self.time_out(f"{limit:.0f} s")

    def time_out(self, span: str) -> None:
        """Give up on the object."""
        self.outcome = "timed out"
        text = f"timed out after {span}: {self.verdict.reason}".removesuffix(": ")
        self.verdict = evolve(self.verdict, reason=text)

    def skip(self, why: str) -> None:
        """Give up on the object because of another one."""
        self.outcome = "skipped"
        self.verdict = Verdict(state="skipped", reason=why)

    def explain(self, seen: Seen) -> None:
        """Take over what a last look found round the object; the outcome stays."""
        self.seen = seen
        better = seen.verdict.reason
        if self.outcome == "failed" and seen.verdict.state != "ready" and better:
            self.verdict = evolve(self.verdict, reason=better)

    def reopen(self) -> None:
        """Wait for it again: it was ready and is not any more."""
        self.outcome = ""
        self._good_at = None

    def _timed(self, verdict: Verdict, gap: float, *, gated: bool) -> Verdict:
        if self._from_start is None:
            self._from_start = verdict.symptom
        if gated or verdict.symptom != self._symptom:
            self._symptom, self._held = verdict.symptom, 0.0
        else:
            self._held += gap
        if gated:
            return verdict
        patience = verdict.patience * self.timing.patience
        if verdict.symptom and verdict.symptom == self._from_start:
            patience = max(patience, self.timing.settle)
        return evolve(verdict, patience=patience).after(self._held)

    def _confirm(self, verdict: Verdict, now: float) -> None:
        if self._good_at is None:
            self._good_at = now
        if now - self._good_at >= verdict.confirm:
            self.outcome = "ready"

    def _notice_work(self, seen: Seen) -> None:
        status = (seen.live or {}).get("status") or {}
        if self.target.ref.kind == "Job" and (status.get("active") or status.get("succeeded")):
            self.ran = True


def limit_of(target: Target, live: Object | None, timing: Timing) -> float:
    """Return for how long an object is waited for.

    The longer limit holds for the first generation of a workload whose probes grant a slow start.
    Pods of an ordered StatefulSet start one after the other, each with that budget.
    """
    special = timing.services.get(target.service)
    if special is not None:
        return special
    spec = (live or target.desired).get("spec") or {}
    pod = (spec.get("template") or {}).get("spec") or {}
    budget = max((_budget(c) for c in pod.get("containers") or ()), default=0)
    if budget < SLOW_START:
        return timing.resource
    ordered = spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady"
    in_turn = ordered and target.ref.kind == "StatefulSet"
    pods = int(spec.get("replicas") or 1) if in_turn else 1
    first = int(((live or {}).get("metadata") or {}).get("generation") or 1) == 1
    return max(timing.first_start if first else timing.resource, float(budget * pods))


def _budget(container: Object) -> int:
    probe = container.get("startupProbe") or {}
    if not probe:
        return 0
    tries = int(probe.get("failureThreshold") or 3) * int(probe.get("periodSeconds") or 10)
    return int(probe.get("initialDelaySeconds") or 0) + tries
