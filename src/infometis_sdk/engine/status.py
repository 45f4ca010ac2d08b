"""How is the stack now? One look, no waiting."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from attrs import evolve

from infometis_sdk.engine.readiness.health import health_item, report, tails
from infometis_sdk.engine.readiness.survey import Surveyor, targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infometis_sdk.engine.readiness.verdict import Verdict
    from infometis_sdk.model.report import HealthReport
    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("status",)


def status(
    cluster: Cluster,
    manifests: ManifestSet,
    run: Run,
    *,
    simulated: bool,
    services: Sequence[str] = (),
    load_balancer: bool = False,
) -> HealthReport:
    """Look at every object of the stack once.

    One LIST per kind and namespace, at most eight at once; pods, events and logs are fetched only
    where something is not ready. Nothing is called missing before a GET by name.

    Args:
        cluster: the API.
        manifests: what the stack wants.
        run: deadline and cancel token.
        simulated: containers do not really run.
        services: only these; empty for all.
        load_balancer: the platform proved that Services get an address.

    Returns:
        The report. One look cannot tell how long a symptom has lasted, since the cluster's clock
        is not ours: what may still pass is ``progressing``, with its reason and cure.

    Raises:
        ClusterError: the API server does not answer, or not to us.

    """
    began = time.monotonic()
    aims = targets(manifests, services=services)
    surveyor = Surveyor(cluster=cluster, stack_id=manifests.stack_id, load_balancer=load_balancer)
    seen = surveyor.survey(aims, run, explain=True)
    verdicts = {key: _now(one.verdict) for key, one in seen.items()}
    bad = [key for key, verdict in verdicts.items() if verdict.state != "ready"]
    logs = tails(cluster, seen, bad, run, simulated=simulated)
    items = [
        health_item(
            aim,
            seen[aim.ref.key],
            verdicts[aim.ref.key],
            logs=logs.get(aim.ref.key, ""),
            simulated=simulated,
        )
        for aim in aims
    ]
    return report(manifests, items, simulated=simulated, seconds=time.monotonic() - began)


def _now(verdict: Verdict) -> Verdict:
    """Return the verdict as one look gives it."""
    if verdict.becomes == "unknown" and verdict.symptom:
        return evolve(verdict, state="unknown")
    return verdict.after(0)
