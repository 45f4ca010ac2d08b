"""What probes measured before, and what becomes of files that others touched."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from infometis_sdk.workspace.measurements import KEPT, Measurements

if TYPE_CHECKING:
    from pathlib import Path


def line(median: float, unit: str = "ms", probe: str = "p", measure: str = "") -> dict[str, object]:
    """Return what is kept of one measure of one run."""
    return {"probe": probe, "measure": measure, "unit": unit, "median": median}


def test_medians_come_back_oldest_first(tmp_path: Path) -> None:
    """Only the same probe, measure and unit count; each stack has a history of its own."""
    history = Measurements(tmp_path, "dev-1")
    assert history.medians("p", {"": "ms"}) == {}
    for median in (1.0, 2.0):
        history.add([line(median), line(median * 10, measure="p99"), line(9, probe="q")])
    history.add([line(3, unit="s")])
    assert history.medians("p", {"": "ms", "p99": "ms"}) == {"": [1.0, 2.0], "p99": [10.0, 20.0]}
    assert Measurements(tmp_path, "uat-1").medians("p", {"": "ms"}) == {}


def test_only_the_user_may_read_it(tmp_path: Path) -> None:
    """What environments do is nobody else's business on a shared machine."""
    Measurements(tmp_path, "dev-1").add([line(1)])
    (file,) = (tmp_path / "measurements").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_damage_is_passed_over(tmp_path: Path) -> None:
    """A torn or foreign line costs that line only."""
    history = Measurements(tmp_path, "dev-1")
    history.add([line(1)])
    (file,) = (tmp_path / "measurements").iterdir()
    with file.open("ab") as stream:
        stream.write(b'{"median": \n\xff\xfe\n[1]\n{"format": "x", "median": 7}\n')
    history.add([line(2)])
    assert history.medians("p", {"": "ms"}) == {"": [1.0, 2.0]}


def test_it_does_not_grow_without_end(tmp_path: Path) -> None:
    """Old runs go, the newest stay, and a rare probe is not pushed out by a frequent one."""
    history = Measurements(tmp_path, "dev-1")
    history.add([line(5, probe="rare")])
    for number in range(2 * KEPT + 1):
        history.add([line(float(number))])
    (file,) = (tmp_path / "measurements").iterdir()
    assert len(file.read_text().splitlines()) == KEPT + 1
    assert history.medians("p", {"": "ms"})[""][-1] == 2 * KEPT
    assert history.medians("rare", {"": "ms"}) == {"": [5.0]}
