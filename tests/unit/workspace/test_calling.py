"""Functions of others: their answers, errors and silence."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest

from infometis_sdk.errors import CancelledError
from infometis_sdk.model.run import CancelToken, Run
from infometis_sdk.workspace.calling import call, load

if TYPE_CHECKING:
    from pathlib import Path


def test_an_answer_is_passed_on() -> None:
    """What a function returns comes back, and nothing is wrong."""
    assert call("f", lambda: 7, 5, Run()) == (7, "")


def test_an_error_becomes_words() -> None:
    """Whatever it raises, even an exit, ends nobody else."""

    def leave() -> None:
        sys.exit("now")

    assert call("f", leave, 5, Run()) == (None, "it failed: SystemExit: now")
    assert call("f", lambda: int("x"), 5, Run())[1].startswith("it failed: ValueError")


def test_silence_ends_in_time() -> None:
    """What hangs is left behind after its time."""
    gate = threading.Event()
    try:
        assert call("f", gate.wait, 0.2, Run()) == (None, "it did not answer within 0 s")
    finally:
        gate.set()


def test_a_cancel_ends_the_waiting() -> None:
    """The caller's token counts while others' code runs."""
    gate, token = threading.Event(), CancelToken()
    token.cancel()
    try:
        with pytest.raises(CancelledError, match="waiting for f"):
            call("f", gate.wait, 60, Run(cancel=token))
    finally:
        gate.set()


def test_modules_of_the_project_are_found(tmp_path: Path) -> None:
    """A project's own file is found by its name, and the search path stays as it was."""
    before = list(sys.path)
    (tmp_path / "perf_of_a_test.py").write_text("probe = 42\n")
    assert load("perf_of_a_test:probe", tmp_path) == 42
    assert sys.path == before
    with pytest.raises(ModuleNotFoundError):
        load("no_such_module:x", tmp_path)
