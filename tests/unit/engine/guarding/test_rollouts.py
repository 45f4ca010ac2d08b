"""When a workload that is not ready is looked at closer, and when it is called stuck."""

from __future__ import annotations

from infometis_sdk.engine.guarding.rollouts import GLANCES, Rollouts
from infometis_sdk.engine.readiness.diagnose import Diagnosis
from infometis_sdk.engine.readiness.verdict import Verdict, failing, progressing, ready
from infometis_sdk.model.reference import ObjectRef

REF = ObjectRef(api_version="apps/v1", kind="Deployment", namespace="demo", name="app")
KEY = REF.key


def late(verdict: Verdict, at: float = 0.0) -> Rollouts:
    """Return the state after a workload was seen that is not ready."""
    rollouts = Rollouts()
    assert rollouts.seen(KEY, REF, verdict, at) == ()
    return rollouts


def test_what_becomes_ready_in_time_is_never_diagnosed() -> None:
    """An ordinary rollout costs no request."""
    rollouts = late(progressing("0 of 1"))
    assert rollouts.due(GLANCES[0] - 1) == ()
    assert rollouts.seen(KEY, REF, ready(), GLANCES[0] - 1) == ()
    assert rollouts.due(1e9) == ()
    assert rollouts.wake == float("inf")


def test_a_rollout_without_a_symptom_is_stuck_at_the_deadline() -> None:
    """It is diagnosed a few times, and told once when the last glance has passed."""
    rollouts = late(progressing("0 of 1"))
    told = []
    for glance in GLANCES:
        assert rollouts.due(glance) == (KEY,)
        told.append(rollouts.diagnosed(KEY, REF, Diagnosis(verdict=progressing("0 of 1")), glance))
    assert [len(notes) for notes in told] == [0] * (len(GLANCES) - 1) + [1]
    (note,) = told[-1]
    assert (note.name, note.condition, note.level) == ("rollout stuck", "open", "error")
    assert rollouts.due(1e9) == ()
    assert rollouts.stuck == 1
    (over,) = rollouts.seen(KEY, REF, ready(), 1e9)
    assert over.identity == note.identity
    assert over.condition == "closed"
    assert rollouts.stuck == 0


def test_a_symptom_is_told_as_soon_as_it_lasted_too_long() -> None:
    """Reason, cure and last event go into the note."""
    rollouts = late(progressing("0 of 1"))
    symptom = failing("image cannot be pulled", "ImagePullBackOff", 60)
    found = Diagnosis(verdict=symptom, hint="correct the image", events=("Warning Failed",))
    assert rollouts.diagnosed(KEY, REF, found, GLANCES[0]) == ()
    (note,) = rollouts.diagnosed(KEY, REF, found, GLANCES[1])
    assert note.detail == ("image cannot be pulled; correct the image; last event: Warning Failed")


def test_what_has_failed_is_diagnosed_at_once() -> None:
    """``ProgressDeadlineExceeded`` needs no more patience."""
    rollouts = late(Verdict(state="failed", reason="ProgressDeadlineExceeded"), at=5.0)
    assert rollouts.due(5.0) == (KEY,)
    verdict = Verdict(state="failed", reason="ProgressDeadlineExceeded")
    (note,) = rollouts.diagnosed(KEY, REF, Diagnosis(verdict=verdict), 5.0)
    assert "ProgressDeadlineExceeded" in note.detail


def test_what_went_well_meanwhile_is_forgotten() -> None:
    """A diagnosis that finds all well ends it, and one of a forgotten workload says nothing."""
    rollouts = late(progressing("0 of 1"))
    assert rollouts.diagnosed(KEY, REF, Diagnosis(verdict=ready()), 30.0) == ()
    assert rollouts.wake == float("inf")
    assert rollouts.diagnosed(KEY, REF, Diagnosis(verdict=progressing("")), 1e9) == ()
