"""Each condition is opened once and closed once, over all rounds of a guard."""

from __future__ import annotations

from infometis_sdk.engine.guarding.conditions import Conditions
from infometis_sdk.model.guard import GuardNote


def note(condition: str, path: str = "data.a", detail: str = "") -> GuardNote:
    """Return a note."""
    return GuardNote(
        name="drift", condition=condition, subject="ConfigMap/a", path=path, detail=detail
    )


def test_what_is_known_is_not_said_again() -> None:
    """An open condition is said once, and again where its detail is another one."""
    known = Conditions()
    assert list(known.heard(note("open"))) == [note("open")]
    assert list(known.heard(note("open"))) == []
    assert list(known.heard(note("open", detail="worse"))) == [note("open", detail="worse")]
    assert list(known.heard(note("closed"))) == [note("closed")]
    assert list(known.heard(note("closed"))) == []
    assert list(known.heard(note(""))) == [note("")]


def test_what_is_not_found_again_is_over() -> None:
    """After a new round has looked at all, what it did not find again is closed."""
    known = Conditions()
    for path in ("data.a", "data.b"):
        known.heard(note("open", path))
    known.doubt()
    assert list(known.heard(note("open", "data.a"))) == []
    assert [each.path for each in known.settle()] == ["data.b"]
    assert list(known.settle()) == []
    assert list(known.heard(note("closed", "data.b"))) == []
