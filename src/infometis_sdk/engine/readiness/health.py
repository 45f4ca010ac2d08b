"""From what was seen to a HealthReport."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.engine.readiness.diagnose import log_tail
from infometis_sdk.engine.reading.parallel import parallel
from infometis_sdk.model.report import HealthItem, HealthReport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infometis_sdk.engine.readiness.survey import Seen, Target
    from infometis_sdk.engine.readiness.verdict import Verdict
    from infometis_sdk.engine.reading.look import Key
    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster

__all__ = (
    "SIMULATED",
    "health_item",
    "report",
    "tails",
)

SIMULATED = "ready (simulated)"


def health_item(
    target: Target, seen: Seen | None, verdict: Verdict, *, logs: str = "", simulated: bool
) -> HealthItem:
    """Make the item of one object; what runs only in a simulation is never called plainly ready."""
    state = SIMULATED if simulated and verdict.state == "ready" else verdict.state
    good = verdict.state == "ready"
    return HealthItem(
        ref=target.ref,
        service=target.service,
        state=state,
        reason=verdict.reason,
        hint="" if good or seen is None else seen.diagnosis.hint,
        events=() if good or seen is None else seen.diagnosis.events,
        logs=logs,
    )


def tails(
    cluster: Cluster, seen: Mapping[Key, Seen], keys: Sequence[Key], run: Run, *, simulated: bool
) -> dict[Key, str]:
    """Fetch the log tails of the containers at fault, one for each object."""
    guilty = [(key, seen[key].culprit) for key in keys if key in seen]
    known = [(key, culprit) for key, culprit in guilty if culprit is not None]
    texts = parallel(
        lambda pair: log_tail(cluster, pair[1], run, simulated=simulated),
        known,
        run,
        "reading logs",
    )
    return {key: text for (key, _), text in zip(known, texts, strict=True)}


def report(
    manifests: ManifestSet, items: Sequence[HealthItem], *, simulated: bool, seconds: float
) -> HealthReport:
    """Make the report; versions are those of the services as composed."""
    named = {item.service for item in items if item.service}
    return HealthReport(
        stack_id=manifests.stack_id,
        items=tuple(items),
        simulated=simulated,
        seconds=seconds,
        versions={
            name: composed.service.version
            for name, composed in manifests.services.items()
            if name in named
        },
    )
