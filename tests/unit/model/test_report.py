from __future__ import annotations

import html.parser
import io
import json

import attrs
import pytest
from hypothesis import given, strategies as st
from rich.cells import cell_len
from rich.console import Console

from infometis_sdk.model.fault import Fault
from infometis_sdk.model.plan import Change, Plan, PlanItem
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.report import (
    ApplyReport,
    DriftItem,
    DriftReport,
    HealthItem,
    HealthReport,
    Outcome,
    Report,
    UpReport,
)
from infometis_sdk.model.table import Table, apart

EVIL = "<script>alert('x')</script> & \"quoted\"\n[bold red]no markup[/] \x1b[2J"


def _ref(kind: str, name: str = "kafka") -> ObjectRef:
    return ObjectRef(api_version="v1", kind=kind, namespace="demo", name=name)


APPLIED = ApplyReport(
    stack_id="demo-dev",
    plan_digest="sha256:0",
    outcomes=(
        *(
            Outcome(
                ref=_ref("ConfigMap", f"c{n}"), service="kafka", action="delete", result="deleted"
            )
            for n in range(5)
        ),
        *(
            Outcome(
                ref=_ref("Secret", name),
                service="kafka",
                action="delete",
                result="failed",
                detail=EVIL,
            )
            for name in ("a", "b")
        ),
    ),
    warnings=(
        *(f"kept: PersistentVolumeClaim/data-{n}: data stays" for n in range(9)),
        "another {} warning",
    ),
)
HEALTH = HealthReport(
    stack_id="demo-dev",
    items=(
        HealthItem(ref=_ref("StatefulSet"), service="kafka", state="ready", reason="1 of 1 pods"),
        HealthItem(ref=_ref("StatefulSet", "nifi"), service="nifi", state="failed", reason=EVIL,
                   hint="mend it", events=("Warning x",), logs="one\ntwo"),
        *(
            HealthItem(ref=_ref(kind, "grafana"), service="grafana", state="missing", reason="gone")
            for kind in ("StatefulSet", "Service", "ConfigMap", "ServiceAccount")
        ),
    ),
)  # fmt: skip
DRIFT = DriftReport(
    stack_id="demo-dev",
    checked=3,
    items=(
        DriftItem(ref=_ref("ConfigMap"), state="drift", path="data.a", desired="x" * 500, live=EVIL,
                  manager="kubectl-edit"),
    ),
)  # fmt: skip
PLAN = Plan(
    stack_id="demo-dev",
    environment="dev",
    namespace="demo",
    digest="sha256:0",
    items=(
        PlanItem(
            action="update",
            ref=_ref("ConfigMap"),
            service="kafka",
            state="drift",
            changes=(
                Change(
                    path="metadata.annotations[infometis.io/digest]", op="replace", old="a", new="b"
                ),
                Change(path="data.a", op="replace", old=EVIL, new="b"),
            ),
        ),
    ),
)
UP = UpReport(
    environment="dev",
    platform="embedded",
    changed=True,
    apply=APPLIED,
    health=HEALTH,
    findings=(Fault(message=EVIL),),
)
REPORTS = (APPLIED, HEALTH, DRIFT, PLAN, UP)
IDS = [type(report).__name__ for report in REPORTS]


def _drawn(report: Report | Table, width: int) -> list[str]:
    file = io.StringIO()
    drawing = report.rich() if isinstance(report, Table) else report
    Console(file=file, width=width, color_system=None).print(drawing)
    return file.getvalue().splitlines()


class _Tags(html.parser.HTMLParser):
    """Collects the tags that a browser would see, and checks that each one is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        self.seen.add(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("report", REPORTS, ids=IDS)
def test_notebooks_get_sound_html_and_nothing_of_the_cluster_is_markup(report: Report) -> None:
    """A notebook shows a table; what names and messages hold can neither run nor break it."""
    shown = report._repr_html_()
    page = _Tags()
    page.feed(shown)
    assert page.open == []
    assert page.seen <= {"div", "p", "b", "table", "thead", "tbody", "tr", "th", "td", "pre"}
    assert "<script>" not in shown


@pytest.mark.parametrize("report", REPORTS, ids=IDS)
def test_repr_is_one_line_and_data_are_plain(report: Report) -> None:
    """``repr`` is one line for a debugger; ``to_dict`` goes through JSON unharmed."""
    assert len(repr(report).splitlines()) == 1
    data = report.to_dict()
    assert json.loads(json.dumps(data)) == data


@pytest.mark.parametrize("report", REPORTS, ids=IDS)
@pytest.mark.parametrize("width", [40, 60, 120])
def test_reports_fit_a_terminal(report: Report, width: int) -> None:
    """On a terminal long cells fold; what messages hold is no markup and no command to it."""
    lines = _drawn(report, width)
    assert max(cell_len(line) for line in lines) <= width
    assert "\x1b" not in "".join(lines) + str(report)
    together = "".join("".join(lines).split())
    assert "[boldred]" in together or not isinstance(report, UpReport)


def test_what_became_alike_is_one_row_and_failures_stand_alone() -> None:
    """Five objects deleted are one row; each failure has its own; all are in the data."""
    text = str(APPLIED).splitlines()
    assert text[1].split() == ["RESULT", "ACTION", "OBJECT", "SERVICE", "DETAIL"]
    assert text[2].split("  ")[2].strip() == "ConfigMap/c0, ConfigMap/c1 and 3 more"
    assert [line.split()[:3] for line in text[3:5]] == [
        ["failed", "delete", "Secret/a"],
        ["failed", "delete", "Secret/b"],
    ]
    assert text[5:] == [
        ("kept: PersistentVolumeClaim/data-0, PersistentVolumeClaim/data-1 and 7 more: data stays"),
        "another {} warning",
    ]
    assert len(APPLIED.to_dict()["outcomes"]) == 7


def test_health_explains_what_is_not_ready() -> None:
    """Below the table stand reason, cure, events and log; many that are missing are one line."""
    text = str(HEALTH)
    assert "  hint: mend it\n  event: Warning x\n  log: one\n  log: two\n" in text
    line = "grafana: 4 of 4 objects are missing: StatefulSet/grafana, Service/grafana and 2 more"
    assert line in text


def test_long_values_of_drift_are_cut_for_people_only() -> None:
    """A value of 500 characters does not fill the screen; programs get all of it."""
    assert max(len(line) for line in str(DRIFT).splitlines()) < 250
    assert DRIFT.to_dict()["items"][0]["desired"] == "x" * 500
    assert "not recorded" in str(DRIFT)


def test_of_a_long_text_the_changed_lines_are_told() -> None:
    """What was changed far down in a file is told, not how the file begins."""
    text = "".join(f"key.{n}=1\n" for n in range(100))
    other = text.replace("key.77=1\n", "key.77=5\nmore=2\n")
    change = Change(path="data[server.properties]", op="replace", old=text, new=other)
    assert str(change) == r"~ data[server.properties]: key.77=1 -> key.77=5\nmore=2"
    assert apart(text, text + "more=2\n") == ("", "more=2")
    assert apart("one", "two") == ("one", "two")


_LINES = st.lists(st.sampled_from(("a", "b", "", "c d")), max_size=6).map("\n".join)


@given(_LINES, _LINES)
def test_what_is_left_out_of_two_texts_is_what_they_share(old: str, new: str) -> None:
    """The rest of both, put between the same lines, gives both back; two texts stay two."""
    was, now = apart(old, new)
    assert (was == now) == (old == new)
    assert old.count("\n") >= was.count("\n")
    for whole, part in ((old, was), (new, now)):
        assert part in whole


def test_a_plan_tells_changes_and_not_our_own_marks() -> None:
    """Our digest follows from the other changes; only where it is alone is it shown."""
    assert "infometis.io/digest" not in str(PLAN)
    assert "~ data.a: " in str(PLAN)
    assert "NAMESPACE" not in str(PLAN)


@given(
    st.integers(1, 4).flatmap(
        lambda n: st.lists(
            st.tuples(*(st.text(st.characters(codec="utf-8"), max_size=12) for _ in range(n))),
            min_size=1,
            max_size=5,
        )
    )
)
def test_columns_are_aligned_whatever_cells_hold(rows: list[tuple[str, ...]]) -> None:
    """Plain text has one line a row; empty columns are left out; cells never break their row."""
    columns = tuple(f"C{n}" for n in range(len(rows[0])))
    text = Table(columns=columns, rows=tuple(rows)).text()
    assert text.count("\n") == len(rows) if any(any(row) for row in rows) else True
    empty = {name for n, name in enumerate(columns) if not any(row[n] for row in rows)}
    assert not empty & set(text.split("\n")[0].split())


def test_wide_characters_keep_columns_aligned() -> None:
    """A terminal gives some characters two columns."""
    table = Table(columns=("NAME", "X"), rows=(("日本", "1"), ("abcd", "2")))
    assert table.text().splitlines()[1:] == ["日本  1", "abcd  2"]


def test_up_shows_the_warnings_of_its_apply() -> None:
    """What an apply warns of is shown by ``up`` too, alike ones in one line."""
    kept = tuple(f"kept: Secret/{n}: data stays" for n in "abcd")
    warned = attrs.evolve(APPLIED, warnings=("release 1 keeps no bundle", *kept))
    text = str(attrs.evolve(UP, apply=warned))
    assert "release 1 keeps no bundle" in text
    assert "kept: Secret/a, Secret/b and 2 more: data stays" in text
    assert "data stays" not in str(attrs.evolve(UP, apply=None))
