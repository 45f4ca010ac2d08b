from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml
from tests.unit.cli.running import ending_of

from infometis_sdk import errors
from infometis_sdk.errors import (
    ApplyError,
    ConflictError,
    ForbiddenError,
    InfometisError,
    MissingPartError,
    NotReadyError,
    PlanRefusedError,
    ProjectError,
    SecretError,
    StalePlanError,
)
from infometis_sdk.model.fault import Fault, Origin
from infometis_sdk.model.plan import Plan
from infometis_sdk.model.promotion import PromotionReport
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.report import ApplyReport, HealthItem, HealthReport, Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.running import Runner

KAFKA = ObjectRef(api_version="apps/v1", kind="StatefulSet", namespace="demo", name="kafka")
FAULTS = (
    Fault(
        message="unknown parameter 'replcias'",
        origin=Origin(layer="environment", file="environments/dev.yaml", line=7),
        path="values.kafka.replcias",
        legal="replicas, memory",
        nearest="replicas",
    ),
    Fault(message="the wrong type", origin=Origin(file="infometis.yaml", line=2), found="7"),
)
HEALTH = HealthReport(
    stack_id="demo-dev",
    items=(HealthItem(ref=KAFKA, service="kafka", state="failed", reason="0 of 1 pods ready"),),
)
APPLIED = ApplyReport(
    stack_id="demo-dev",
    plan_digest="sha256:0",
    outcomes=(Outcome(ref=KAFKA, service="kafka", action="create", result="failed"),),
)
REFUSED = Plan(stack_id="demo-dev", environment="dev", namespace="demo", problems=("too much",))

PROMOTED = PromotionReport(id="p1", source="dev", target="uat", state="refused")


DEMANDS: tuple[tuple[type[InfometisError], object, dict[str, object]], ...] = (
    (ProjectError, FAULTS, {}),
    (SecretError, "no such variable", {"reference": "env:TOKEN"}),
    (PlanRefusedError, "the plan may not be applied", {"plan": REFUSED}),
    (errors.LockedError, "another writer holds stack demo-dev", {"holder": "a person"}),
    (ApplyError, "1 object was not applied", {"report": APPLIED}),
    (NotReadyError, "kafka is not ready", {"report": HEALTH}),
    (errors.TamperedError, "release 3", {"expected": "sha256:1", "found": "sha256:2"}),
    (errors.GateError, "gate 'soak' is closed", {"report": PROMOTED}),
    (errors.PromotionError, "stage 'deploy' failed", {"report": PROMOTED}),
    (errors.ProofError, "environment uat cannot be looked at", {"side": "uat"}),
    (InfometisError, "the thing 'x' is wrong", {}),
)
"""What an error of a class must have; the first that fits counts."""


def _made(kind: type[InfometisError]) -> InfometisError:
    """Make an error of a class with what it must have."""
    first, more = next((f, m) for base, f, m in DEMANDS if issubclass(kind, base))
    make: Any = kind
    made: InfometisError = make(first, hint="mend it", **more)
    return made


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_ends_with_its_exit_code_and_says_what_to_do(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each class of errors has its exit code; what and what to do are told; no traceback."""
    error = _made(getattr(errors, name))
    done = ending_of(error, capsys)
    assert done.code == error.exit_code
    assert done.err.startswith("error: ")
    assert f"hint: {error.hint}" in done.err
    assert "Traceback" not in done.err


def test_faults_are_all_told_with_place_and_cure(capsys: pytest.CaptureFixture[str]) -> None:
    """Every fault has a line: file, line, path, what is wrong, what is legal, what was meant."""
    done = ending_of(ProjectError(FAULTS), capsys)
    assert done.err.splitlines() == [
        "error: 2 faults found",
        (
            "  environments/dev.yaml:7: values.kafka.replcias: unknown parameter 'replcias'; "
            "legal: replicas, memory; did you mean 'replicas'?"
        ),
        "  infometis.yaml:2: the wrong type; found 7",
    ]
    assert done.out == ""


def test_an_outcome_is_shown_with_the_error_about_it(capsys: pytest.CaptureFixture[str]) -> None:
    """An error about an outcome shows the outcome on stdout, as success would."""
    done = ending_of(NotReadyError("kafka is not ready", report=HEALTH), capsys)
    assert done.out == f"{HEALTH}\n"
    assert done.err == "error: kafka is not ready\n"


@pytest.mark.parametrize("form", ["json", "yaml"])
@pytest.mark.parametrize(
    "error",
    [
        ProjectError(FAULTS, hint="mend them"),
        NotReadyError("kafka is not ready", report=HEALTH),
        PlanRefusedError("no", plan=REFUSED),
        ForbiddenError("may not list pods", status=403, ref=KAFKA, reason="Forbidden"),
        ConflictError("held", causes=({"field": ".spec.replicas"},)),
        MissingPartError("no etcd", tried=("PATH: not there",)),
        StalePlanError("moved", moved=(KAFKA,)),
        RuntimeError("oops"),
        click.UsageError("no such option"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_programs_get_one_document_also_of_an_error(
    error: Exception, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --output json or yaml stdout is one document, and says what stderr says."""
    done = ending_of(error, capsys, "--output", form)
    document = json.loads(done.out) if form == "json" else yaml.safe_load(done.out)
    assert document["error"]["exit_code"] == done.code
    assert document["error"]["message"].splitlines()[0] in done.err
    assert ("report" in document) == isinstance(error, (NotReadyError, PlanRefusedError))
    if isinstance(error, ProjectError):
        assert [fault["nearest"] for fault in document["error"]["faults"]] == ["replicas", ""]


def test_what_nobody_foresaw_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A bug is named as one, with its place and the way to more; its text stays on the line."""
    done = ending_of(KeyError("a\nb"), capsys)
    what, hint = done.err.splitlines()
    assert done.code == 1
    assert what.startswith(r"error: internal error: KeyError: 'a\nb' (running.py:")
    assert "--debug" in hint


def test_debug_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    """Only --debug shows a traceback, and the message still comes last."""
    done = ending_of(InfometisError("wrong", hint="mend it"), capsys, "--debug")
    assert "Traceback (most recent call last)" in done.err
    assert done.err.splitlines()[-2:] == ["error: wrong", "hint: mend it"]


def test_a_file_that_is_not_there_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    """An error of the operating system names the file and is bad input."""
    done = ending_of(PermissionError(13, "Permission denied", "plan.json"), capsys)
    assert (done.code, done.err.splitlines()[0]) == (2, "error: plan.json: permission denied")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_interrupted(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C outside of a run, or at a question, ends with 130."""
    done = ending_of(error, capsys)
    assert (done.code, done.out, done.err.strip()) == (130, "", "cancelled")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("upp",), "no such command 'upp'. Did you mean 'up'?"),
        (("up", "--cnfirm", "x"), "no such option '--cnfirm'. Did you mean '--confirm'?"),
        (("--output", "xml", "status"), "invalid value for '--output': 'xml' is not one of "),
        (("status", "--timeout", "0"), "invalid value for '--timeout': '0' is no number of"),
        (("apply",), "missing argument 'PLAN'"),
        (("apply", "nowhere.json"), "invalid value for 'PLAN': File 'nowhere.json' does not exist"),
        (("explain",), "say what to explain"),
        (("schema", "project", "--write", "x"), "--write writes them all"),
        (("lock", "kafka"), "naming services only makes sense with --update"),
        (("logs", "kafka", "-f", "--output", "json"), "--follow never ends"),
    ],
)
def test_wrong_words(words: tuple[str, ...], what: str, run: Runner) -> None:
    """A wrong word on the command line is bad input, says what is wrong and where help is."""
    done = run(*words)
    first, *_, last = done.err.splitlines()
    assert done.code == 2
    assert first.startswith(f"error: {what}")
    assert last.startswith("hint: 'infometis")
    assert last.endswith("--help' shows what is legal")


def test_no_project(run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a project, people are told how to make one."""
    monkeypatch.chdir(tmp_path)
    done = run("status")
    assert done.code == 2
    assert "infometis.yaml: there is no project here or in any folder above" in done.err
    assert "'infometis init NAME' makes one" in done.err


def test_nobody_reads_on(project: Path) -> None:
    """Output into a pipe that was closed ends quietly."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "infometis_sdk", "-q", "render"],
        stdout=writing,
        stderr=subprocess.PIPE,
        cwd=project,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")
