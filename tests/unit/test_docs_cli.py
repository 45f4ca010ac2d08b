"""``docs/reference/cli.md`` is what ``--help`` says.

After a change of a verb, write it anew with::

    INFOMETIS_WRITE_DOCS=1 python -m pytest tests/unit/test_docs_cli.py
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
HEAD = """\
# Commands

This page is what `--help` says, verb by verb.
Exit codes are listed in [Errors and exit codes](errors.md).
"""


class _Help:
    """Asks the command for its help, in this process, as a terminal of 88 columns shows it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.setenv("COLUMNS", "88")
        monkeypatch.setenv("NO_COLOR", "1")
        # click calls itself `python -m …` where the main module belongs to a package.
        monkeypatch.setattr(sys.modules["__main__"], "__package__", "", raising=False)

    def __call__(self, *words: str) -> str:
        from infometis_sdk.cli import main

        self._monkeypatch.setattr(sys, "argv", ["infometis", *words, "--help"])
        try:
            code = main()
        except SystemExit as end:
            code = int(end.code or 0)
        output = self._capsys.readouterr()
        assert (code or 0, output.err) == (0, "")
        return output.out.rstrip()


def _verbs(text: str) -> list[str]:
    _, _, commands = text.partition("\nCommands:\n")
    return re.findall(r"^ {2}([a-z][a-z-]*)", commands, flags=re.MULTILINE)


def _page(ask: _Help, *words: str) -> str:
    text = ask(*words)
    name = " ".join(("infometis", *words))
    # The levels of headings: the command and its verbs, then what a verb of verbs holds.
    level = "#" * min(2 + max(0, len(words) - 1), 4)
    section = f"\n{level} `{name}`\n\n```text\n{text}\n```\n"
    return section + "".join(_page(ask, *words, verb) for verb in _verbs(text))


def test_reference_is_what_help_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every verb is documented, and the page cannot lag behind the program."""
    page = HEAD + _page(_Help(monkeypatch, capsys))
    assert "## `infometis up`" in page
    if os.environ.get("INFOMETIS_WRITE_DOCS"):
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, "see the docstring of this file"
