from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, strategies as st

from infometis_sdk.cli.lines import Lines
from infometis_sdk.model.run import Event

if TYPE_CHECKING:
    from collections.abc import Iterable

_STATES = ("started", "progress", "finished", "failed", "skipped", "info")


class _Log:
    """Lines with a clock that is set by hand."""

    def __init__(self, *, all_of_them: bool = False, results: bool = True) -> None:
        self.now = 0.0
        self.lines: list[str] = []
        self.drawing = Lines(
            all_of_them=all_of_them,
            results=results,
            clock=lambda: self.now,
            write=self.lines.append,
        )

    def after(self, seconds: float, event: Event) -> None:
        self.now += seconds
        self.drawing.take(event)

    def all(self, events: Iterable[Event]) -> list[str]:
        for event in events:
            self.after(0.001, event)
        self.drawing.end()
        return self.lines


def _object(name: str, state: str = "finished", detail: str = "") -> Event:
    return Event(name="apply object", subject=name, state=state, detail=detail)


def test_beginnings_and_ends_are_told() -> None:
    """What begins and what ends has a line, in the words of what it is."""
    log = _Log()
    told = log.all(
        (
            Event(name="start cluster", subject="demo", state="started"),
            Event(name="start cluster", subject="demo", state="finished"),
            Event(name="plan", state="started"),
            Event(name="plan", state="finished", detail="dev: 3 to create"),
        )
    )
    assert told == [
        "start cluster demo: starting",
        "start cluster demo: started",
        "plan: dev: 3 to create",
    ]


def test_objects_are_counted_but_failures_named() -> None:
    """A thousand objects make a few lines, of which none hides a failure."""
    log = _Log()
    good = [_object(f"ConfigMap/c{number}") for number in range(1000)]
    bad = _object("Secret/s", "failed", "403")
    after = Event(name="wait service", subject="a", state="finished")
    assert log.all([*good, bad, after]) == [
        "apply object Secret/s: failed: 403",
        "1000 objects changed",
        "a: ready",
    ]


def test_counting_goes_on_in_sight() -> None:
    """Where many objects take long, the count is told now and then."""
    log = _Log()
    for number in range(11):
        log.after(1.0, _object(f"ConfigMap/c{number}"))
    assert log.lines == ["6 objects changed so far", "11 objects changed so far"]


def test_progress_is_throttled_with_rate() -> None:
    """A download tells its size, how far it is and how fast, every five seconds."""
    log = _Log()
    for second in range(12):
        log.after(
            1.0,
            Event(
                name="download",
                subject="etcd",
                state="progress" if second else "started",
                done=second * 2_000_000,
                total=24_000_000,
                unit="bytes",
            ),
        )
    done = Event(name="download", subject="etcd", state="finished", done=24_000_000, unit="bytes")
    log.after(1.0, done)
    assert log.lines == [
        "download etcd: downloading, 0 B of 24.0 MB",
        "download etcd: 12.0 MB of 24.0 MB, 2.0 MB/s",
        "download etcd: 22.0 MB of 24.0 MB, 2.0 MB/s",
        "download etcd: downloaded, 24.0 MB",
    ]


def test_a_service_that_is_ready_at_once_has_one_line() -> None:
    """Waiting is told once it is long enough for somebody to wonder."""

    def service(state: str, detail: str = "") -> Event:
        return Event(
            name="wait service", subject="kafka", state=state, detail=detail, done=6, total=7,
            unit="objects",
        )  # fmt: skip

    quick = _Log()
    assert quick.all((service("started"), service("progress"), service("finished"))) == [
        "kafka: ready"
    ]
    slow = _Log()
    slow.after(0, service("started"))
    slow.after(6, service("progress", "StatefulSet/kafka: 0 of 1 pods ready"))
    assert slow.lines == ["kafka: 6 of 7 objects: StatefulSet/kafka: 0 of 1 pods ready"]


def test_a_verb_that_asks_is_silent_while_all_is_well() -> None:
    """Of a verb that asks, the answer is enough; what fails or takes long is told all the same."""
    log = _Log(results=False)
    assert log.all(
        (
            Event(name="plan", state="started"),
            Event(name="plan", state="finished", detail="dev: nothing to do"),
            Event(name="find part", subject="etcd", state="failed", detail="not here"),
        )
    ) == ["find part etcd: failed: not here"]


@given(
    st.lists(
        st.builds(
            Event,
            name=st.sampled_from(("apply object", "wait service", "download", "wait", "new thing")),
            subject=st.sampled_from(("a", "b", "")),
            state=st.sampled_from(_STATES),
            detail=st.text(max_size=20),
            done=st.integers(0, 10**12),
            total=st.integers(0, 10**12),
            unit=st.sampled_from(("bytes", "objects", "")),
        )
    )
)
def test_any_events_make_single_lines_and_no_failure_is_lost(events: list[Event]) -> None:
    """Whatever comes, a line is one line; with every event wanted, each failure has one."""
    few, every = _Log().all(events), _Log(all_of_them=True).all(events)
    assert all(len(line.splitlines()) == 1 for line in (*few, *every))
    if any(event.state == "failed" for event in events):
        assert any("failed" in line for line in few)
    assert len(few) <= len(events)
