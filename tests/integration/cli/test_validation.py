"""What ``validate`` finds beyond the files: the API server's word, and rules of the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cli.conftest import Command

pytestmark = pytest.mark.integration

RULES = """
from infometis_sdk.model import Fault

def small(manifests):
    for manifest in manifests.manifests:
        if manifest.object.get("spec", {}).get("replicas", 0) > 1:
            yield Fault(message=f"{manifest.ref} has more than one replica", origin=manifest.origin)

def advice(manifests):
    yield Fault(message="somebody should look at this", level="warning")

def plain(manifests):
    return ["a line of text is a fault too"]

def broken(manifests):
    raise ValueError("a bug of the rule")
"""


def rules(project: Path, *names: str) -> None:
    """Let the environment ask these functions."""
    (project / "our_rules.py").write_text(RULES)
    file = project / "environments" / "dev.yaml"
    text = file.read_text().partition("policies:")[0]
    listed = ", ".join(f"our_rules:{name}" for name in names)
    file.write_text(f"{text}policies: {{validate: [{listed}]}}\n")


def test_rules_of_ones_own(run: Command, project: Path) -> None:
    """A function of the project sees every object; what it returns refuses every verb."""
    rules(project, "small", "plain", "broken", "advice", "gone")
    for verb in ("validate", "plan", "up"):
        done = run(verb)
        assert done.returncode == 2, verb
        assert "hello/templates/all.yaml.j2:2: Deployment/hello has more than one" in done.stderr
        assert "a line of text is a fault too" in done.stderr
        assert "our_rules:broken failed: ValueError: a bug of the rule" in done.stderr
        assert "our_rules:gone failed: AttributeError" in done.stderr
        assert "environments/dev.yaml" in done.stderr
        assert ("4 faults and 1 warning found" in done.stderr) == (verb == "validate")
    rules(project, "advice")
    done = run("validate")
    assert done.returncode == 0
    assert "warning: somebody should look at this" in done.stdout
    assert run("up").returncode == 0


def test_the_api_server_is_asked(run: Command, project: Path) -> None:
    """With ``--server`` every object is dry-run: refusals are faults, what waits is told."""
    early = run("validate", "--server")
    assert early.returncode == 0, early.stderr
    assert "could not be asked about: namespace" in early.stdout
    assert run("up").returncode == 0
    asked = run("validate", "--server")
    assert (asked.returncode, "could not be asked" in asked.stdout) == (0, False)
    template = project / "services" / "hello" / "templates" / "all.yaml.j2"
    good = template.read_text()
    template.write_text(good.replace("  selector:", "  minReadySecs: 3\n  selector:", 1))
    assert run("validate").returncode == 0
    wrong = run("validate", "--server")
    assert wrong.returncode == 2
    assert "hello/templates/all.yaml.j2:2: the API server refuses Deployment/hello" in wrong.stderr
    assert "minReadySecs" in wrong.stderr
    # What a plan would make anew is no fault.
    anew = good.replace("matchLabels: {{ selector }}", "matchLabels: {extra: label}", 1)
    template.write_text(anew.replace("labels: {{ selector }}", "labels: {extra: label}", 1))
    assert run("validate", "--server").returncode == 0
