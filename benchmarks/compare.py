"""Compare plan, apply and drift with kubectl and helm: one run, one API server, ratios."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from attrs import define, field
from objects import mixed
from plot import bars, svg

import infometis_sdk as im
from infometis_platform_embedded import Embedded
from infometis_sdk.model.report import Table
from infometis_sdk.ports.platform import Access, PlatformContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROJECT = (
    "format: infometis.io/project/v1\nname: bench\nid: bench\n"
    "services:\n  bulk: {path: services/bulk}\n"
)
SERVICE = "format: infometis.io/service/v1\nname: bulk\nversion: '1'\nsummary: mixed objects\n"
TARGETS = {
    ("first apply", "helm install"): 0.5,
    ("first apply", "kubectl apply"): 0.5,
    ("clean plan", "kubectl diff"): 0.1,
    ("clean drift", "kubectl diff"): 0.1,
    ("clean plan in process", "kubectl diff"): 0.05,
    ("clean drift in process", "kubectl diff"): 0.05,
    ("change one", "kubectl diff + apply"): 0.15,
    ("no-change up", "helm upgrade"): 0.1,
}
"""Ratios aimed at: what we do, against which peer."""


@define
class Bench:
    """One size: where it runs, and what was measured."""

    root: Path
    access: Access
    count: int
    repeat: int
    helm: str
    kubectl: str
    seconds: dict[str, list[float]] = field(factory=dict)
    peak: dict[str, float] = field(factory=dict)

    def note(self, what: str, seconds: float) -> None:
        """Remember one measurement."""
        self.seconds.setdefault(what, []).append(seconds)
        print(f"  {self.count} {what}: {seconds:.2f} s", file=sys.stderr)

    @property
    def environment(self) -> dict[str, str]:
        """What every tool is told; Python as where it is installed, its modules compiled once."""
        inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return {**inherited, "KUBECONFIG": str(self.access.kubeconfig), "NO_COLOR": "1"}

    def run(self, what: str, command: Sequence[str], *, codes: Sequence[int] = (0,)) -> None:
        """Run a whole process and note its time and its memory."""
        log = self.root / "last.log"
        with log.open("wb") as stream:
            begun = time.perf_counter()
            process = subprocess.Popen(
                command,
                cwd=self.root,
                env=self.environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in codes:
            tail = log.read_text(errors="replace")[-2000:]
            msg = f"{command[0]} ended with {process.returncode}: {tail}"
            raise RuntimeError(msg)
        self.note(what, seconds)
        self.peak[what] = max(self.peak.get(what, 0.0), usage.ru_maxrss / 1024)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, nargs="+", default=[1000])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--helm", default=shutil.which("helm") or "")
    parser.add_argument("--kubectl", default=_kubectl())
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    for name in ("helm", "kubectl"):
        if not getattr(options, name):
            print(f"{name} is not there; its ratios are left out", file=sys.stderr)
    done: list[Bench] = []
    with tempfile.TemporaryDirectory() as folder, _cluster(Path(folder)) as access:
        # What a stack remembers of its cluster must not outlive this run's cluster.
        os.environ["INFOMETIS_STATE_DIR"] = str(Path(folder) / "state")
        for count in options.objects:
            root = Path(folder) / str(count)
            root.mkdir()
            bench = Bench(
                root=root,
                access=access,
                count=count,
                repeat=options.repeat,
                helm=options.helm,
                kubectl=options.kubectl,
            )
            for number in range(bench.repeat):
                _ours(bench, number)
                _bare(bench, number)
                if bench.kubectl:
                    _with_kubectl(bench, number)
                if bench.helm:
                    _with_helm(bench, number)
            done.append(bench)
    _show(done, options.results)


def _kubectl() -> str:
    """Prefer the wheel's: its version is pinned with the rest of the test tools."""
    beside = Path(sys.executable).parent / "kubectl"
    return str(beside) if beside.exists() else shutil.which("kubectl") or ""


@contextlib.contextmanager
def _cluster(folder: Path) -> Iterator[Access]:
    from infometis_platform_embedded.platform import EmbeddedPlatform
    from infometis_sdk.workspace.pins import cache_home

    platform = EmbeddedPlatform(
        Embedded(lifetime="ephemeral"),
        PlatformContext(cluster="bench", state_dir=folder / "cluster", cache_dir=cache_home()),
    )
    try:
        yield platform.ensure(
            im.Run.within(1800, lambda event: print(event.name, event.detail, file=sys.stderr))
        )
    finally:
        platform.destroy(im.Run.within(60))


def _project(bench: Bench, number: int) -> Path:
    """Write a project whose service is nothing but raw manifests."""
    root = bench.root / f"project-{number}"
    manifests = root / "services" / "bulk" / "manifests"
    manifests.mkdir(parents=True)
    (root / "environments").mkdir()
    (root / "infometis.yaml").write_text(PROJECT)
    (root / "services" / "bulk" / "service.yaml").write_text(SERVICE)
    _write(manifests / "all.yaml", mixed(bench.count))
    environment = {
        "format": "infometis.io/environment/v1",
        "stack_id": f"bench-{bench.count}-{number}",
        "namespace": f"ours-{bench.count}-{number}",
        # The same objects for every tool, and no policies made of them.
        "policies": {"network": {"mode": "open"}},
        "platform": {
            "type": "existing",
            "kubeconfig": str(bench.access.kubeconfig),
            "context": bench.access.context,
        },
    }
    (root / "environments" / "dev.yaml").write_text(yaml.safe_dump(environment))
    return root


def _write(path: Path, objects: list[dict[str, Any]]) -> None:
    path.write_text(yaml.dump_all(objects, Dumper=yaml.CSafeDumper, sort_keys=False))


def _changed(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    first = {**objects[0], "data": {**objects[0]["data"], "key0": "changed"}}
    return [first, *objects[1:]]


def _ours(bench: Bench, number: int) -> None:
    root = _project(bench, number)
    command = [sys.executable, "-m", "infometis_sdk", "-C", str(root), "-e", "dev", "--quiet"]
    # What pip does at installation, and uv at the first run.
    subprocess.run([*command, "validate"], env=bench.environment, check=True, capture_output=True)
    # Neither kubectl apply nor helm install waits.
    bench.run("first apply", [*command, "up", "--no-wait"])
    _settle(bench, f"ours-{bench.count}-{number}")
    bench.run("clean plan", [*command, "plan"])
    bench.run("clean drift", [*command, "drift"])
    bench.run("no-change up", [*command, "up"])
    stack = im.Workspace(im.Project.load(root))["dev"]
    manifests = _timed(bench, "load, render and validate", lambda: _render(root))
    del manifests
    stack.plan()  # all that a long-lived process imports but once
    _timed(bench, "clean plan in process", stack.plan)
    _timed(bench, "clean drift in process", stack.drift)
    _write(root / "services" / "bulk" / "manifests" / "all.yaml", _changed(mixed(bench.count)))
    bench.run("change one", [*command, "up", "--no-wait"])


def _settle(bench: Bench, namespace: str) -> None:
    """Wait until the controllers are done: whoever applies fast must not pay for it afterwards."""
    from infometis_sdk._adapters.kubernetes_api import open_cluster

    cluster, run = open_cluster(bench.access), im.Run.within(600)
    while any(
        each.get("status", {}).get("observedGeneration") != each["metadata"]["generation"]
        for each in cluster.list("apps/v1", "Deployment", run, namespace=namespace)
    ):
        run.sleep(0.5, f"waiting for the controllers of {namespace}")


def _render(root: Path) -> Any:  # noqa: ANN401 - a ManifestSet
    stack = im.Workspace(im.Project.load(root))["dev"]
    stack.validate()
    return stack


def _timed(bench: Bench, what: str, function: Callable[[], Any]) -> Any:  # noqa: ANN401
    begun = time.perf_counter()
    result = function()
    bench.note(what, time.perf_counter() - begun)
    return result


def _bare(bench: Bench, number: int) -> None:
    """Send the bare objects, eight at once and nothing else: what the API server itself takes."""
    from infometis_sdk._adapters.kubernetes_api import open_cluster
    from infometis_sdk.engine.reading.parallel import parallel
    from infometis_sdk.model.reference import ObjectRef
    from infometis_sdk.ports.cluster import Write

    cluster, run = open_cluster(bench.access), im.Run.within(600)
    name = f"bare-{bench.count}-{number}"
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    cluster.write(Write(verb="create", ref=ObjectRef.of(space), body=space, manager="bare"), run)
    objects = [
        {**obj, "metadata": {**obj["metadata"], "namespace": name}} for obj in mixed(bench.count)
    ]
    writes = [Write(verb="apply", ref=ObjectRef.of(o), body=o, manager="bare") for o in objects]
    _timed(
        bench,
        "bare applies, 8 at once",
        lambda: parallel(lambda write: cluster.write(write, run), writes, run, "applying"),
    )


def _with_kubectl(bench: Bench, number: int) -> None:
    namespace = f"kubectl-{bench.count}-{number}"
    path = bench.root / f"{namespace}.yaml"
    objects = [
        {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}
        for obj in mixed(bench.count)
    ]
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    _write(path, [space, *objects])
    apply = [bench.kubectl, "apply", "--server-side", "-f", str(path)]
    diff = [bench.kubectl, "diff", "--server-side", "-f", str(path)]
    bench.run("kubectl apply", apply)
    _settle(bench, namespace)
    bench.run("kubectl diff", diff)
    _write(path, [space, *_changed(objects)])
    begun = time.perf_counter()
    bench.run("kubectl diff of one change", diff, codes=(0, 1))
    bench.run("kubectl apply of one change", apply)
    bench.note("kubectl diff + apply", time.perf_counter() - begun)


def _with_helm(bench: Bench, number: int) -> None:
    name = f"helm-{bench.count}-{number}"
    chart = bench.root / name
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n")
    _write(chart / "templates" / "all.yaml", mixed(bench.count))
    common = ["-n", name]
    bench.run(
        "helm install", [bench.helm, "install", name, str(chart), *common, "--create-namespace"]
    )
    _settle(bench, name)
    bench.run("helm upgrade", [bench.helm, "upgrade", name, str(chart), *common])


def _show(done: Sequence[Bench], results: Path) -> None:
    results.mkdir(parents=True, exist_ok=True)
    data: dict[str, Any] = {}
    for bench in done:
        medians = {what: statistics.median(values) for what, values in bench.seconds.items()}
        rows = [
            (
                what,
                f"{value:.2f}",
                _spread(bench.seconds[what]),
                f"{bench.peak[what]:.0f}" if what in bench.peak else "",
            )
            for what, value in medians.items()
        ]
        # A child's peak includes what it shared with this process before it began: an upper bound.
        columns = ("WHAT", "MEDIAN s", "RANGE s", "PEAK MiB")
        print(
            Table(
                title=f"\n{bench.count} objects, {bench.repeat} runs", columns=columns, rows=rows
            ).text()
        )
        ratios = [
            (
                f"{what} / {peer}",
                f"{medians[what] / medians[peer]:.3f}",
                f"{target}",
                "yes" if medians[what] <= target * medians[peer] else "no",
            )
            for (what, peer), target in TARGETS.items()
            if what in medians and peer in medians
        ]
        print(Table(title="", columns=("RATIO", "MEASURED", "AIM", "MET"), rows=ratios).text())
        print("\n" + bars(medians))
        (results / f"{bench.count}.svg").write_text(
            svg(medians, f"{bench.count} objects, seconds (median)")
        )
        data[str(bench.count)] = {"seconds": bench.seconds, "peak_mib": bench.peak}
    (results / "results.json").write_text(json.dumps(data, indent=1))
    print(f"\nwritten to {results}")


def _spread(values: Sequence[float]) -> str:
    return f"{min(values):.2f}-{max(values):.2f}"


if __name__ == "__main__":
    main()
