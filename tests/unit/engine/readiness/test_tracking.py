"""Time: by our own clock, only while somebody looked, and with mercy for what was just mended."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from infometis_sdk.engine.readiness.diagnose import Diagnosis
from infometis_sdk.engine.readiness.survey import Seen, Target
from infometis_sdk.engine.readiness.tracking import Timing, Tracker, limit_of
from infometis_sdk.engine.readiness.verdict import Verdict, failing, progressing, ready
from infometis_sdk.model.reference import ObjectRef

TARGET = Target(
    ref=ObjectRef(api_version="apps/v1", kind="Deployment", namespace="n", name="x"), service="s"
)
BAD = failing("cannot be pulled", "ImagePullBackOff", 60)


def seen(verdict: Verdict, live: dict[str, Any] | None = None) -> Seen:
    """Make one look's result."""
    return Seen(live=live or {}, diagnosis=Diagnosis(verdict=verdict))


def watch(
    *looks: tuple[float, Verdict], timing: Timing | None = None, gated: bool = False
) -> Tracker:
    """Take in looks at those moments, all of the time between them observed."""
    tracker = Tracker(target=TARGET, timing=timing or Timing())
    before: float | None = None
    for now, verdict in looks:
        tracker.update(seen(verdict), now, 0 if before is None else now - before, gated=gated)
        before = now
        if tracker.outcome:
            break
    return tracker


def test_symptom_becomes_failure_after_its_patience() -> None:
    """A symptom fails once it has been seen for as long as the rule grants."""
    fine = progressing("")
    assert watch((0, fine), (1, BAD), (60.9, BAD)).outcome == ""
    assert watch((0, fine), (1, BAD), (61, BAD)).outcome == "failed"


def test_symptom_that_went_away_starts_anew() -> None:
    """A symptom that was gone in between starts its time again."""
    fine = progressing("")
    assert watch((0, fine), (1, BAD), (50, fine), (51, BAD), (100, BAD)).outcome == ""


def test_outage_does_not_count() -> None:
    """Time in which the API server did not answer is not held against the object."""
    tracker = watch((0, progressing("")), (1, BAD))
    tracker.update(seen(BAD), 500.0, 3.0, gated=False)
    assert tracker.outcome == ""


def test_what_was_wrong_at_the_first_look_gets_time_to_settle() -> None:
    """The cure may be what was just applied: no instant failure at the first look, but later."""
    now = failing("secret not found", "CreateContainerConfigError", 0)
    assert watch((0, now), (14, now)).outcome == ""
    assert watch((0, now), (15, now)).outcome == "failed"
    assert watch((0, progressing("")), (1, now)).outcome == "failed"


def test_final_failure_needs_no_time() -> None:
    """What cannot be mended has failed at the first look."""
    assert watch((0, Verdict(state="failed", reason="r"))).outcome == "failed"


def test_gated_service_is_not_blamed() -> None:
    """While its need is not ready, neither symptoms nor time count; good news does."""
    looks = [(float(t), BAD) for t in range(0, 2000, 100)]
    assert watch(*looks, gated=True).outcome == ""
    assert watch((0, ready()), gated=True).outcome == "ready"


def test_time_of_a_dependant_begins_when_its_need_is_ready() -> None:
    """The clock of a gated service starts with the gate."""
    tracker = Tracker(target=TARGET, timing=Timing(resource=10))
    tracker.update(seen(progressing("")), 0, 0, gated=True)
    tracker.update(seen(progressing("")), 100, 100, gated=False)
    assert tracker.outcome == ""
    tracker.update(seen(progressing("")), 110, 10, gated=False)
    assert tracker.outcome == "timed out"


def test_timeout_says_how_long_and_why() -> None:
    """A timeout names the limit and what was still missing."""
    tracker = watch((0, progressing("1 of 3 pods ready")), (600, progressing("2 of 3 pods ready")))
    assert tracker.outcome == "timed out"
    assert tracker.verdict.reason == "timed out after 600 s: 2 of 3 pods ready"


def test_good_news_that_needs_confirmation() -> None:
    """Kinds without observedGeneration are ready at the second good read, a second later."""
    good = ready(confirm=1)
    assert watch((0, good), (0.5, good)).outcome == ""
    assert watch((0, good), (1, good)).outcome == "ready"
    assert watch((0, good), (0.5, progressing("")), (1.2, good)).outcome == ""


def test_unknown_ends_the_wait_without_failure() -> None:
    """What nobody can tell is unknown, after its patience."""
    unknown = failing("nothing tells", "NoStatus", 15, becomes="unknown")
    assert watch((0, progressing("")), (1, unknown), (16, unknown)).outcome == "unknown"


def test_missing_for_long_is_a_failure_that_stays_missing() -> None:
    """An object that does not come back fails the wait, and the report says missing."""
    gone = failing("not in the cluster", "Missing", 10, state="missing")
    tracker = watch((0, progressing("")), (1, gone), (11, gone))
    assert (tracker.outcome, tracker.verdict.state) == ("failed", "missing")


@given(st.lists(st.floats(0.1, 30), min_size=1, max_size=60))
def test_patience_never_runs_faster_than_the_clock(gaps: list[float]) -> None:
    """However the looks fall, nothing fails before its patience is used up, and then it does."""
    looks, now = [(0.0, progressing(""))], 0.0
    for gap in gaps:
        now += gap
        looks.append((now, BAD))
    tracker = watch(*looks)
    observed = sum(gaps[1:])
    if observed < 60 - 1e-6:
        assert tracker.outcome == ""
    elif observed > 60 + 1e-6:
        assert tracker.outcome == "failed"


def workload(kind: str, budget: int, *, replicas: int = 1, **spec: Any) -> dict[str, Any]:
    """Make a live workload whose start-up probe grants a budget."""
    probe = {"startupProbe": {"periodSeconds": 10, "failureThreshold": budget // 10}}
    return {
        "kind": kind,
        "metadata": {"generation": 1},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [probe]}}, **spec},
    }


def test_limits() -> None:
    """10 min for an object, 20 for the first start of a slow service, more for ordered pods."""
    timing = Timing()
    assert limit_of(TARGET, workload("Deployment", 60), timing) == 600
    slow = workload("Deployment", 300)
    assert limit_of(TARGET, slow, timing) == 1200
    again = {**slow, "metadata": {"generation": 5}}
    assert limit_of(TARGET, again, timing) == 600
    ref = ObjectRef(api_version="apps/v1", kind="StatefulSet", namespace="n", name="x")
    ordered = Target(ref=ref, service="s")
    assert limit_of(ordered, workload("StatefulSet", 300, replicas=9), timing) == 2700
    parallel = workload("StatefulSet", 300, replicas=9, podManagementPolicy="Parallel")
    assert limit_of(ordered, parallel, timing) == 1200


@pytest.mark.parametrize("budget", [60, 300])
def test_limit_of_one_service(budget: int) -> None:
    """A limit for one service wins over both."""
    assert limit_of(TARGET, workload("Deployment", budget), Timing(services={"s": 5})) == 5
