"""Record and verify 10,000 audit records; sha256sum of the same file is what reading it costs."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import infometis_sdk as im
from infometis_sdk.model.report import Table

TARGET = 1.0
"""Seconds that verifying 10,000 records may take."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = _measure(Path(folder), options.records, options.repeat)
    options.results.mkdir(exist_ok=True)
    (options.results / "audit.json").write_text(json.dumps(found, indent=1) + "\n")
    medians = {what: statistics.median(values) for what, values in found.items()}
    rows = [(what, f"{seconds * 1000:.2f} ms") for what, seconds in medians.items()]
    print(Table(columns=("WHAT", "MEDIAN"), rows=tuple(rows)).text())
    print(f"aimed at: {TARGET:.0f} s to verify 10,000 records")


def _measure(folder: Path, count: int, repeat: int) -> dict[str, list[float]]:
    project = im.Project(name="bench", environments={"dev": im.Environment("dev")})
    audit = im.Workspace(project, state_dir=folder)["dev"].audit
    seconds: dict[str, list[float]] = {"record one": []}
    objects = [f"update ConfigMap/config-{number}" for number in range(10)]
    for number in range(count):
        begun = time.perf_counter()
        audit.record("write", verb="up", evidence={"items": number, "objects": objects})
        seconds["record one"].append(time.perf_counter() - begun)
    verify, plain = f"verify {count}", f"sha256sum of {count}"
    seconds |= {verify: [], plain: []}
    for _ in range(repeat):
        begun = time.perf_counter()
        report = audit.verify()
        seconds[verify].append(time.perf_counter() - begun)
        if not report.intact or report.records != count:
            raise SystemExit(str(report))
        begun = time.perf_counter()
        subprocess.run(["sha256sum", audit.path], check=True, stdout=subprocess.DEVNULL)
        seconds[plain].append(time.perf_counter() - begun)
    # One number each is enough of what was done 10,000 times.
    seconds["record one"] = [statistics.median(seconds["record one"])]
    return seconds


if __name__ == "__main__":
    main()
