"""How fast one object is corrected, and when a fight is given up."""

from __future__ import annotations

import itertools

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from infometis_sdk.engine.guarding.pacing import CAP, FIRST, LIMIT, WINDOW, Pace

FIELDS = ("data.a", "data.b", "")
ROUNDING = 1e-6


def test_pauses_grow_to_the_cap() -> None:
    """Two seconds, three times as long each time, and never above five minutes."""
    pace, now, pauses = Pace(), 1000.0, []
    for _ in range(8):
        pace = pace.corrected(["data.a"], now)
        pauses.append(pace.ready_at - now)
        now = pace.ready_at
    assert pauses == [2.0, 6.0, 18.0, 54.0, 162.0, 300.0, 300.0, 300.0]


def test_the_first_correction_waits_for_nothing() -> None:
    """What never drifted is corrected at once."""
    assert Pace().ready_at <= 0


def test_calm_is_rewarded() -> None:
    """After the longest pause without drift the next correction begins anew."""
    pace, now = Pace(), 0.0
    for _ in range(4):
        now = max(now, pace.ready_at)
        pace = pace.corrected([], now)
    later = pace.ready_at + CAP + 1
    assert pace.corrected([], later).ready_at == later + FIRST
    sooner = pace.ready_at + CAP
    assert pace.corrected([], sooner).ready_at > sooner + FIRST


def test_a_failed_correction_spends_nothing() -> None:
    """Only corrections that were made count against a field."""
    pace = Pace()
    for number in range(2 * LIMIT):
        pace = pace.corrected([], float(number))
    assert pace.spent(10.0) == frozenset()


class Corrections(RuleBasedStateMachine):
    """Any sequence of corrections, each made as soon as it is allowed or later."""

    def __init__(self) -> None:
        super().__init__()
        self.pace = Pace()
        self.now = 0.0
        self.made: list[tuple[float, frozenset[str]]] = []

    @rule(seconds=st.floats(0, 2 * CAP))
    def time_goes_by(self, seconds: float) -> None:
        """Let time go by."""
        self.now += seconds

    @rule(seconds=st.floats(WINDOW / 2, 2 * WINDOW))
    def much_time_goes_by(self, seconds: float) -> None:
        """Let hours go by."""
        self.now += seconds

    @precondition(lambda self: self.now >= self.pace.ready_at)
    @rule(fields=st.frozensets(st.sampled_from(FIELDS)))
    def corrected(self, fields: frozenset[str]) -> None:
        """Correct some fields, but for those that are spent."""
        allowed = fields - self.pace.spent(self.now)
        self.pace = self.pace.corrected(allowed, self.now)
        self.made.append((self.now, allowed))

    @invariant()
    def pauses_are_kept(self) -> None:
        """Two corrections are never closer than the shortest pause, and the next one is bounded."""
        for (before, _), (after, _) in itertools.pairwise(self.made):
            assert after - before >= FIRST - ROUNDING
        if self.made:
            pause = self.pace.ready_at - self.made[-1][0]
            assert FIRST - ROUNDING <= pause <= CAP + ROUNDING

    @invariant()
    def no_field_is_corrected_too_often(self) -> None:
        """Within any hour no field is corrected more often than the limit."""
        for field in FIELDS:
            times = [when for when, fields in self.made if field in fields]
            for first, last in zip(times, times[LIMIT:], strict=False):
                assert last - first >= WINDOW - ROUNDING

    @invariant()
    def what_is_spent_was_corrected_so_often(self) -> None:
        """A field is given up after exactly so many corrections, and not before."""
        for field in FIELDS:
            recent = [w for w, fields in self.made if field in fields and self.now - w < WINDOW]
            assert (field in self.pace.spent(self.now)) == (len(recent) >= LIMIT)


TestCorrections = Corrections.TestCase
