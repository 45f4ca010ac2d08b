"""Promote one core after the other, against the same deployed by itself, on one API server."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from objects import mixed

import infometis_sdk as im
from infometis_platform_embedded import Embedded
from infometis_platform_embedded.platform import EmbeddedPlatform
from infometis_sdk.model.report import Table
from infometis_sdk.ports.platform import PlatformContext
from infometis_sdk.workspace.pins import cache_home

if TYPE_CHECKING:
    from collections.abc import Callable

    from infometis_sdk.ports.platform import Access

PROJECT = """\
format: infometis.io/project/v1
name: bench
id: bench
services:
  bulk: {path: services/bulk}
pipelines:
  main:
    steps:
      - environment: dev
      - environment: uat
        gates: {soak: 0s, equivalence: unverified}
"""
SERVICE = "format: infometis.io/service/v1\nname: bulk\nversion: '1'\nsummary: mixed objects\n"
SIDES = ("dev", "uat", "direct")
TARGET = 5.0
"""Seconds that a promotion may take beyond the deployment itself."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["INFOMETIS_STATE_DIR"] = str(Path(folder) / "state")
        platform = EmbeddedPlatform(
            Embedded(lifetime="ephemeral"),
            PlatformContext(
                cluster="bench", state_dir=Path(folder) / "cluster", cache_dir=cache_home()
            ),
        )
        try:
            access = platform.ensure(im.Run.within(1800))
            for count in options.objects:
                root = _project(Path(folder) / str(count), access, count)
                found[str(count)] = _measure(root, count, options.repeat)
        finally:
            platform.destroy(im.Run.within(60))
    options.results.mkdir(exist_ok=True)
    (options.results / "promote.json").write_text(json.dumps(found, indent=1) + "\n")
    _show(found)


def _measure(root: Path, count: int, repeat: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {}

    def timed(what: str, function: Callable[[], Any]) -> Any:  # noqa: ANN401 - of any function
        begun = time.perf_counter()
        result = function()
        seconds.setdefault(what, []).append(time.perf_counter() - begun)
        print(f"  {count} {what}: {seconds[what][-1]:.2f} s", file=sys.stderr)
        return result

    for number in range(repeat + 1):
        # Two fifths of the objects change from core to core.
        _core(root, count, number)
        workspace = im.Workspace(im.Project.load(root))
        workspace["dev"].up()
        if number == 0:
            workspace["uat"].up()
            workspace["direct"].up()
            continue
        timed("up", workspace["direct"].up)
        report = timed("promote", lambda: workspace.promote("dev", "uat"))  # noqa: B023
        if report.state != "succeeded":
            raise SystemExit(str(report))
        seconds.setdefault("beyond the deployment", []).append(report.overhead)
        less = seconds["promote"][-1] - seconds["up"][-1]
        seconds.setdefault("promote less up", []).append(less)
    return seconds


def _core(root: Path, count: int, number: int) -> None:
    objects = mixed(count)
    for obj in objects:
        if obj["kind"] == "ConfigMap":
            obj["data"]["core"] = str(number)
    (root / "services" / "bulk" / "manifests" / "all.yaml").write_text(
        yaml.dump_all(objects, Dumper=yaml.CSafeDumper, sort_keys=False)
    )


def _project(root: Path, access: Access, count: int) -> Path:
    (root / "services" / "bulk" / "manifests").mkdir(parents=True)
    (root / "environments").mkdir()
    (root / "infometis.yaml").write_text(PROJECT)
    (root / "services" / "bulk" / "service.yaml").write_text(SERVICE)
    for name in SIDES:
        environment = {
            "format": "infometis.io/environment/v1",
            "stack_id": f"bench-{count}-{name}",
            "namespace": f"bench-{count}-{name}",
            # The same objects for every tool, and no policies made of them.
            "policies": {"network": {"mode": "open"}},
            "platform": {
                "type": "existing",
                "kubeconfig": str(access.kubeconfig),
                "context": access.context,
            },
        }
        (root / "environments" / f"{name}.yaml").write_text(yaml.safe_dump(environment))
    return root


def _show(found: dict[str, dict[str, list[float]]]) -> None:
    rows = []
    for count, seconds in found.items():
        medians = {what: statistics.median(values) for what, values in seconds.items()}
        rows += [(count, w, f"{s:.2f} s", f"{s / medians['up']:.2f}") for w, s in medians.items()]
    print(Table(columns=("OBJECTS", "WHAT", "MEDIAN", "OF UP"), rows=tuple(rows)).text())
    print(f"aimed at: {TARGET:.0f} s beyond the deployment of 1,000 objects")


if __name__ == "__main__":
    main()
