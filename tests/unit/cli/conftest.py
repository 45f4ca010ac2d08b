"""What the tests of the command share: a way to run it, and a project of its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.unit.cli.running import Runner, ran

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Runner:
    """Run the command with state of its own, as in a terminal of 88 columns."""
    monkeypatch.setenv("INFOMETIS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "88")
    return partial(ran, capsys)


@pytest.fixture
def project(run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the project of ``infometis init demo`` and stand in it."""
    monkeypatch.chdir(tmp_path)
    assert run("init", "demo").code == 0
    monkeypatch.chdir(tmp_path / "demo")
    return tmp_path / "demo"
