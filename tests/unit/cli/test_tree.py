from __future__ import annotations

import io
from typing import TYPE_CHECKING

from hypothesis import given, strategies as st
from rich.cells import cell_len
from rich.console import Console

from infometis_sdk.cli.tree import Tree
from infometis_sdk.model.run import Event

if TYPE_CHECKING:
    from collections.abc import Iterable

_STATES = ("started", "progress", "finished", "failed", "skipped", "info")


class _Screen:
    """A tree with a clock that is set by hand, and a terminal of some size to draw it on."""

    def __init__(self, *, width: int = 80, height: int = 24, encoding: str = "utf-8") -> None:
        self.now = 0.0
        self.tree = Tree(title="up dev", clock=lambda: self.now)
        self._width, self._height, self._encoding = width, height, encoding

    def take(self, *events: Event) -> None:
        for event in events:
            self.now += 1.0
            self.tree.take(event)

    def lines(self) -> list[str]:
        raw = io.BytesIO()
        file = io.TextIOWrapper(raw, encoding=self._encoding)
        Console(file=file, width=self._width, height=self._height, color_system=None).print(
            self.tree
        )
        file.flush()
        return [line.rstrip() for line in raw.getvalue().decode(self._encoding).splitlines()]

    def words(self) -> list[str]:
        """Lines without stems, marks and times."""
        return [" ".join(line[5:].split()[:-2]) for line in self.lines()]


def _services(*states: tuple[str, str]) -> Iterable[Event]:
    for name, state in states:
        yield Event(
            name="wait service",
            subject=name,
            state=state,
            detail="StatefulSet/x: 0 of 1 pods ready" if state == "progress" else "",
            done=6,
            total=7,
            unit="objects",
        )


def test_branches_with_what_goes_on() -> None:
    """Each kind of step is a branch; services stay in sight by name, with what they wait for."""
    screen = _Screen()
    screen.take(
        Event(name="plan", state="started"),
        Event(name="plan", state="finished", detail="dev: 2 to create"),
        Event(name="apply object", subject="ConfigMap/a", state="finished"),
        Event(name="apply object", subject="ConfigMap/b", state="finished"),
        *_services(("kafka", "finished"), ("nifi", "progress")),
    )
    assert screen.lines()[0].startswith("⠇ up dev")
    assert screen.lines()[0].endswith("6.0 s")
    assert screen.words()[1:] == [
        "plan dev: 2 to create",
        "objects 2 changed",
        "services 1 of 2 ready",
        "kafka ready",
        "nifi 6 of 7 objects StatefulSet/x: 0 of 1 pods ready",
    ]


def test_downloads_show_bytes_and_rate() -> None:
    """A download shows how much of how much has come, and how fast."""
    screen = _Screen()
    for done in (0, 3_000_000, 6_000_000):
        screen.take(
            Event(
                name="download", subject="etcd", state="progress", done=done, total=24_000_000,
                unit="bytes",
            )
        )  # fmt: skip
    assert screen.words()[1] == "control plane etcd 6.0 MB of 24.0 MB, 3.0 MB/s"


def test_a_failure_stays_in_sight() -> None:
    """What failed is named below its branch, also when it is over."""
    screen = _Screen()
    screen.take(
        *(
            Event(name="apply object", subject=f"ConfigMap/{n}", state="finished")
            for n in range(50)
        ),
        Event(name="apply object", subject="Secret/s", state="failed", detail="403"),
    )
    screen.tree.state = "failed"
    assert screen.lines()[0].startswith("✘ up dev")
    assert screen.words()[1:] == ["objects 50 changed, 1 failed", "Secret/s failed 403"]


def test_another_way_makes_good_for_one_that_failed() -> None:
    """A download that fails is shown while its stead is built, and is no failure once it is."""
    screen = _Screen()
    screen.take(
        Event(name="download", subject="etcd", state="failed", detail="404"),
        Event(name="build", subject="etcd", state="progress", done=3, total=9, unit="packages"),
    )
    assert screen.words()[1:] == ["control plane etcd 3 of 9 packages", "download etcd failed 404"]
    screen.take(Event(name="build", subject="etcd", state="finished", done=9, total=9))
    assert screen.words()[1:] == ["control plane etcd built"]
    assert screen.lines()[1].startswith("└─ ✔")


def test_what_is_waited_for_goes_when_it_is_over() -> None:
    """A wait is told beside the title while it lasts, and leaves nothing behind."""
    screen = _Screen()
    screen.take(Event(name="lock", subject="demo", detail="waiting for somebody"))
    assert "waiting for the lock of demo: waiting for somebody" in screen.lines()[0]
    screen.take(Event(name="plan", state="started"))
    assert "lock" not in "\n".join(screen.lines())


def test_a_terminal_without_unicode() -> None:
    """Where the terminal knows only ASCII, the tree is drawn with ASCII."""
    screen = _Screen(encoding="ascii")
    screen.take(Event(name="plan", state="finished", detail="x" * 200))
    assert screen.lines()[1].startswith("`- + plan")


@given(
    st.lists(
        st.builds(
            Event,
            name=st.sampled_from(("apply object", "wait service", "download", "wait", "new thing")),
            subject=st.text(max_size=40),
            state=st.sampled_from(_STATES),
            detail=st.text(max_size=200),
            done=st.integers(0, 10**12),
            total=st.integers(0, 10**12),
            unit=st.sampled_from(("bytes", "objects", "")),
        )
    ),
    st.integers(30, 120),
    st.integers(8, 60),
)
def test_any_tree_fits_the_screen(events: list[Event], width: int, height: int) -> None:
    """Whatever happens, no line wraps and the tree is never higher than the screen."""
    screen = _Screen(width=width, height=height)
    screen.take(*events)
    lines = screen.lines()
    assert len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)
