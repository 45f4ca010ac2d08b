"""The small wait inside apply: what the next objects build on must be there first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from infometis_sdk.engine.readiness.rules import readiness
from infometis_sdk.engine.readiness.verdict import Context, Verdict
from infometis_sdk.engine.reading.look import endpoints
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.errors import NotReadyError
from infometis_sdk.model.report import HealthItem, HealthReport
from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infometis_sdk.model.reference import ObjectRef
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("ESTABLISHED_SECONDS", "wait_established")

ESTABLISHED_SECONDS = 120.0
"""Names are accepted within a second; the Service of a webhook has to pull an image."""


def wait_established(
    cluster: Cluster, refs: Sequence[ObjectRef], run: Run, *, seconds: float = ESTABLISHED_SECONDS
) -> None:
    """Wait until the next objects can build on these.

    A Namespace has to be Active, a CustomResourceDefinition Established with its names accepted,
    and a Service (one that answers for a webhook) needs a ready endpoint.

    Args:
        cluster: the API.
        refs: the objects.
        run: deadline and cancel token.
        seconds: how long to wait, within the run's deadline.

    Raises:
        NotReadyError: a definition's names are refused, a Namespace is being deleted, or the time
            is used up; ``.report`` names the objects.
        DeadlineError: no time is left for the whole verb.

    """
    limit = evolve(run, deadline=min(run.deadline, Run.within(seconds).deadline))
    left = list(refs)
    while left:
        judged = parallel(lambda ref: _judge(cluster, ref, run), left, run, "waiting for kinds")
        pairs = list(zip(left, judged, strict=True))
        lost = [(ref, v) for ref, v in pairs if v.state == "failed"]
        waiting = [(ref, v) for ref, v in pairs if v.state != "ready"]
        if lost or (waiting and not limit.remaining() and run.remaining()):
            raise _not_established(lost or waiting)
        left = [ref for ref, _ in waiting]
        if left:
            run.sleep(min(0.1, limit.remaining()), f"waiting for {left[0]}")


def _judge(cluster: Cluster, ref: ObjectRef, run: Run) -> Verdict:
    live = cluster.get(ref, run)
    context = Context()
    if ref.kind == "Service" and live is not None:
        count = endpoints(cluster, ref.namespace, ref.name, run)
        context = Context(require_endpoints=True, endpoints=count)
    verdict = readiness(live, context=context)
    if verdict.state == "terminating":
        # What is applied to it now would go with it.
        return Verdict(state="failed", reason=verdict.reason)
    return verdict.after(0)


def _not_established(bad: Sequence[tuple[ObjectRef, Verdict]]) -> NotReadyError:
    items = tuple(HealthItem(ref=r, state=v.state, reason=v.reason) for r, v in bad)
    text = "; ".join(f"{ref} is not ready to build on: {v.reason}" for ref, v in bad)
    return NotReadyError(
        text,
        report=HealthReport(stack_id="", items=items),
        hint="see the conditions of the object with kubectl describe",
    )
