"""The samples of the pages that show commands are run, and print what the pages say.

After a change of what is printed, write the pages anew with::

    INFOMETIS_WRITE_DOCS=1 python -m pytest tests/e2e/test_pages.py
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.conftest import cache_dir, required

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

DOCS = Path(__file__).parents[2] / "docs"
PAGES = (
    "tutorial/quickstart.md",
    "how-to/operate.md",
    "how-to/releases.md",
    "how-to/scale-and-limit.md",
    "how-to/guard.md",
    "how-to/prove.md",
    "how-to/compare.md",
    "how-to/promote.md",
)
ID = "demo-k4x7nq"
"""What stands in the pages for the id that ``init`` drew."""

_BLOCK = re.compile(r"(?<=^```console\n)(.*?)(?=^```$)", re.MULTILINE | re.DOTALL)
# What is another one at each run: digests, times, how long it took.
_VOLATILE = (
    (re.compile(r"sha256:[0-9a-f]{64}"), "sha256:0"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"\b\d+\.\d s\b"), "N s"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\+00:00)?"), "TIME"),
    (re.compile(r"\b[\w-]+@[\w.-]+"), "WHO"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UID"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "0"),
    (re.compile(r"\b\d+(\.\d)?[smh]( \d+s)? (?=of \d)"), "N "),
    (re.compile(r"(?<= )(\d+m )?\d+s(?= )"), "N"),
    (re.compile(r"/[0-9a-f]{16}/"), "/0/"),
    (re.compile(r"applyset-[\w-]{43}-v1"), "APPLYSET"),
    (re.compile(r" +"), " "),
)
_KUBECTL = Path(__file__).with_name("kubectl.py")


class Shell:
    """Somebody at a terminal: one directory and one environment for all commands of a page."""

    def __init__(self, home: Path) -> None:
        self._home = self._folder = home
        programs = home / "bin"
        programs.mkdir()
        _program(programs / "infometis", f'exec "{sys.executable}" -m infometis_sdk "$@"')
        if shutil.which("kubectl") is None:
            _program(programs / "kubectl", f'exec "{sys.executable}" "{_KUBECTL}" "$@"')
        self._environ = {
            **{name: value for name, value in os.environ.items() if name != "KUBECONFIG"},
            "COLUMNS": "100",
            "HOME": str(home),
            "INFOMETIS_CACHE_DIR": str(cache_dir()),
            "INFOMETIS_STATE_DIR": str(home / "state"),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        }

    def run(self, command: str) -> str:
        """Run a command; return its result, or the error where it ends with one."""
        if command.startswith("cd "):
            self._folder /= command.removeprefix("cd ")
            return ""
        variable = re.fullmatch(r"export (\w+)=(.*)", command)
        if variable:
            self._environ[variable[1]] = self._bash(f"echo {variable[2]}").stdout.strip()
            return ""
        done = self._bash(command)
        error = done.stderr[done.stderr.find("error: ") :] if "error: " in done.stderr else ""
        if error and not required() and "cannot be had on this machine" in error:
            pytest.skip(f"no embedded cluster: {error}")
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        head, mark, tail = done.stdout.rpartition("exit code ")
        return f"{head}{error}{mark}{tail}"

    def id(self) -> str:
        """Return the project's id; its stand-in before there is a project."""
        file = self._home / "demo" / "infometis.yaml"
        found = re.search(r"^id: (\S+)", file.read_text(), re.MULTILINE) if file.exists() else None
        return found[1] if found else ID

    def leave(self) -> None:
        """Remove the cluster, wherever the page ended."""
        if (self._home / "demo").exists():
            self._folder = self._home / "demo"
            self.run("infometis destroy --yes --confirm-name dev")

    def _bash(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environ,
            capture_output=True,
            text=True,
            check=False,
        )


def _program(file: Path, line: str) -> None:
    file.write_text(f"#!/bin/sh\n{line}\n")
    file.chmod(0o755)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell in a home of its own; its cluster goes when the page ends, however it ends."""
    somebody = Shell(tmp_path)
    yield somebody
    somebody.leave()


def _same(text: str) -> list[str]:
    for pattern, word in _VOLATILE:
        text = pattern.sub(word, text)
    return [line.rstrip() for line in text.splitlines()]


def _commands(block: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a block and what the page says it prints."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, said = part.partition("\n")
        yield command, said


@pytest.mark.parametrize("page", PAGES)
def test_the_page_shows_what_is_printed(page: str, shell: Shell) -> None:
    """Each command of the page runs, in order, and its result is what the page shows."""
    file = DOCS / page
    text = file.read_text(encoding="utf-8")
    wrong: list[str] = []

    def run(found: re.Match[str]) -> str:
        lines = []
        for command, said in _commands(found[0]):
            told = shell.run(command)
            told = told.replace(shell.id(), ID)
            same = _same(told) == _same(said)
            if not same:
                wrong.append(f"$ {command}\n{told}")
            # What the page says stays where only times differ, so that writing it changes little.
            lines.append(f"$ {command}\n{said if same else told}")
        return "".join(lines)

    new = _BLOCK.sub(run, text)
    if os.environ.get("INFOMETIS_WRITE_DOCS"):
        file.write_text(new, encoding="utf-8")
    else:
        assert wrong == [], "see the docstring of this file"
