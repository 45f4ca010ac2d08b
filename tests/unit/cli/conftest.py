"""What the tests of the command share: a way to run it, and a project of its own."""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.unit.cli.running import Runner, ran

from infometis_sdk.cli import main

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


@pytest.fixture(scope="session")
def made_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the project of ``infometis init demo`` once."""
    root = tmp_path_factory.mktemp("made") / "demo"
    assert main(["init", str(root)]) == 0
    return root


@pytest.fixture
def project(
    run: Runner, made_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Stand in a project of ``infometis init demo`` that is the test's own."""
    del run
    shutil.copytree(made_project, tmp_path / "demo")
    monkeypatch.chdir(tmp_path / "demo")
    return tmp_path / "demo"
