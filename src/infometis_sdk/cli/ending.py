"""How a run of the command ends: an exit code, and for an error what, where, why, what to do."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

import click
from click.exceptions import Exit, NoArgsIsHelpError

from infometis_sdk.cli.options import Options
from infometis_sdk.cli.results import NobodyReadsError
from infometis_sdk.errors import CancelledError, InfometisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infometis_sdk.cli.failures import Failure

__all__ = ("CANCELLED", "PIPE_CLOSED", "run_to_its_end")

CANCELLED = CancelledError.exit_code
PIPE_CLOSED = 141
"""What a shell reports for a program that SIGPIPE ended (128 + 13)."""


def run_to_its_end(app: click.Group, args: Sequence[str] | None) -> int:
    """Run the command; every way it can end becomes an exit code here and nowhere else."""
    options = Options()
    words = list(sys.argv[1:] if args is None else args)
    try:
        code = _invoke(app, words, options)
        sys.stdout.flush()
    except (BrokenPipeError, NobodyReadsError):
        _forget_stdout()
        return PIPE_CLOSED
    return code


def _invoke(app: click.Group, words: list[str], options: Options) -> int:
    try:
        result = app.main(words, prog_name="infometis", standalone_mode=False, obj=options)
    except Exit as end:
        return end.exit_code
    except NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("cancelled", err=True)
        return CANCELLED
    except NobodyReadsError:
        raise
    except click.ClickException as error:
        from infometis_sdk.cli.failures import of_usage

        return _fail(of_usage(error), options, error)
    except InfometisError as error:
        from infometis_sdk.cli.failures import of_error

        return _fail(of_error(error), options, error)
    except Exception as error:  # noqa: BLE001 - whatever else it is becomes one line
        from infometis_sdk.cli.failures import of_bug

        return _fail(of_bug(error), options, error)
    return result if isinstance(result, int) else 0


def _fail(failure: Failure, options: Options, error: Exception) -> int:
    from infometis_sdk.cli.failures import show

    if options.debug:
        traceback.print_exception(error, file=sys.stderr)
    show(failure, options)
    return failure.exit_code


def _forget_stdout() -> None:
    """Keep Python from complaining, at its end, that nobody reads the rest."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
