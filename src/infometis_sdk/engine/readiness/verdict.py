"""What one look at a live object says about its readiness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen

__all__ = (
    "CONFIRM_SECONDS",
    "Context",
    "Object",
    "Verdict",
    "condition",
    "failing",
    "progressing",
    "ready",
)

CONFIRM_SECONDS = 1.0
"""Time between the two good reads that a kind without ``observedGeneration`` needs."""

Object = Mapping[str, Any]


@frozen(kw_only=True)
class Verdict:
    """State of one object at one moment, judged without a clock.

    Times are the caller's: it watches how long ``symptom`` has held by its own monotonic clock
    and asks :meth:`after`. Time stamps inside the object are never compared with local time,
    since the clocks of a cluster and of a laptop differ.

    Attributes:
        state: ``ready``, ``progressing``, ``suspended``, ``missing``, ``terminating``, ``failed``
            or ``unknown``; ``failed`` is said only where nothing can mend the object as it is.
        reason: one line: what is missing for it to be ready, or why it failed.
        symptom: fixed word for what must not last; empty when all goes well.
        patience: seconds for which the symptom may last.
        becomes: state once the patience is used up.
        confirm: a good state has to be read twice, at least that many seconds apart.

    """

    state: str
    reason: str = ""
    symptom: str = ""
    patience: float = float("inf")
    becomes: str = "failed"
    confirm: float = 0.0

    def after(self, seconds: float) -> Verdict:
        """Return the verdict once the symptom has been seen for that long.

        Example:
            >>> failing("image cannot be pulled", "ImagePullBackOff", 60).after(61).state
            'failed'

        """
        if self.symptom and seconds >= self.patience:
            return evolve(self, state=self.becomes)
        return self


@frozen(kw_only=True)
class Context:
    """What the object itself does not say.

    Attributes:
        desired: the object as we want it, for the time when the live one is gone.
        seen_running: an earlier read of this wait found it at work (a Job that its TTL removes).
        load_balancer: the platform proved that a Service of type LoadBalancer gets an address.
        require_endpoints: a Service with a selector needs a ready endpoint (webhooks do).
        endpoints: ready endpoints of the Service, or of the Service behind a webhook;
            ``None`` when nobody looked.
        late_binding: the claim's StorageClass binds when the first pod comes.
        has_consumer: a pod that uses the claim exists.
        owner_ready: whether the custom resource that owns the object is ready;
            ``None`` without one.
        autoscaled: the platform adds nodes when pods do not fit.
        has_status: whether the kind can have a status; ``None`` when nobody looked.

    """

    desired: Object | None = None
    seen_running: bool = False
    load_balancer: bool = False
    require_endpoints: bool = False
    endpoints: int | None = None
    late_binding: bool = False
    has_consumer: bool = False
    owner_ready: bool | None = None
    autoscaled: bool = False
    has_status: bool | None = None


def ready(reason: str = "", *, confirm: float = 0.0) -> Verdict:
    """Return a good verdict."""
    return Verdict(state="ready", reason=reason, confirm=confirm)


def progressing(reason: str) -> Verdict:
    """Return the verdict on an object that is on its way."""
    return Verdict(state="progressing", reason=reason)


def failing(
    reason: str, symptom: str, patience: float, *, state: str = "progressing", becomes: str = ""
) -> Verdict:
    """Return the verdict on an object that is not yet lost but will be if this lasts.

    Args:
        reason: one line.
        symptom: fixed word.
        patience: seconds for which it may last.
        state: state until then.
        becomes: state afterwards; ``failed``, or ``state`` where that is another one already.

    """
    after = becomes or ("failed" if state == "progressing" else state)
    return Verdict(state=state, reason=reason, symptom=symptom, patience=patience, becomes=after)


def condition(obj: Object, kind: str) -> Object:
    """Return a condition of the status; one with status ``""`` where there is none."""
    for found in (obj.get("status") or {}).get("conditions") or ():
        if found.get("type") == kind:
            return found  # type: ignore[no-any-return] # plain JSON
    return {"type": kind, "status": "", "reason": "", "message": ""}
