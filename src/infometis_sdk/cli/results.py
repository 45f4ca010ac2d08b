"""stdout holds the result and nothing else: text for people, or one document for programs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from infometis_sdk.cli.options import Options
    from infometis_sdk.model.report import Report

__all__ = (
    "NobodyReadsError",
    "document_of",
    "emit",
    "paint",
    "say",
    "show",
    "stderr_console",
    "write",
)


def emit(document: Any, options: Options) -> None:  # noqa: ANN401 - any plain data
    """Write one document in the format that was asked for."""
    if options.output == "yaml":
        from infometis_sdk._yaml import dump_yaml

        write(dump_yaml(document))
        return
    import json

    write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def show(report: Report, options: Options) -> None:
    """Write a report: a coloured table on a terminal, plain text elsewhere, or a document."""
    if options.output != "text":
        emit(document_of(report), options)
        return
    if not sys.stdout.isatty():
        write(f"{report}\n")
        return
    _console(options, stderr=False).print(report)


def document_of(report: Report) -> Any:  # noqa: ANN401 - plain data
    """Return plain data; of a plan everything, so that ``apply`` can read it again."""
    from infometis_sdk.model.plan import Plan

    if not isinstance(report, Plan):
        return report.to_dict()
    import json

    from infometis_sdk.engine.planning.plan_json import plan_to_json

    return json.loads(plan_to_json(report))


class NobodyReadsError(Exception):
    """Whoever read our output has gone; click would answer this itself, with another code."""


def write(text: str) -> None:
    """Write text to stdout as it is.

    Raises:
        NobodyReadsError: the other end of the pipe is closed.

    """
    try:
        click.echo(text, nl=False)
    except BrokenPipeError as error:
        raise NobodyReadsError from error


def say(message: str, options: Options) -> None:
    """Tell people something on stderr, unless they asked for quiet."""
    if not options.quiet:
        click.echo(message, err=True)


def stderr_console(options: Options) -> Console | None:
    """Return a console on stderr; ``None`` where that is no terminal and lines do."""
    if not sys.stderr.isatty():
        return None
    return _console(options, stderr=True)


def paint(*parts: tuple[str, str]) -> Text:
    """Join texts with their styles; what they hold is never read as markup."""
    from rich.text import Text

    from infometis_sdk.model.table import visible

    return Text.assemble(*((visible(text), style) for text, style in parts))


def _console(options: Options, *, stderr: bool) -> Console:
    from rich.console import Console

    plain = not options.color or bool(os.environ.get("NO_COLOR"))
    return Console(
        stderr=stderr, no_color=plain or None, highlight=False, markup=False, emoji=False
    )
