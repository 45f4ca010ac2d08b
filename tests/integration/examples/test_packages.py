"""The example packages, installed as a third party would and used from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from infometis_sdk.ports import Access

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[3]
PLATFORM_LINES = 50


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All packages, installed into a folder of their own."""
    target = tmp_path_factory.mktemp("site")
    for name in ("border_ingress", "platform_borrowed", "service_whoami"):
        subprocess.run(
            [
                *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps"),
                *("--target", str(target), str(ROOT / "examples" / name)),
            ],
            check=True,
        )
    return target


def infometis(installed: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with the packages on the path and a home of its own."""
    return subprocess.run(
        [sys.executable, "-m", "infometis_sdk", *arguments],
        env={
            **os.environ,
            "PYTHONPATH": str(installed),
            "INFOMETIS_STATE_DIR": str(home / "state"),
            "NO_COLOR": "1",
        },
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )


def project(home: Path, access: Access, namespace: str) -> None:
    """Write a project that uses nothing but the two packages."""
    (home / "environments").mkdir()
    (home / "infometis.yaml").write_text(
        f"format: infometis.io/project/v1\nname: lent\nid: lent-{namespace[-8:]}\n"
        "services:\n  whoami: {}\n"
        "values:\n  whoami: {greeting: \"we: 'are' {many}\"}\n"
    )
    (home / "environments" / "dev.yaml").write_text(
        f"format: infometis.io/environment/v1\nstack_id: lent-{namespace[-8:]}-dev\n"
        f"namespace: {namespace}\n"
        f"platform:\n  type: borrowed\n  kubeconfig: {access.kubeconfig}\n"
        "values:\n  whoami: {replicas: 2}\n"
    )


def test_all_are_found_by_their_entry_points(installed: Path, tmp_path: Path) -> None:
    """A third party's package needs nothing but to be installed."""
    done = infometis(installed, tmp_path, "plugins", "--output", "json")
    assert done.returncode == 0, done.stderr
    text = json.dumps(json.loads(done.stdout))
    assert "service whoami" in text
    assert "platform borrowed" in text
    assert "border ingress" in text


def test_a_stack_of_third_party_parts_comes_up(
    installed: Path, tmp_path: Path, embedded_access: Access, namespace_name: str
) -> None:
    """A project may consist of third-party parts alone; a second up does nothing."""
    project(tmp_path, embedded_access, namespace_name)
    first = infometis(installed, tmp_path, "up", "--output", "json")
    assert first.returncode == 0, first.stderr
    report = json.loads(first.stdout)
    assert report["changed"] is True
    second = infometis(installed, tmp_path, "up", "--output", "json")
    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout)["changed"] is False
    down = infometis(installed, tmp_path, "down", "--delete-data", "--yes")
    assert down.returncode == 0, down.stderr


def test_a_useful_platform_is_small() -> None:
    """The mandatory port is four methods, so that a platform fits in 50 lines of code."""
    source = ROOT / "examples/platform_borrowed/src/infometis_platform_borrowed/__init__.py"
    code = [line for line in source.read_text().splitlines() if line.strip()]
    assert len(code) <= PLATFORM_LINES + 5, "docstrings included"
