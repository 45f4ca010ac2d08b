"""``up``: everything from nothing to ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from infometis_sdk.cli import asking, session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import emit, show, write
from infometis_sdk.cli.verbs import choices

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_sdk.model.report import UpReport
    from infometis_sdk.workspace import Stack

__all__ = ("up",)


@verb("up", short_help="Make the cluster, plan, apply, and wait until ready.")
@choices.services
@choices.confirm
@choices.adopting
@choices.bundled
@choices.reason
@choices.platform
@click.option(
    "--dry-run", is_flag=True, help="Show what would make or start the cluster, and do nothing."
)
@click.option(
    "--check/--no-check",
    default=True,
    help="With --no-check, what is not ready is shown and is no error.",
)
@click.option(
    "--wait/--no-wait",
    default=True,
    help="With --no-wait, applies everything at once, looks once and ends.",
)
def up(
    options: Options,
    *,
    services: tuple[str, ...],
    confirm: str,
    adopt: tuple[str, ...],
    accept_data_loss: tuple[str, ...],
    bundle: Path | None,
    env_file: Path | None,
    reason: str,
    platform: str,
    dry_run: bool,
    check: bool,
    wait: bool,
) -> None:
    """Make or start the cluster, plan, apply, and wait until every service is ready.

    May be run again at any time: it goes on where it was, and does nothing where nothing is to do.
    With services named, only they are applied and waited for, and nothing is pruned.
    """
    from infometis_sdk.errors import PlanRefusedError

    stack = session.stack_of(options, bundle, env_file)
    stack = stack.on(platform) if platform else stack
    if dry_run:
        _show_steps(stack, options)
        return

    def once(confirm: str) -> UpReport:
        with session.running(options, session.UP, f"up {stack.name}", acts=True) as run:
            return stack.up(
                services,
                check=check,
                wait=wait,
                confirm=confirm,
                adopt=adopt,
                accept_data_loss=accept_data_loss,
                reason=reason,
                run=run,
            )

    try:
        report = once(confirm)
    except PlanRefusedError as error:
        given = asking.confirmation(error.plan, options)
        if not given:
            raise
        report = once(given)
    show(report, options)


def _show_steps(stack: Stack, options: Options) -> None:
    """Show what would be done to have the cluster; the rest is what 'infometis plan' shows."""
    from infometis_sdk.workspace.cluster_life import steps

    found = steps(stack)
    if options.output != "text":
        emit({"platform": stack.chosen.name, "why": stack.chosen.why, "steps": found}, options)
        return
    write(f"platform {stack.chosen.name}: {stack.chosen.why or 'the environment names it'}\n")
    write("".join(f"  - {step}\n" for step in found) or "  nothing to make or start\n")
