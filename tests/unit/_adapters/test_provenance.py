"""Which commit a project is at: told by git, or not at all."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from infometis_sdk._adapters.provenance import git_state

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def git(root: Path, *words: str) -> str:
    """Run git as somebody without a configuration."""
    known = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    command = ("git", "-C", str(root), *known, *words)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_and_whether_the_project_differs_from_it(tmp_path: Path) -> None:
    """What another project of the same repository changed is no concern of this one."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.mkdir()
    other.mkdir()
    assert git_state(mine) == ("", False)
    git(tmp_path, "init", "-q")
    assert git_state(mine) == ("", False), "no commit yet"
    (mine / "a").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "x")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert git_state(mine) == (commit, False)
    (other / "b").write_text("1")
    assert git_state(mine) == (commit, False)
    (mine / "b").write_text("1")
    assert git_state(mine) == (commit, True), "a file that nobody added may render too"
    (mine / "b").unlink()
    (mine / "a").write_text("2")
    assert git_state(mine) == (commit, True)
    assert git_state(None) == ("", False)


def test_nothing_of_the_repository_or_the_surroundings_runs_or_leads_astray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository's configuration starts no program, and ``GIT_DIR`` of a hook does not count."""
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "x")
    commit = git(tmp_path, "rev-parse", "HEAD")
    ran = tmp_path.parent / "ran"
    spy = tmp_path / "spy.sh"
    spy.write_text(f"#!/bin/sh\ntouch {ran}\n")
    spy.chmod(0o700)
    git(tmp_path, "config", "core.fsmonitor", str(spy))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert git_state(tmp_path) == (commit, True)
    assert not ran.exists()


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without git deploys all the same."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) == ("", False)
