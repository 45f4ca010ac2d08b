"""Questions to the person at the terminal; elsewhere nobody is asked, and nothing is assumed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from infometis_sdk.cli.results import paint, stderr_console

if TYPE_CHECKING:
    from infometis_sdk.cli.options import Options
    from infometis_sdk.model.plan import Plan
    from infometis_sdk.workspace import Stack

__all__ = ("confirmation", "consent", "name_typed")


def confirmation(plan: Plan, options: Options) -> str:
    """Show a plan that needs confirmation, ask, and return its digest; empty where nobody consents.

    ``--yes`` does not answer this: the question comes because the plan does more than is usual.
    """
    if not plan.confirm or plan.blocked or not _somebody(options):
        return ""
    console = stderr_console(options)
    if console is not None:
        console.print(plan)
    agreed = click.confirm("Apply this plan?", default=False, err=True)
    return plan.digest if agreed else ""


def consent(question: str, options: Options) -> None:
    """Ask before something that cannot be undone; ``--yes`` answers it, and so does a script.

    Raises:
        CancelledError: the answer was no.

    """
    if options.yes or not _somebody(options):
        return
    if not click.confirm(f"{question}?", default=False, err=True):
        from infometis_sdk.errors import CancelledError

        msg = "not done: the answer was no"
        raise CancelledError(msg)


def name_typed(stack: Stack, verb: str, given: str, options: Options) -> str:
    """Return the environment's name as it was given, or typed now where it is protected."""
    if given or not stack.environment.protected or not _somebody(options):
        return given
    console = stderr_console(options)
    if console is not None:
        console.print(paint((f"environment {stack.name} is protected", "bold yellow")))
    answer: str = click.prompt(f"type its name to {verb}", default="", show_default=False, err=True)
    return answer


def _somebody(options: Options) -> bool:
    """Whether a person sits there: a question in a pipe would wait for ever."""
    return options.output == "text" and sys.stdin.isatty() and sys.stderr.isatty()
