"""Two environments on two genuine clusters, from proof to promotion, as their operator lives it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import cache_dir, required

from infometis_sdk import Project, Workspace
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

GATED = """
pipelines:
  main:
    steps:
      - environment: dev
      - environment: uat
        gates: {{soak: {soak}, equivalence: unverified}}
        allow: [simulated]
"""
REFUSED, DRIFT_FOUND, TAMPERED, DIFFERENT = 3, 6, 7, 8


class Operator:
    """Somebody at a terminal with a project of two environments, each with its own cluster."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.project = home / "demo"
        self.environ = {
            **os.environ,
            "INFOMETIS_STATE_DIR": str(home / "state"),
            "INFOMETIS_CACHE_DIR": str(cache_dir()),
            "NO_COLOR": "1",
        }

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command that ends with ``code``; return everything that it said."""
        done = subprocess.run(
            (sys.executable, "-m", "infometis_sdk", *words),
            cwd=self.project if self.project.exists() else self.home,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if not required() and "cannot be had on this machine" in done.stderr:
            pytest.skip(f"no embedded cluster: {done.stderr}")
        assert done.returncode == code, f"{words}: {done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def read(self, *words: str, code: int = 0) -> Any:
        """Run a command for a program; return its one document."""
        text = self.run(*words, "--quiet", "--output", "json", code=code)
        return json.loads(text[text.index("{") : text.rindex("}") + 1])

    def declare(self, soak: str, partitions: int) -> None:
        """Write the pipeline, and a core value."""
        file = self.project / "infometis.yaml"
        text = file.read_text().partition("\npipelines:")[0]
        text = re.sub(r"partitions: \d+", f"partitions: {partitions}", text)
        file.write_text(text + GATED.format(soak=soak))

    def meddle(self, environment: str) -> str:
        """Change a core field as somebody with kubectl would; return the object's name."""
        ws = Workspace(Project.load(self.project), state_dir=self.home / "state")
        stack, run = ws[environment], Run.within(300)
        cluster = stack._cluster(run)
        ref = ObjectRef(
            api_version="v1",
            kind="Service",
            namespace=stack.compose().namespace,
            name="grafana",
        )
        body = [{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 8080}]
        cluster.write(Write(verb="json-patch", ref=ref, body=body, manager="kubectl-edit"), run)
        return str(ref)


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    """Give an operator a project; its clusters go with the test, however that ends."""
    somebody = Operator(tmp_path)
    somebody.run("init", "demo")
    dev = (somebody.project / "environments" / "dev.yaml").read_text()
    (somebody.project / "environments" / "uat.yaml").write_text(
        re.sub(r"stack_id: (.*)-dev", r"stack_id: \1-uat", dev).replace("1Gi", "2Gi")
    )
    yield somebody
    for name in ("dev", "uat"):
        somebody.run("destroy", "--yes", "--confirm-name", name, "-e", name)


def test_proof_heal_promotion_and_audit(operator: Operator) -> None:
    """Prove; find and heal what somebody edited; promote through a gate; trust no audit blindly."""
    operator.declare("1h", 3)
    operator.run("up", "-e", "dev", "--reason", "the first core")
    operator.run("up", "-e", "uat", "--reason", "the first core")
    assert "unverified" in operator.run("prove", "dev", "uat")

    name = operator.meddle("uat")
    told = operator.run("prove", "dev", "uat", code=DIFFERENT)
    assert name in told
    assert "kubectl-edit" in told
    operator.run("drift", "-e", "uat", code=DRIFT_FOUND)
    operator.run("heal", "-e", "uat", "--reason", "nobody asked for that")
    operator.run("prove", "dev", "uat")
    healed = operator.read("audit", "show", "-e", "uat", "--kind", "heal")["events"]
    assert healed
    assert any(each["object"] == name for event in healed for each in event["outcomes"])
    assert "nobody asked for that" in {event["reason"] for event in healed}

    operator.declare("1h", 6)
    operator.run("up", "-e", "dev")
    operator.run("prove", "dev", "uat", code=DIFFERENT)
    told = operator.run("promote", "dev", "uat", code=REFUSED)
    assert "wait until" in told
    operator.declare("1s", 6)
    run = Run.within(300)
    while not all(
        gate["opened"] for gate in operator.read("promote", "dev", "uat", "--dry-run")["gates"]
    ):
        run.sleep(0.2, "waiting for the soak gate")
    report = operator.read("promote", "dev", "uat", "--reason", "six partitions")
    assert report["state"] == "succeeded"
    assert {s["name"] for s in report["stages"] if s["simulated"]} >= {"deployment"}
    states = {s["name"]: s["state"] for s in report["stages"]}
    assert states["integration"] == "not applicable", "no check was asked where nothing runs"
    operator.run("prove", "dev", "uat")
    row = operator.read("pipeline", "status")["rows"][1]
    assert (row["promotion"], row["drift"]) == ("succeeded from dev", "none")

    operator.run("audit", "verify", "-e", "uat")
    (records,) = (operator.home / "state" / "audit").glob("*-uat/records.jsonl")
    lines = records.read_text().splitlines(keepends=True)
    records.write_text("".join(lines[:4] + lines[5:]))
    faults = operator.read("audit", "verify", "-e", "uat", code=TAMPERED)["faults"]
    assert [(fault["kind"], fault["sequence"]) for fault in faults] == [("removed", 5)]
