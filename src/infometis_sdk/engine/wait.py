"""Wait until a stack is ready, or say what keeps it from being so."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from attrs import define, evolve, field

from infometis_sdk.engine.readiness.health import health_item, report, tails
from infometis_sdk.engine.readiness.survey import Surveyor, targets
from infometis_sdk.engine.readiness.tracking import Timing, Tracker
from infometis_sdk.errors import (
    ClusterError,
    DeadlineError,
    NotReadyError,
    ThrottledError,
    UnauthorizedError,
    UnreachableError,
)
from infometis_sdk.model.run import Event, Run
from infometis_sdk.model.stack import ManifestSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infometis_sdk.engine.readiness.survey import Seen
    from infometis_sdk.engine.reading.look import Key
    from infometis_sdk.model.report import HealthReport
    from infometis_sdk.ports.cluster import Cluster

__all__ = (
    "BLOCKERS",
    "FIRST_LOOK_SECONDS",
    "LAST_WORDS_SECONDS",
    "LOOK_SECONDS",
    "LOOK_SECONDS_MAX",
    "QUICK",
    "Timing",
    "wait",
)

QUICK = 0.2
"""Seconds after the first look; what takes no time shall not wait for the rhythm of the rest."""

LOOK_SECONDS = 8.0
LOOK_SECONDS_MAX = 64.0
"""One look may take that long, twice as long after each one that was too short: an API server that
hangs is asked again soon enough to tell the user, and a slow one gets its time."""

FIRST_LOOK_SECONDS = 120.0
"""For the first answer; a run without a deadline shall not wait for a dead server for ever."""

LAST_WORDS_SECONDS = 5.0
"""For events and logs once the time is used up: an error without a reason helps nobody."""

BLOCKERS = 3

_SERVER_FAULT = 500


def wait(
    cluster: Cluster,
    manifests: ManifestSet,
    run: Run,
    *,
    simulated: bool,
    services: Sequence[str] = (),
    timing: Timing | None = None,
    load_balancer: bool = False,
    autoscaled: bool = False,
) -> HealthReport:
    """Wait until every object of the stack, or of some of its services, is ready.

    Services wait for each other only along declared ``needs``: while one that is needed is not
    ready, the symptoms of its dependants do not count and their time does not run.
    When it fails they are skipped; independent services go on to their own end.
    An API server that does not answer is asked again until the run's deadline.

    Args:
        cluster: the API.
        manifests: what the stack wants.
        run: the overall deadline; events go to its caller.
        simulated: containers do not really run; ``ready`` is then ``ready (simulated)``.
        services: only these; nothing else is waited for, not even what they need.
        timing: how long is waited.
        load_balancer: the platform proved that Services get an address.
        autoscaled: the platform adds nodes when pods do not fit.

    Returns:
        The report. Objects may be ``unknown`` (nothing tells whether they are ready) or
        ``suspended``; both are warnings of the run and no errors.

    Raises:
        NotReadyError: something failed or its time was used up; ``.report`` has every object.
        CancelledError: the caller cancelled.

    Example:
        >>> report = wait(cluster, manifests, Run.within(600), simulated=False)  # doctest: +SKIP
        >>> report.ready  # doctest: +SKIP
        True

    """
    clock = timing or Timing()
    aims = targets(manifests, services=services)
    surveyor = Surveyor(
        cluster=cluster,
        stack_id=manifests.stack_id,
        load_balancer=load_balancer,
        autoscaled=autoscaled,
    )
    waiting = _Waiting(
        manifests=manifests,
        run=run,
        timing=clock,
        surveyor=surveyor,
        trackers=[Tracker(target=aim, timing=clock) for aim in aims],
        simulated=simulated,
    )
    waiting.loop()
    return waiting.finish(cluster, simulated=simulated)


@define(eq=False)
class _Waiting:
    """One wait: the trackers, and what the user was told."""

    manifests: ManifestSet
    run: Run
    timing: Timing
    surveyor: Surveyor
    trackers: list[Tracker]
    simulated: bool
    began: float = field(factory=time.monotonic)
    outage: str = ""
    troubles: list[Tracker] = field(factory=list)
    _said: dict[str, str] = field(factory=dict)
    _looked: float | None = None
    _patience: float = LOOK_SECONDS
    _explained: float = field(factory=time.monotonic)
    _spoke: float = field(factory=time.monotonic)

    def loop(self) -> None:
        """Look until everything has an outcome or the time is used up."""
        pause = QUICK
        for service in self._services():
            self._say(service, "started")
        while True:
            try:
                self.run.check("waiting for readiness")
                if self._look() and self._settled():
                    return
                self._heartbeat()
                # Jitter, so that many waits at one API server do not fall into step.
                self.run.sleep(pause * random.uniform(0.8, 1.2), "waiting for readiness")  # noqa: S311
            except DeadlineError:
                self._time_is_up()
                return
            pause = min(self.timing.interval, pause * 1.5)

    def _look(self) -> bool:
        """Look once; say whether the API server answered."""
        now = time.monotonic()
        open_ = [t for t in self.trackers if not t.outcome]
        explain = now - self._explained >= self.timing.explain
        try:
            seen = self.surveyor.survey(
                [t.target for t in open_],
                evolve(self.run, deadline=min(self.run.deadline, now + self._patience)),
                explain=explain,
                running=frozenset(t.key for t in open_ if t.ran),
            )
        except (ClusterError, DeadlineError) as error:
            if not self._passes(error):
                raise
            self.outage = error.message
            self._patience = min(2 * self._patience, LOOK_SECONDS_MAX)
            return False
        if explain:
            self._explained = now
        # Time that nobody looked through (an outage, a machine that slept) is not held against
        # the objects.
        gap = 0.0 if self._looked is None else min(now - self._looked, 3 * self.timing.interval)
        self.outage, self._looked, self._patience = "", now, LOOK_SECONDS
        for service in self._services():
            self._judge(service, [t for t in open_ if t.target.service == service], seen, now, gap)
        return True

    def _passes(self, error: ClusterError | DeadlineError) -> bool:
        """Say whether an error may pass: the API server restarts, or is too slow this time."""
        if self._looked is None and time.monotonic() - self.began > FIRST_LOOK_SECONDS:
            return False  # it never answered: this is no restart
        if isinstance(error, DeadlineError):
            return self.run.remaining() > 0
        if isinstance(error, UnauthorizedError):
            # Accepted before: a server that is just starting cannot check tokens yet.
            return self._looked is not None
        return isinstance(error, (UnreachableError, ThrottledError)) or (
            error.status >= _SERVER_FAULT
        )

    def _judge(
        self,
        service: str,
        open_: Sequence[Tracker],
        seen: Mapping[Key, Seen],
        now: float,
        gap: float,
    ) -> None:
        if not open_:
            return
        lost = self._lost_need(service)
        gated = bool(lost) or not self._needs_ready(service)
        for tracker in open_:
            tracker.update(seen[tracker.key], now, gap, gated=gated)
            if tracker.outcome in {"failed", "timed out"}:
                self.troubles.append(tracker)
            elif not tracker.outcome and lost:
                tracker.skip(lost)
        self._tell(service)

    def _settled(self) -> bool:
        """Say whether everything has an outcome, and what is ready still is."""
        if any(not t.outcome for t in self.trackers):
            return False
        if self._quick():
            return True
        good = [t for t in self.trackers if t.outcome == "ready"]
        try:
            seen = self.surveyor.survey([t.target for t in good], self.run, explain=False)
        except (ClusterError, DeadlineError) as error:
            if not self._passes(error):
                raise
            return False
        for tracker in good:
            now = seen[tracker.key].verdict
            gone_by_ttl = tracker.target.ref.kind == "Job" and now.state == "missing"
            if now.state != "ready" and not gone_by_ttl:
                tracker.reopen()
        return all(t.outcome for t in self.trackers)

    def _quick(self) -> bool:
        """Say whether the wait was too short for anything to have changed back."""
        return time.monotonic() - self.began < self.timing.interval

    def _services(self) -> list[str]:
        """Return the services waited for, in dependency order, the stack's own objects first."""
        rank = {name: place for place, name in enumerate(self.manifests.order)}
        named = dict.fromkeys(t.target.service for t in self.trackers)
        return sorted(named, key=lambda name: (bool(name), rank.get(name, len(rank))))

    # --- needs -------------------------------------------------------------------------------

    def _needed(self, service: str) -> list[str]:
        here = set(self._services())
        return [name for name in self.manifests.needs.get(service, ()) if name in here]

    def _outcomes(self, service: str) -> set[str]:
        return {t.outcome for t in self.trackers if t.target.service == service}

    def _needs_ready(self, service: str) -> bool:
        return all(self._outcomes(n) <= {"ready", "unknown"} for n in self._needed(service))

    def _lost_need(self, service: str) -> str:
        """Say which needed service will not become ready any more; empty while all may."""
        for needed in self._needed(service):
            for outcome, words in _LOST.items():
                if outcome in self._outcomes(needed):
                    return f"it needs {needed}, which {words}"
        return ""

    # --- what the user is told -----------------------------------------------------------------

    def _tell(self, service: str) -> None:
        """Say how a service stands once that is known."""
        mine = [t for t in self.trackers if t.target.service == service]
        bad = [t for t in mine if t.outcome not in {"ready", ""}]
        if bad and (bad[0].outcome != "skipped" or all(t.outcome for t in mine)):
            state = {"skipped": "skipped", "failed": "failed", "timed out": "failed"}
            first = min(bad, key=lambda t: t.outcome not in state)
            detail = f"{first.target.ref}: {first.verdict.reason}"
            self._say(service, state.get(first.outcome, "info"), detail)
        elif all(t.outcome == "ready" for t in mine):
            self._say(service, "finished", "simulated" if self.simulated else "")
        else:
            late = [t for t in mine if not t.outcome]
            pods = [t for t in late if t.verdict.reason and t.seen is not None] or late
            self._say(service, "progress", f"{pods[0].target.ref}: {pods[0].verdict.reason}")

    def _say(self, service: str, state: str, detail: str = "") -> None:
        if self._said.get(service) == state + detail:
            return
        self._said[service] = state + detail
        mine = [t for t in self.trackers if t.target.service == service]
        self.run.emit(
            Event(
                name="wait service",
                subject=service or self.manifests.stack_id,
                state=state,
                detail=detail,
                done=sum(t.outcome == "ready" for t in mine),
                total=len(mine),
                unit="objects",
            )
        )

    def _heartbeat(self) -> None:
        now = time.monotonic()
        if now - self._spoke < self.timing.heartbeat:
            return
        self._spoke = now
        late = [t for t in self.trackers if not t.outcome]
        named = "; ".join(f"{t.target.ref}: {t.verdict.reason}" for t in late[:BLOCKERS])
        more = f"; and {len(late) - BLOCKERS} more" if len(late) > BLOCKERS else ""
        outage = f"the API server does not answer ({self.outage}); " if self.outage else ""
        self.run.emit(
            Event(
                name="wait",
                subject=self.manifests.stack_id,
                state="progress",
                detail=f"{outage}waiting for {named}{more}",
                done=sum(t.outcome == "ready" for t in self.trackers),
                total=len(self.trackers),
                unit="objects",
            )
        )

    # --- the end -------------------------------------------------------------------------------

    def _time_is_up(self) -> None:
        span = f"{time.monotonic() - self.began:.0f} s, the time for the whole verb"
        if self.outage:
            span += f" (the API server does not answer: {self.outage})"
        for tracker in self.trackers:
            if not tracker.outcome:
                tracker.time_out(span)
                self.troubles.append(tracker)
        for service in self._services():
            self._tell(service)

    def finish(self, cluster: Cluster, *, simulated: bool) -> HealthReport:
        """Explain what is not ready, report, and raise where something failed."""
        bad = [t for t in self.trackers if t.outcome not in {"ready", "skipped"}]
        last = evolve(self.run, deadline=time.monotonic() + LAST_WORDS_SECONDS)
        logs: Mapping[Key, str] = {}
        if bad:
            try:
                fresh = self.surveyor.survey([t.target for t in bad], last, explain=True)
                for tracker in bad:
                    tracker.explain(fresh[tracker.key])
                logs = tails(cluster, fresh, [t.key for t in bad], last, simulated=simulated)
            except (ClusterError, DeadlineError):
                pass  # what was seen before has to do
        items = [
            health_item(t.target, t.seen, t.verdict, logs=logs.get(t.key, ""), simulated=simulated)
            for t in self.trackers
        ]
        seconds = time.monotonic() - self.began
        result = report(self.manifests, items, simulated=simulated, seconds=seconds)
        if self.troubles:
            # The first one counts: what comes later is often its consequence.
            raise _not_ready(self.troubles[0], len(self.troubles) - 1, result)
        return result


_LOST = {
    "failed": "failed",
    "timed out": "timed out",
    "suspended": "is suspended",
    "skipped": "was skipped",
}


def _not_ready(first: Tracker, others: int, result: HealthReport) -> NotReadyError:
    target = first.target
    owner = f"service {target.service}: " if target.service else ""
    how = "" if first.outcome == "timed out" else f"{first.outcome}: "
    more = f"; {others} more not ready" if others else ""
    cure = first.seen.diagnosis.hint if first.seen is not None else ""
    return NotReadyError(
        f"{owner}{target.ref} {how}{first.verdict.reason}{more}",
        report=result,
        hint=cure or "see the report for events and logs",
    )
