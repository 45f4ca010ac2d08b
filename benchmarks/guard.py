"""What a guard costs while nothing happens, and how fast it brings back what drifts.

The guard runs in a process of its own, as in a cluster: it reads what is desired from the Release.
The peer is ``kubectl diff --server-side``: what somebody would run again and again instead.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from compare import _cluster, _kubectl
from objects import mixed

import infometis_sdk as im
from infometis_sdk.model.environment import DriftPolicy, IsolationPolicy, Policies
from infometis_sdk.model.report import Table
from infometis_sdk.ports.platform import Access

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.model.guard import GuardNote
    from infometis_sdk.workspace import Stack

NAME = "guarded"
POLL = 300.0
"""Seconds after which Flux looks for drift again, by default."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--edits", type=int, default=30)
    parser.add_argument("--idle", type=float, default=60.0, help="seconds to look at an idle guard")
    parser.add_argument("--kubectl", default=_kubectl())
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(*options.child)
        return
    rows = []
    for count in options.objects:
        with tempfile.TemporaryDirectory() as folder, _cluster(Path(folder)) as access:
            os.environ["INFOMETIS_STATE_DIR"] = str(Path(folder) / "state")
            rows.append(_measure(Path(folder), access, count, options))
            print(json.dumps(rows[-1]), file=sys.stderr)
    options.results.mkdir(exist_ok=True)
    (options.results / "guard.json").write_text(json.dumps(rows, indent=2) + "\n")
    columns = tuple(rows[0])
    table = Table(
        title="one guard; seconds, MiB, requests",
        columns=tuple(name.upper() for name in columns),
        rows=tuple(tuple(str(row[name]) for name in columns) for row in rows),
    )
    print(table.text())


def _stack(access: Access, count: int) -> Stack:
    service = im.Service(name="bulk", manifests=mixed(count))
    environment = im.Environment(
        "dev",
        platform=im.Existing(kubeconfig=str(access.kubeconfig), context=access.context),
        namespace=NAME,
        stack_id=NAME,
        # The objects that are counted, and no policies made of them.
        policies=Policies(drift=DriftPolicy(action="heal"), network=IsolationPolicy(mode="open")),
    )
    project = im.Project(
        name=NAME, id=NAME, services={"bulk": service}, environments={"dev": environment}
    )
    return im.Workspace(project)["dev"]


def _measure(
    folder: Path, access: Access, count: int, options: argparse.Namespace
) -> dict[str, Any]:
    stack = _stack(access, count)
    run = im.Run.within(3600)
    stack.apply(stack.plan(run=run), run=run)
    env = {**os.environ, "KUBECONFIG": str(access.kubeconfig)}
    _settle(access, run)
    begun = time.perf_counter()
    child = subprocess.Popen(
        (sys.executable, __file__, "--child", NAME, str(access.kubeconfig), access.context or ""),
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )
    ear = _Ear(child)
    try:
        ear.waits("synced", 1)
        synced = time.perf_counter() - begun
        time.sleep(5)  # what the beginning left behind
        cpu, asked = _cpu(child.pid), ear.requests()
        time.sleep(options.idle)
        idle_cpu, idle_asked = _cpu(child.pid) - cpu, ear.requests() - asked
        rss = _memory(child.pid, "VmRSS")
        # Another one each time, since corrections of the same object are paced.
        targets = random.Random(0).sample(range(0, count, 5), options.edits)  # noqa: S311
        took = [_edit(ear, env, target) for target in targets]
        peak = _memory(child.pid, "VmHWM")
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(60)
    row: dict[str, Any] = {
        "objects": count,
        "synced": round(synced, 1),
        "rss": round(rss),
        "peak": round(peak),
        "idle cpu/min": round(idle_cpu * 60 / options.idle, 3),
        "idle requests/min": round(idle_asked * 60 / options.idle, 1),
        "healed median": round(statistics.median(took), 3),
        "healed worst": round(max(took), 3),
    }
    if options.kubectl:
        diff, cpu = _diff(folder, options.kubectl, env, count)
        row["kubectl diff"] = round(diff, 2)
        row["healed/diff"] = round(statistics.median(took) / diff, 3)
        polled = cpu * 60 / POLL
        row["idle cpu/polled diff"] = round(row["idle cpu/min"] / polled, 4)
    return row


def _settle(access: Access, run: im.Run) -> None:
    """Wait until the controllers have seen every workload, or nothing would be idle."""
    from infometis_sdk._adapters.kubernetes_api import open_cluster

    cluster = open_cluster(access)

    def seen() -> bool:
        return all(
            (obj.get("status") or {}).get("observedGeneration") == obj["metadata"]["generation"]
            for obj in cluster.list("apps/v1", "Deployment", run, namespace=NAME)
        )

    while not seen():
        run.sleep(1.0, "waiting for the controllers")
    cluster.close()


def _edit(ear: _Ear, env: dict[str, str], target: int) -> float:
    """Change one object and return the seconds until it is as it was, seen from outside."""
    name = f"config-{target}"
    patch = json.dumps({"data": {"key1": "edited"}})
    kubectl = _kubectl()
    base = (kubectl, "--namespace", NAME)
    healed = ear.count("healed")
    subprocess.run(
        (*base, "patch", "configmap", name, "--patch", patch),
        env=env, check=True, capture_output=True,
    )  # fmt: skip
    begun = time.perf_counter()
    ear.waits("healed", healed + 1)
    seconds = time.perf_counter() - begun
    live = subprocess.run(
        (*base, "get", "configmap", name, "--output", "jsonpath={.data.key1}"),
        env=env, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    if live != f"value 1 of object {target}":
        msg = f"{name} was not healed: {live}"
        raise RuntimeError(msg)
    return max(0.0, seconds)


def _diff(folder: Path, kubectl: str, env: dict[str, str], count: int) -> tuple[float, float]:
    """Return wall and CPU seconds of one ``kubectl diff`` of the same objects."""
    path = folder / "all.yaml"
    path.write_text(yaml.safe_dump_all(mixed(count)))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    subprocess.run(
        (kubectl, "--namespace", NAME, "diff", "--server-side", "--force-conflicts",
         "--filename", str(path)),
        env=env, check=False, capture_output=True,
    )  # fmt: skip
    seconds = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int, what: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    raise RuntimeError(what)


class _Ear:
    """Reads what the guard says."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._lines: list[str] = []
        self._child = child
        self._moved = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._said():
            with self._moved:
                self._lines.append(line)
                self._moved.notify_all()

    def _said(self) -> Iterator[str]:
        if self._child.stdout is not None:
            yield from self._child.stdout

    def count(self, name: str) -> int:
        return sum(line.startswith(name) for line in self._lines)

    def waits(self, name: str, times: int) -> None:
        with self._moved:
            if not self._moved.wait_for(lambda: self.count(name) >= times, 900):
                raise RuntimeError("".join(self._lines[-20:]))

    def requests(self) -> int:
        """Ask the guard how many requests it has made."""
        before = self.count("requests")
        self._child.send_signal(signal.SIGUSR1)
        self.waits("requests", before + 1)
        return int([line for line in self._lines if line.startswith("requests")][-1].split()[1])


class _Counter(logging.Handler):
    """Counts requests by the lines of the debug log."""

    total = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.total += "request answered" in record.getMessage()


def _child(name: str, kubeconfig: str, context: str) -> None:
    """Guard until SIGTERM."""
    from infometis_sdk.model.run import CancelToken
    from infometis_sdk.workspace.guard_pod import guard_from_pod

    counter = _Counter()
    logger = logging.getLogger("infometis_sdk._adapters.transport")
    logger.addHandler(counter)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    token = CancelToken()
    signal.signal(signal.SIGTERM, lambda *_: token.cancel())
    signal.signal(signal.SIGUSR1, lambda *_: print("requests", counter.total, flush=True))

    def say(note: GuardNote) -> None:
        print(note, flush=True)

    access = Access(kubeconfig=Path(kubeconfig), context=context)
    guard_from_pod(
        name, name, say=say, run=im.Run(cancel=token), access=access,
        state_dir=Path(os.environ["INFOMETIS_STATE_DIR"]) / "guard",
    )  # fmt: skip


if __name__ == "__main__":
    main()
