"""Prove two live stacks equivalent, against kubectl diff of both: one run, one API server."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
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

PROJECT = (
    "format: infometis.io/project/v1\nname: bench\nid: bench\n"
    "services:\n  bulk: {path: services/bulk}\n"
)
SERVICE = "format: infometis.io/service/v1\nname: bulk\nversion: '1'\nsummary: mixed objects\n"
SIDES = ("dev", "uat")
TARGET = 2.0
"""Seconds that a proof of two stacks of 1,000 objects may take in process."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, nargs="+", default=[1000])
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
                found[str(count)] = _measure(Path(folder), access, count, options.repeat)
        finally:
            platform.destroy(im.Run.within(60))
    options.results.mkdir(exist_ok=True)
    (options.results / "prove.json").write_text(json.dumps(found, indent=1) + "\n")
    _show(found)


def _measure(folder: Path, access: Access, count: int, repeat: int) -> dict[str, list[float]]:
    root = _project(folder / str(count), access, count)
    seconds: dict[str, list[float]] = {}
    workspace = im.Workspace(im.Project.load(root))
    for name in SIDES:
        stack = workspace[name]
        stack.apply(stack.plan())
        _kubectl(access, "apply", _manifests(folder / str(count), name, count))

    def timed(what: str, function: Callable[[], Any]) -> Any:  # noqa: ANN401 - of any function
        begun = time.perf_counter()
        result = function()
        seconds.setdefault(what, []).append(time.perf_counter() - begun)
        print(f"  {count} {what}: {seconds[what][-1]:.2f} s", file=sys.stderr)
        return result

    command = [sys.executable, "-m", "infometis_sdk", "-C", str(root), "-q", "prove", *SIDES]
    for _ in range(repeat):
        report = timed("prove in process", lambda: workspace.prove(*SIDES))
        if report.verdict == "different":
            raise SystemExit(str(report))
        timed("prove", lambda: _quietly(command))
        timed(
            "kubectl diff of both",
            lambda: [
                _kubectl(access, "diff", _manifests(folder / str(count), name, count))
                for name in SIDES
            ],
        )
    return seconds


def _quietly(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _project(root: Path, access: Access, count: int) -> Path:
    manifests = root / "services" / "bulk" / "manifests"
    manifests.mkdir(parents=True)
    (root / "environments").mkdir()
    (root / "infometis.yaml").write_text(PROJECT)
    (root / "services" / "bulk" / "service.yaml").write_text(SERVICE)
    (manifests / "all.yaml").write_text(
        yaml.dump_all(mixed(count), Dumper=yaml.CSafeDumper, sort_keys=False)
    )
    for name in SIDES:
        environment = {
            "format": "infometis.io/environment/v1",
            "stack_id": f"bench-{count}-{name}",
            "namespace": f"ours-{count}-{name}",
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


def _manifests(root: Path, name: str, count: int) -> Path:
    path = root / f"kubectl-{name}.yaml"
    if not path.exists():
        space = f"kubectl-{count}-{name}"
        objects: list[dict[str, Any]] = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}
        ]
        objects += [
            {**obj, "metadata": {**obj["metadata"], "namespace": space}} for obj in mixed(count)
        ]
        path.write_text(yaml.dump_all(objects, Dumper=yaml.CSafeDumper, sort_keys=False))
    return path


def _kubectl(access: Access, verb: str, path: Path) -> None:
    beside = Path(sys.executable).parent / "kubectl"
    program = str(beside) if beside.exists() else "kubectl"
    subprocess.run(
        [program, verb, "--server-side", "-f", str(path)],
        env={**os.environ, "KUBECONFIG": str(access.kubeconfig)},
        stdout=subprocess.DEVNULL,
        check=True,
    )


def _show(found: dict[str, dict[str, list[float]]]) -> None:
    rows = []
    for count, seconds in found.items():
        medians = {what: statistics.median(values) for what, values in seconds.items()}
        peer = medians["kubectl diff of both"]
        rows += [(count, w, f"{s:.2f} s", f"{s / peer:.3f}") for w, s in medians.items()]
    table = Table(columns=("OBJECTS", "WHAT", "MEDIAN", "OF KUBECTL DIFF"), rows=tuple(rows))
    print(table.text())
    print(f"aimed at: {TARGET:.0f} s in process for two stacks of 1,000 objects")


if __name__ == "__main__":
    main()
