"""Run the command in this process, without a terminal, and say what it left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import click
from attrs import frozen

from infometis_sdk.cli import main
from infometis_sdk.cli.ending import run_to_its_end
from infometis_sdk.cli.options import Verb

if TYPE_CHECKING:
    import pytest


@frozen(kw_only=True)
class Ran:
    """What one run of the command left."""

    code: int
    out: str
    err: str


Runner = Callable[..., Ran]


def ran(capsys: pytest.CaptureFixture[str], *words: str) -> Ran:
    """Run the command with these words."""
    return _caught(capsys, lambda: main(words))


def ending_of(error: BaseException, capsys: pytest.CaptureFixture[str], *words: str) -> Ran:
    """Run a verb that does nothing but raise, and say how the command ends."""

    def fail() -> NoReturn:
        raise error

    app = click.Group("infometis", commands={"fail": Verb("fail", callback=fail)})
    return _caught(capsys, lambda: run_to_its_end(app, ["fail", *words]))


def _caught(capsys: pytest.CaptureFixture[str], run: Callable[[], int]) -> Ran:
    capsys.readouterr()
    code = run()
    output = capsys.readouterr()
    return Ran(code=code, out=output.out, err=output.err)
