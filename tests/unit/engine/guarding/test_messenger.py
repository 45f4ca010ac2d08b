"""Alerts reach every notifier, in the end; nothing waits for one, and nothing is told twice."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import attrs
import pytest

from infometis_sdk.engine.guarding import messenger
from infometis_sdk.engine.guarding.messenger import Messenger, Outbox
from infometis_sdk.errors import NotifierError
from infometis_sdk.model.guard import GuardNote
from infometis_sdk.ports.notifier import Alert, Notifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infometis_sdk.model.run import Run

ID = ("drift", "demo", "ConfigMap/app", "data.a")


def alert(*, ends: str = "") -> Alert:
    """Return an alert."""
    return Alert(name="drift", level="warning", stack_id="demo", starts="then", ends=ends)


def note(condition: str = "open", name: str = "contended") -> GuardNote:
    """Return a note about a condition."""
    return GuardNote(
        name=name, level="error", condition=condition, subject="ConfigMap/app", path="data.a"
    )


def test_what_began_and_ended_unheard_is_never_told() -> None:
    """Where nobody heard of the beginning, nobody need hear of the end."""
    box = Outbox(repeat=float("inf"))
    box.put(ID, alert(), 0.0)
    box.put(ID, alert(ends="now"), 1.0)
    assert box.take() == ()
    assert box.due == float("inf")


def test_failures_wait_longer_and_lose_nothing() -> None:
    """Pauses double up to five minutes; what was not delivered is told when it works again."""
    box = Outbox(repeat=float("inf"))
    box.put(ID, alert(), 0.0)
    now, pauses = 0.0, []
    for _ in range(12):
        box.failed(now)
        pauses.append(box.due - now)
        now = box.due
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert pauses[-1] == 300.0
    assert box.take() == (alert(),)
    box.delivered(now)
    assert box.due == float("inf")
    box.put(ID, alert(ends="now"), now)
    assert box.take() == (alert(ends="now"),)


def test_what_lasts_is_repeated_where_that_is_needed() -> None:
    """Alertmanager forgets what is not told again; its end is told once."""
    box = Outbox(repeat=60.0)
    box.put(ID, alert(), 0.0)
    box.delivered(0.0)
    assert box.due == 60.0
    assert box.take() == (alert(),)
    box.put(ID, alert(ends="now"), 30.0)
    assert box.due == 30.0
    assert box.take() == (alert(ends="now"),)
    box.delivered(30.0)
    assert box.take() == ()
    assert box.due == float("inf")


class Book(Notifier):
    """Keeps what it is told; fails as often as it is told to."""

    def __init__(self, *, failures: int = 0) -> None:
        self.failures = failures
        self.alerts: list[Alert] = []
        self.moved = threading.Condition()

    def notify(self, alerts: Sequence[Alert], run: Run) -> None:
        """See :meth:`Notifier.notify`."""
        del run
        if self.failures:
            self.failures -= 1
            msg = "not today"
            raise NotifierError(msg)
        with self.moved:
            self.alerts += alerts
            self.moved.notify_all()

    def waits(self, count: int) -> None:
        """Wait for that many alerts."""
        with self.moved:
            assert self.moved.wait_for(lambda: len(self.alerts) >= count, 30)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pauses short."""
    monkeypatch.setattr(messenger, "_FIRST", 0.01)
    monkeypatch.setattr(messenger, "_GATHER", 0.01)


@pytest.mark.usefixtures("quick")
def test_one_notifier_that_fails_holds_up_no_other() -> None:
    """Each is told in its own time; the failure is said once."""
    good, bad = Book(), Book(failures=3)
    trouble: list[tuple[str, str]] = []
    with Messenger(
        {"good": good, "bad": bad},
        stack_id="demo",
        environment="dev",
        trouble=lambda *words: trouble.append(words),
    ) as telling:
        telling.say(note())
        good.waits(1)
        bad.waits(1)
        telling.say(note("closed"))
        good.waits(2)
        bad.waits(2)
    assert trouble == [("bad", "not today")]
    for book in (good, bad):
        first, last = book.alerts
        assert (first.name, first.stack_id, first.environment) == ("contended", "demo", "dev")
        assert first.starts == last.starts
        assert not first.ends
        assert last.ends >= last.starts
        assert first.identity == last.identity


@pytest.mark.usefixtures("quick")
def test_only_what_lasts_becomes_an_alert() -> None:
    """Neither what was healed nor a release under way wakes anybody, nor an end alone."""
    book = Book()
    with Messenger({"b": book}, stack_id="s", environment="e", trouble=lambda *_: None) as telling:
        telling.say(note("", "healed"))
        telling.say(attrs.evolve(note("open", "idle"), level="info"))
        telling.say(note("closed", "idle"))
        telling.say(note("closed"))
        telling.say(note("open", "heal failed"))
        book.waits(1)
    assert [one.name for one in book.alerts] == ["heal failed"]


@pytest.mark.usefixtures("quick")
def test_the_last_words_are_delivered() -> None:
    """What was said right before the end is told still."""
    book = Book()
    with Messenger({"b": book}, stack_id="s", environment="e", trouble=lambda *_: None) as telling:
        telling.say(note())
    assert len(book.alerts) == 1
