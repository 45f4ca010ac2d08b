"""Workloads that do not become ready: when to look closer, and what to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

from infometis_sdk.model.guard import GuardNote

if TYPE_CHECKING:
    from infometis_sdk.engine.readiness.diagnose import Diagnosis
    from infometis_sdk.engine.readiness.verdict import Verdict
    from infometis_sdk.model.reference import ObjectRef

__all__ = ("GLANCES", "Key", "Rollouts")

Key = tuple[str, str, str, str]

GLANCES = (30.0, 90.0, 300.0, 600.0)
"""Seconds after which a workload that is not ready is diagnosed: its pods and events are read.

The last is the progress deadline that Kubernetes gives a Deployment by default.
"""


@define(eq=False)
class _Late:
    since: float
    due: float
    glances: int = 0
    told: str = ""


class Rollouts:
    """The workloads that are not ready; events and time in, decisions out."""

    def __init__(self) -> None:
        self._late: dict[Key, _Late] = {}

    def seen(self, key: Key, ref: ObjectRef, verdict: Verdict, now: float) -> tuple[GuardNote, ...]:
        """Take note of what an event says about a workload.

        Args:
            key: the workload.
            ref: its name.
            verdict: from its own status alone.
            now: monotonic seconds.

        """
        if verdict.state in ("ready", "suspended", "missing"):
            late = self._late.pop(key, None)
            return (_note(ref, condition="closed"),) if late and late.told else ()
        late = self._late.get(key)
        if late is None:
            first = 0.0 if verdict.state == "failed" else min(GLANCES[0], verdict.patience)
            self._late[key] = _Late(since=now, due=now + first)
        elif verdict.state == "failed" and not late.told:
            late.due = now
        return ()

    @property
    def stuck(self) -> int:
        """How many were told to be stuck."""
        return sum(bool(late.told) for late in tuple(self._late.values()))

    def due(self, now: float) -> tuple[Key, ...]:
        """Return the workloads that are to be diagnosed now."""
        return tuple(key for key, late in self._late.items() if late.due <= now)

    @property
    def wake(self) -> float:
        """When the next diagnosis is due; ``inf`` for never."""
        return min((late.due for late in self._late.values()), default=float("inf"))

    def diagnosed(
        self, key: Key, ref: ObjectRef, diagnosis: Diagnosis, now: float
    ) -> tuple[GuardNote, ...]:
        """Take note of a diagnosis; say so once where the rollout is stuck."""
        late = self._late.get(key)
        if late is None:
            return ()
        seconds = now - late.since
        verdict = diagnosis.verdict.after(seconds)
        if verdict.state in ("ready", "suspended"):
            return self.seen(key, ref, verdict, now)
        late.glances += 1
        ahead = [late.since + glance for glance in GLANCES if late.since + glance > now]
        late.due = min(ahead, default=float("inf"))
        stuck = verdict.state in ("failed", "unknown") or seconds >= GLANCES[-1]
        if not stuck or late.told == verdict.reason:
            return ()
        late.told = verdict.reason or verdict.state
        last = f"; last event: {diagnosis.events[-1]}" if diagnosis.events else ""
        hint = f"; {diagnosis.hint}" if diagnosis.hint else ""
        return (
            _note(ref, level="error", condition="open", detail=f"{verdict.reason}{hint}{last}"),
        )


def _note(
    ref: ObjectRef, *, level: str = "info", condition: str = "", detail: str = ""
) -> GuardNote:
    return GuardNote(
        name="rollout stuck",
        level=level,
        condition=condition,
        subject=str(ref),
        namespace=ref.namespace,
        detail=detail,
    )
