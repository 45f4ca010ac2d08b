"""``guard`` and ``heal`` at a terminal: programs with exit codes and lines to read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.integration.engine.lab import MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.engine.lab import Lab

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

FILES: dict[str, dict[str, Any]] = {
    "infometis.yaml": {
        "format": "infometis.io/project/v1",
        "name": "desk",
        "services": {"app": {"path": "services/app"}},
    },
    "services/app/service.yaml": {
        "format": "infometis.io/service/v1",
        "name": "app",
        "version": "1",
        "summary": "one setting",
    },
    "services/app/templates/app.yaml.j2": {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "app"},
        "data": {"level": "info"},
    },
}


class Desk:
    """A project on disk, and the command."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._folder = folder
        environment = {
            "format": "infometis.io/environment/v1",
            "stack_id": lab.name,
            "namespace": lab.namespace,
            "platform": {
                "type": "existing",
                "kubeconfig": str(lab.access.kubeconfig),
                "context": lab.access.context,
            },
            "policies": {"drift": {"action": "heal-except", "exceptions": ["ConfigMap/none"]}},
        }
        project = {**FILES["infometis.yaml"], "id": lab.name}
        files = {**FILES, "infometis.yaml": project, "environments/dev.yaml": environment}
        for name, content in files.items():
            path = folder / "project" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(content))

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin a command."""
        return subprocess.Popen(
            (sys.executable, "-m", "infometis_sdk", "-C", str(self._folder / "project"), *words),
            env={**os.environ, "INFOMETIS_STATE_DIR": str(self._folder / "state")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run a command; return exit code, stdout and stderr."""
        process = self.start(*words)
        out, err = process.communicate(timeout=2 * MINUTE)
        return process.returncode, out, err


def _notes(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def test_at_a_terminal(lab: Lab, tmp_path: Path) -> None:
    """``heal`` refuses before a release and says what is wrong; ``guard`` writes JSON lines.

    SIGTERM, with which a pod is asked to end, ends a guard in the normal way.
    """
    desk = Desk(lab, tmp_path)
    code, _, err = desk.run("guard", "--render")
    assert (code, "--image" in err) == (2, True)
    code, _, err = desk.run("heal")
    assert (code, "no release" in err) == (3, True)
    code, _, err = desk.run("up", "--no-wait")
    assert code == 0, err
    lab.kubectl("patch", "configmap", "app", "--patch", '{"data": {"level": "debug"}}')
    code, out, err = desk.run("heal", "--output", "json", "--reason", "tidy")
    assert code == 0, err
    assert [o["result"] for o in json.loads(out)["outcomes"]] == ["applied"]
    guard = desk.start("guard", "--output", "json")
    try:
        notes = _notes(guard)
        assert any(note["name"] == "synced" for note in notes)
        lab.kubectl("delete", "configmap", "app")
        healed = next(note for note in notes if note["name"] == "healed")
        assert (healed["subject"], healed["namespace"]) == ("ConfigMap/app", lab.namespace)
        guard.send_signal(signal.SIGTERM)
        _, err = guard.communicate(timeout=MINUTE)
    finally:
        guard.kill()
    assert guard.returncode == 0, err
    code, out, err = desk.run("guard", "--render", "--image", "registry.example/im:1")
    assert code == 0, err
    kinds = [each["kind"] for each in yaml.safe_load_all(out)]
    assert kinds[0] == "ServiceAccount"
    assert kinds[-1] == "Deployment"
