"""What is shown of an error: what, where, why, and what to do about it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infometis_sdk.cli.results import document_of, emit, paint, stderr_console
from infometis_sdk.errors import InfometisError, ProjectError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import click
    from rich.text import Text

    from infometis_sdk.cli.options import Options
    from infometis_sdk.model.fault import Fault
    from infometis_sdk.model.report import Report

__all__ = ("Failure", "of_bug", "of_error", "of_usage", "show")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An error in the words of the command line.

    Attributes:
        kind: name of the error's class, for programs.
        message: what is wrong; further lines say where and why.
        hint: what to do.
        faults: of files and values, each with its place.
        report: what was done, or how things are, up to the error.

    """

    kind: str
    message: str
    hint: str = ""
    exit_code: int = 1
    faults: tuple[Fault, ...] = ()
    report: Report | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON and YAML."""
        from infometis_sdk.model.report import plain

        error: dict[str, Any] = {
            "type": self.kind,
            "message": self.message,
            "hint": self.hint,
            "exit_code": self.exit_code,
            **self.details,
        }
        if self.faults:
            error["faults"] = plain(self.faults)
        document: dict[str, Any] = {"error": error}
        if self.report is not None:
            document["report"] = document_of(self.report)
        return document


_DETAILS = ("plugin", "reference", "holder", "age", "status", "reason", "causes", "tried")


def of_error(error: InfometisError) -> Failure:
    """Describe an error of the SDK."""
    details = {name: value for name in _DETAILS if (value := getattr(error, name, None))}
    ref = getattr(error, "ref", None)
    if ref is not None:
        details["object"] = str(ref)
    faults = error.faults if isinstance(error, ProjectError) else ()
    return Failure(
        kind=type(error).__name__,
        # The faults themselves are drawn one by one, below the line that counts them.
        message=error.message.partition("\n")[0] if faults else error.message,
        hint=error.hint,
        exit_code=error.exit_code,
        faults=faults,
        report=getattr(error, "report", None) or getattr(error, "plan", None),
        details=details,
    )


def of_usage(error: click.ClickException) -> Failure:
    """Describe a wrong word on the command line."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "infometis"
    text = error.format_message().strip().removesuffix(".")
    return Failure(
        kind="UsageError",
        message=text[:1].lower() + text[1:],
        hint=f"'{path} --help' shows what is legal",
        exit_code=2,
    )


def of_bug(error: Exception) -> Failure:
    """Describe what nobody foresaw, in one line; the place is in our code, not the user's."""
    if isinstance(error, OSError) and error.filename:
        # The most common of them, and not a bug: a file that is not there, or not ours.
        return Failure(
            kind=type(error).__name__,
            message=f"{error.filename}: {(error.strerror or str(error)).lower()}",
            hint="look at the path and its permissions",
            exit_code=2,
        )
    text = " ".join(str(error).split())
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})" if trace else ""
    return Failure(
        kind="InternalError",
        message=f"internal error: {type(error).__name__}{f': {text}' if text else ''}{where}",
        hint="this is a bug of ours; run it again with --debug and report what it shows",
    )


def show(failure: Failure, options: Options) -> None:
    """Write the error to stderr, and for programs one document to stdout."""
    if options.output != "text":
        emit(failure.to_dict(), options)
    elif failure.report is not None:
        from infometis_sdk.cli.results import show as show_report

        show_report(failure.report, options)
    rows = list(_rows(failure))
    console = stderr_console(options)
    if console is None:
        sys.stderr.write("".join(f"{mark.plain}{text.plain}\n" for mark, text in rows))
        return
    from rich.table import Table

    for row in rows:
        # A grid a line: what is too long goes on below its text, not below its mark.
        grid = Table.grid()
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(*row)
        console.print(grid)


def _rows(failure: Failure) -> Iterator[tuple[Text, Text]]:
    """Yield each line as its mark and its text."""
    what, *rest = failure.message.splitlines() or [""]
    yield paint(("error: ", "bold red")), paint((what, "bold"))
    for line in rest:
        text = line.lstrip()
        yield paint((line[: len(line) - len(text)], "")), paint((text, ""))
    for fault in failure.faults:
        yield paint(("  ", "")), _fault(fault)
    for number, line in enumerate(failure.hint.splitlines()):
        yield paint(("hint: " if number == 0 else "      ", "bold cyan")), paint((line, ""))


def _fault(fault: Fault) -> Text:
    """One fault on a line: place, what is wrong, what would be right."""
    where = str(fault.origin) if fault.origin.file else ""
    parts = [(f"{where}: ", "bold")] if where else []
    if fault.level != "error":
        parts.append((f"{fault.level}: ", "yellow"))
    if fault.path:
        parts.append((f"{fault.path}: ", "cyan"))
    parts.append((fault.message, ""))
    if fault.found:
        parts.append((f"; found {fault.found}", ""))
    if fault.legal:
        parts.append((f"; legal: {fault.legal}", ""))
    if fault.nearest:
        parts.append((f"; did you mean {fault.nearest!r}?", "green"))
    return paint(*parts)
