"""Probes are called fairly, whatever they do, and what they measured is remembered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

import infometis_sdk as im
from infometis_sdk.errors import ProjectError
from infometis_sdk.hookspecs import hookimpl
from infometis_sdk.model import Check, Endpoint, Measure, Probe
from infometis_sdk.ports.platform import Access, Platform, PlatformSpec, PlatformStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infometis_sdk.model import ComparisonReport
    from infometis_sdk.workspace import Stack

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "nowhere",
    "clusters": [{"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}}],
    "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nobody"}}],
    "users": [{"name": "nobody", "user": {"token": "none"}}],
}


@frozen(kw_only=True)
class Pretended:
    """Settings of a platform whose containers do not run."""

    file: str = ""


class PretendedPlatform(Platform):
    """A cluster that nobody contacts."""

    def __init__(self, settings: Pretended) -> None:
        from pathlib import Path

        self._access = Access(kubeconfig=Path(settings.file), simulated=True)

    def ensure(self, run: im.Run) -> Access:
        """Return the access."""
        del run
        return self._access

    def status(self) -> PlatformStatus:
        """Say that it is there."""
        return PlatformStatus(phase="ready", simulated=True)

    def connect(self) -> Access:
        """Return the access."""
        return self._access

    def destroy(self, run: im.Run) -> None:
        """Do nothing."""
        del run


class Plugin:
    """Registers that platform."""

    @hookimpl
    def infometis_platforms(self) -> tuple[PlatformSpec, ...]:
        """Return it."""
        return (
            PlatformSpec(
                name="pretended",
                summary="no cluster",
                settings=Pretended,
                factory=lambda settings, _: PretendedPlatform(settings),
            ),
        )


class Bench:
    """Two environments that nobody contacts: what is measured is the probes' own invention."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(json.dumps(KUBECONFIG))

    def workspace(
        self, *, simulated: str = "", services: dict[str, im.Service] | None = None
    ) -> im.Workspace:
        """Return a workspace; one side may be simulated."""
        environments = {}
        for name in ("dev", "uat"):
            platform: Any = im.Existing(kubeconfig=str(self.kubeconfig))
            if name == simulated:
                platform = Pretended(file=str(self.kubeconfig))
            environments[name] = im.Environment(name, platform=platform)
        project = im.Project(name="demo", environments=environments, services=services or {})
        return im.Workspace(project, plugins=[Plugin()], state_dir=self.folder / "state")

    def compare(self, *functions: Callable[[Stack], Any], **options: Any) -> ComparisonReport:
        """Compare with these probes."""
        options.setdefault("rounds", 4)
        options.setdefault("warm_up", 1)
        timeout = options.pop("timeout", 60.0)
        probes = [
            Probe(name=f"p{number}", function=function, timeout=timeout)
            for number, function in enumerate(functions)
        ]
        return self.workspace(simulated=options.pop("simulated", "")).compare(
            "dev", "uat", probes=probes, **options
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give two environments."""
    return Bench(tmp_path)


def test_both_sides_take_turns(bench: Bench) -> None:
    """Who is first changes every round, and the rounds that warm up do not count."""
    called: list[str] = []

    def probe(stack: Stack) -> Measure:
        called.append(stack.name)
        return Measure(100.0 if len(called) <= 2 else 10.0, "ms")

    (found,) = bench.compare(probe, rounds=4, warm_up=1).measures
    assert called == ["dev", "uat", "uat", "dev", "dev", "uat", "uat", "dev", "dev", "uat"]
    assert found.a.values == found.b.values == (10.0,) * 4
    assert found.verdict == "same"


def test_several_numbers_of_one_probe(bench: Bench) -> None:
    """One call may give several measures, each judged in its own way."""

    def probe(stack: Stack) -> dict[str, Measure]:
        slow = stack.name == "uat"
        return {
            "time": Measure(20.0 if slow else 10.0, "ms"),
            "rate": Measure(50.0, "MB/s", better="higher", tolerance=0.05),
        }

    found = {m.measure: m.verdict for m in bench.compare(probe).measures}
    assert found == {"time": "worse", "rate": "same"}


def test_a_probe_that_fails_hangs_or_talks_nonsense(bench: Bench) -> None:
    """Each fault is named with its side, and costs nobody else."""
    gate = threading.Event()

    def fails(stack: Stack) -> Measure:
        if stack.name == "uat":
            msg = "broken"
            raise ValueError(msg)
        return Measure(1, "ms")

    answers: list[Any] = [
        fails,
        lambda _: gate.wait(30),
        lambda _: 7,
        lambda _: {},
        lambda _: Measure(float("nan"), "ms"),
        lambda _: Measure(True, "ms"),  # noqa: FBT003 - that is the nonsense
        lambda _: {"x": 3.0},
        lambda _: Measure(1.0, "ms", better="sideways"),
        lambda _: Measure(1.0, "ms", tolerance=-1),
        lambda _: Measure(1.0, "ms"),
    ]
    try:
        report = bench.compare(*answers, timeout=0.3)
    finally:
        gate.set()
    *bad, good = report.measures
    assert {found.verdict for found in bad} == {"failed"}
    assert good.verdict == "same"
    assert not report.passed
    details = [found.detail for found in bad]
    assert details[0] == "uat: it failed: ValueError: broken"
    assert details[1] == "dev: it did not answer within 0 s; uat: it did not answer within 0 s"
    for detail, words in zip(
        details[2:],
        ("no measure but a int", "no measure but a dict", "no finite number: nan",
         "no finite number: True", "no Measure but a float", "neither lower nor higher",
         "no tolerance of 0 or more"),
        strict=True,
    ):  # fmt: skip
        assert words in detail


def test_what_was_measured_is_remembered(bench: Bench) -> None:
    """A run is held against the environment's own past, unless nothing is to be remembered."""
    for _ in range(5):
        report = bench.compare(lambda _: Measure(10.0, "ms"))
    assert [m.earlier for m in report.measures] == [(10.0,) * 4]
    bench.compare(lambda _: Measure(10.0, "ms"), remember=False)
    report = bench.compare(lambda _: Measure(20.0, "ms"))
    (found,) = report.measures
    # Both sides are equally slow today, which only the past can tell.
    assert (found.verdict, found.history, found.earlier) == ("same", "worse", (10.0,) * 5)
    assert not report.passed


def test_simulated_sides_are_named_and_not_measured(bench: Bench) -> None:
    """What containers do is not applicable where none runs; what needs none is measured."""
    called: list[str] = []

    def probe(stack: Stack) -> Measure:
        called.append(stack.name)
        return Measure(1.0, "ms")

    report = bench.compare(probe, simulated="uat")
    assert called == []
    assert report.simulated == ("uat",)
    assert report.measures[0].verdict == "not applicable"
    assert report.passed
    assert "simulated: uat" in report.headline()
    api = Probe(name="api", function=probe, needs_containers=False)
    report = bench.workspace(simulated="uat").compare("dev", "uat", probes=[api], rounds=3)
    assert [(m.verdict, m.detail) for m in report.measures] == [
        ("unclear", "fewer than 4 rounds tell nothing")
    ]
    assert called


def test_checks_of_both_sides(bench: Bench) -> None:
    """The functional checks of the services are run on both, and shown side by side."""
    web = im.Service(
        name="web",
        endpoints={"http": Endpoint(port=80)},
        checks={"answers": Check(endpoint="nothing")},
    )
    with pytest.raises(ProjectError):
        bench.workspace(services={"web": web})["dev"].compose()
    web = im.Service(
        name="web",
        endpoints={"http": Endpoint(port=80)},
        checks={"answers": Check(endpoint="http")},
    )
    workspace = bench.workspace(simulated="uat", services={"web": web})
    run = im.Run.within(3)
    report = workspace.compare("uat", "uat", probes=[], run=run)
    (found,) = report.behaviour
    assert (found.a, found.b, found.verdict) == ("not applicable",) * 3


PERF = """\
from infometis_sdk.model import Measure, Probe

def answer(stack):
    return Measure({"dev": 10.0, "uat": 30.0}[stack.name], "ms")

probes = [Probe(name="web.answer", function=answer, service="web")]
one = Probe(name="other", function=answer)
broken = 7
"""


def write_project(bench: Bench, *probes: str) -> Path:
    """Write a project that names probes."""
    folder = bench.folder / "project"
    (folder / "environments").mkdir(parents=True)
    listed = "".join(f"  - {name}\n" for name in probes)
    (folder / "infometis.yaml").write_text(
        f"format: infometis.io/project/v1\nname: demo\nid: demo-1\nprobes:\n{listed}"
    )
    for name in ("dev", "uat"):
        (folder / "environments" / f"{name}.yaml").write_text(
            "format: infometis.io/environment/v1\nplatform:\n  type: existing\n"
            f"  kubeconfig: {bench.kubeconfig}\n"
        )
    (folder / "perf_for_compare.py").write_text(PERF)
    return folder


def test_the_command_runs_the_probes_of_the_project(bench: Bench) -> None:
    """A project names its probes; the command compares, writes the page and ends with its code."""
    folder = write_project(bench, "perf_for_compare:probes", "perf_for_compare:one")
    done = subprocess.run(
        (sys.executable, "-m", "infometis_sdk", "-C", str(folder), "--quiet", "--output", "json",
         "compare", "dev", "uat", "--rounds", "4", "--html", str(folder / "report.html")),
        env={**os.environ, "INFOMETIS_STATE_DIR": str(folder / "state")},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 8, done.stderr
    data = json.loads(done.stdout)
    assert [(m["probe"], m["verdict"]) for m in data["measures"]] == [
        ("web.answer", "worse"),
        ("other", "worse"),
    ]
    assert "<svg" in (folder / "report.html").read_text()


def test_wrong_names_of_probes_are_all_told(bench: Bench) -> None:
    """What is no name is a fault of the file; what leads nowhere is one of the comparison."""
    folder = write_project(bench, "no name")
    with pytest.raises(ProjectError, match="not the name of a probe"):
        im.Project.load(folder)
    file = folder / "infometis.yaml"
    names = ("perf_for_compare:one", "perf_for_compare:one", "perf_for_compare:broken",
             "perf_for_compare:gone", "gone:x")  # fmt: skip
    head, _, _ = file.read_text().partition("  - ")
    file.write_text(head + "".join(f"  - {name}\n" for name in names))
    workspace = im.Workspace(im.Project.load(folder), state_dir=bench.folder / "state")
    with pytest.raises(ProjectError) as caught:
        workspace.compare("dev", "uat")
    assert [fault.path for fault in caught.value.faults] == [f"probes[{n}]" for n in (1, 2, 3, 4)]
