"""Which commit a project is at."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ("git_state",)

_SECONDS = 20.0


def git_state(root: Path | None) -> tuple[str, bool]:
    """Return the commit of a directory's repository, and whether the directory differs from it.

    Args:
        root: the project's directory.

    Returns:
        ``("", False)`` where there is no repository, no commit yet, or no git.

    """
    if root is None:
        return "", False
    commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return "", False
    # A project may share its repository with others, whose changes are no concern of ours.
    status = _git(root, "status", "--porcelain", "--untracked-files=all", "--", ".")
    return commit.strip(), status is None or bool(status.strip())


def _git(root: Path, *words: str) -> str | None:
    # A repository's own configuration could name a program for git to run, so it is told not to.
    command = ("git", "-c", "core.fsmonitor=false", "-C", str(root), *words)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env = {**inherited, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(command, env=env, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603 - no shell, and git is looked for on the PATH as everywhere
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
