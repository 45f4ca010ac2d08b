"""What a guard decides about each object: events and time in, decisions out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from infometis_sdk.engine.guarding.ledger import ABSENT, Ledger
from infometis_sdk.engine.guarding.pacing import LIMIT
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.report import DriftItem

if TYPE_CHECKING:
    from infometis_sdk.model.guard import GuardNote

REFS = [
    ObjectRef(api_version="v1", kind="ConfigMap", namespace="demo", name=name) for name in "abc"
]
A = REFS[0]
PATHS = ("", "data.a", "data.b", "data.free")


def drift(path: str, ref: ObjectRef = A, state: str = "drift") -> DriftItem:
    """Return a drifted field."""
    return DriftItem(ref=ref, service="app", state=state, path=path, manager="kubectl-edit")


def ledger() -> Ledger:
    """Return a ledger that may correct every drift but that of ``data.free``."""
    return Ledger((ref.key for ref in REFS), lambda i: i.state == "drift" and i.path != "data.free")


def names(notes: tuple[GuardNote, ...]) -> list[tuple[str, str, str]]:
    """Return name, path and condition of notes."""
    return [(n.name, n.path, n.condition) for n in notes]


def test_the_same_object_is_not_looked_at_twice() -> None:
    """Only another fingerprint than the one that was judged last makes an object looked at."""
    book = ledger()
    assert book.moved(A.key, "1")
    book.judged(A.key, A, (), "1", 0.0)
    assert not book.moved(A.key, "1")
    assert book.moved(A.key, "2")
    assert book.moved(A.key, ABSENT)
    book.forget(A.key)
    assert book.moved(A.key, "1")


def test_drift_is_due_at_once_and_told_once() -> None:
    """The first correction waits for nothing; a second look at the same drift tells nothing."""
    book = ledger()
    assert names(book.judged(A.key, A, [drift("data.a")], "1", 5.0)) == [("drift", "data.a", "")]
    assert book.due(5.0) == (A.key,)
    assert book.judged(A.key, A, [drift("data.a")], "2", 6.0) == ()


def test_time_to_consistency_counts_from_the_first_sign() -> None:
    """What was seen first counts, not when it was looked at."""
    book = ledger()
    book.judged(A.key, A, [drift("data.a")], "1", 5.0, since=3.0)
    (note,) = book.corrected(A.key, A, 6.0)
    assert (note.name, note.seconds) == ("healed", 3.0)
    book.judged(A.key, A, (), "2", 7.0, since=1.0)
    book.judged(A.key, A, [drift("data.a")], "3", 50.0)
    (note,) = book.corrected(A.key, A, 51.0)
    assert note.seconds == 1.0


def test_what_may_not_be_corrected_is_a_lasting_condition() -> None:
    """It is opened when found, closed when gone, never due, and spared by corrections."""
    book = ledger()
    found = book.judged(A.key, A, [drift("data.free"), drift("data.a")], "1", 0.0)
    assert names(found) == [("drift", "data.free", "open"), ("drift", "data.a", "")]
    assert book.spared(A.key) == {"data.free"}
    book.corrected(A.key, A, 0.0)
    assert [item.path for item in book.open()] == ["data.free"]
    assert book.due(1e9) == ()
    gone = book.judged(A.key, A, (), "2", 1.0)
    assert names(gone) == [("drift", "data.free", "closed")]


def test_pending_and_foreign_are_told_and_left() -> None:
    """Only drift is corrected by itself."""
    book = ledger()
    items = [drift("data.a", state="pending"), drift("data.b", state="foreign")]
    assert names(book.judged(A.key, A, items, "1", 0.0)) == [
        ("pending", "data.a", ""),
        ("foreign", "data.b", ""),
    ]
    assert book.due(1e9) == ()


def test_a_failure_is_told_once_and_tried_again_at_the_pace() -> None:
    """The same trouble is not told again; its end is."""
    book = ledger()
    book.judged(A.key, A, [drift("data.a")], "1", 0.0)
    assert names(book.failed(A.key, A, "no room", 0.0)) == [("heal failed", "", "open")]
    assert book.due(1.9) == ()
    assert book.due(2.0) == (A.key,)
    assert book.wake == 2.0
    assert book.failed(A.key, A, "no room", 2.0) == ()
    assert book.wake == 8.0
    assert ("heal failed", "", "closed") in names(book.corrected(A.key, A, 8.0))
    assert book.wake == float("inf")


def test_a_fight_is_given_up_and_ends_when_the_other_side_gives_in() -> None:
    """After five corrections of a field it is contended; other fields go on."""
    book = ledger()
    now = 0.0
    for number in range(LIMIT):
        book.judged(A.key, A, [drift("data.a")], f"x{number}", now)
        now = max(now, book.wake)
        book.corrected(A.key, A, now)
        book.judged(A.key, A, (), f"y{number}", now)
    notes = book.judged(A.key, A, [drift("data.a"), drift("data.b")], "z", now)
    assert ("contended", "data.a", "open") in names(notes)
    assert notes[-1].manager == "kubectl-edit"
    assert book.contended == 1
    now = book.wake
    assert book.due(now) == (A.key,)
    assert book.spared(A.key) == {"data.a"}
    healed = book.corrected(A.key, A, now)
    assert names(healed) == [("healed", "data.b", "")]
    much_later = now + 1e6
    assert book.judged(A.key, A, [drift("data.a")], "zz", much_later) == ()
    assert book.due(much_later) == ()
    over = book.judged(A.key, A, (), "w", much_later)
    assert names(over) == [("contended", "data.a", "closed")]
    book.judged(A.key, A, [drift("data.a")], "v", much_later)
    assert book.due(much_later) == (A.key,)


class Guarding(RuleBasedStateMachine):
    """Any events in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.book = ledger()
        self.now = 0.0
        self.drifted: dict[ObjectRef, frozenset[str]] = dict.fromkeys(REFS, frozenset())
        self.open: set[tuple[str, str, str, str]] = set()
        self.count = 0

    def hear(self, notes: tuple[GuardNote, ...]) -> None:
        """Take note of what was said: nothing ends that never began."""
        for note in notes:
            if note.condition == "open":
                self.open.add(note.identity)
            elif note.condition == "closed":
                assert note.identity in self.open, f"{note} was never opened"
                self.open.discard(note.identity)

    @rule(seconds=st.floats(0, 5000))
    def time_goes_by(self, seconds: float) -> None:
        """Let time go by."""
        self.now += seconds

    @rule(ref=st.sampled_from(REFS), paths=st.frozensets(st.sampled_from(PATHS)))
    def looked(self, ref: ObjectRef, paths: frozenset[str]) -> None:
        """Look at an object."""
        self.count += 1
        self.drifted[ref] = paths
        items = [drift(path, ref) for path in sorted(paths)]
        self.hear(self.book.judged(ref.key, ref, items, str(self.count), self.now))

    @rule(helps=st.booleans())
    def work(self, *, helps: bool) -> None:
        """Do what is due, with or without success."""
        for key in self.book.due(self.now):
            ref = next(ref for ref in REFS if ref.key == key)
            spared = self.book.spared(key)
            mine = self.drifted[ref] - spared
            assert mine, "a correction was due that would correct nothing"
            assert "data.free" not in mine
            if helps:
                self.drifted[ref] &= spared
                self.hear(self.book.corrected(key, ref, self.now))
            else:
                self.hear(self.book.failed(key, ref, "no", self.now))

    @rule(ref=st.sampled_from(REFS))
    def left(self, ref: ObjectRef) -> None:
        """Leave an object as it is."""
        self.hear(self.book.left(ref.key, ref, "it is yielded"))

    @invariant()
    def what_is_well_is_never_due(self) -> None:
        """An object without drift is left alone for good."""
        for ref, paths in self.drifted.items():
            if not paths:
                assert ref.key not in self.book.due(1e12)

    @invariant()
    def all_is_known(self) -> None:
        """What is open is exactly what was found and not yet brought back."""
        known = {(item.ref, item.path) for item in self.book.open()}
        assert known == {(ref, path) for ref, paths in self.drifted.items() for path in paths}


TestGuarding = Guarding.TestCase
