"""``down``, ``stop``, ``destroy`` and ``abandon``: four ways to end, from mild to final."""

from __future__ import annotations

import click

from infometis_sdk.cli import asking, session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import emit, show, write
from infometis_sdk.cli.verbs import choices

__all__ = ("abandon", "destroy", "down", "stop")


@verb("down", short_help="Delete the stack's objects; data stays.")
@click.option("--delete-data", is_flag=True, help="Volumes and credentials go too.")
@click.option(
    "--destroy", "and_destroy", is_flag=True, help="Then remove the cluster that we made."
)
@choices.confirm_name
@choices.reason
def down(
    options: Options, *, delete_data: bool, and_destroy: bool, confirm_name: str, reason: str
) -> None:
    """Delete the objects of the stack; volumes and credentials stay, so that up finds its data."""
    import attrs

    stack = session.stack(options)
    if delete_data or and_destroy:
        confirm_name = asking.name_typed(stack, "delete its data", confirm_name, options)
        what = "its cluster and all its data" if and_destroy else "all its data"
        asking.consent(f"{stack.name}: delete the stack and {what}", options)
    with session.running(options, session.UP, f"down {stack.name}", acts=True) as run:
        if and_destroy and stack.platform.owned and stack.platform.status().phase == "stopped":
            # It need not be started for its objects to go one by one.
            stack.destroy(confirm_name=confirm_name, reason=reason, run=run)
            _done(f"{stack.name}: destroyed", stack.name, "destroyed", options)
            return
        report = stack.down(
            delete_data=delete_data, confirm_name=confirm_name, reason=reason, run=run
        )
        if and_destroy:
            stack.destroy(confirm_name=confirm_name, reason=reason, run=run)
            # What the stack left behind went with the cluster.
            left = tuple(each for each in report.warnings if not each.startswith("kept: "))
            report = attrs.evolve(report, warnings=left)
    show(report, options)


@verb("stop", short_help="Pause the cluster that we made; everything stays.")
@choices.confirm_name
@choices.reason
def stop(options: Options, *, confirm_name: str, reason: str) -> None:
    """Pause the cluster; 'infometis up' goes on with its data."""
    stack = session.stack(options)
    confirm_name = asking.name_typed(stack, "stop it", confirm_name, options)
    with session.running(options, session.APPLYING, f"stop {stack.name}", acts=True) as run:
        stack.stop(confirm_name=confirm_name, reason=reason, run=run)
    _done(f"{stack.name}: stopped; 'infometis up' goes on", stack.name, "stopped", options)


@verb("destroy", short_help="Remove the cluster that we made, with all its data.")
@choices.confirm_name
@choices.reason
def destroy(options: Options, *, confirm_name: str, reason: str) -> None:
    """Remove the cluster that the platform made, and every trace of it."""
    stack = session.stack(options)
    confirm_name = asking.name_typed(stack, "destroy its cluster", confirm_name, options)
    asking.consent(f"{stack.name}: destroy its cluster and all its data", options)
    with session.running(options, session.APPLYING, f"destroy {stack.name}", acts=True) as run:
        stack.destroy(confirm_name=confirm_name, reason=reason, run=run)
    _done(f"{stack.name}: destroyed", stack.name, "destroyed", options)


@verb("abandon", short_help="Forget the stack; delete nothing.")
@choices.confirm_name
@choices.reason
def abandon(options: Options, *, confirm_name: str, reason: str) -> None:
    """Forget on which cluster the stack lives; nothing is deleted anywhere."""
    stack = session.stack(options)
    confirm_name = asking.name_typed(stack, "abandon it", confirm_name, options)
    with session.running(options, session.ASKING, f"abandon {stack.name}", acts=True) as run:
        stack.abandon(confirm_name=confirm_name, reason=reason, run=run)
    _done(f"{stack.name}: forgotten; nothing was deleted", stack.name, "abandoned", options)


def _done(text: str, environment: str, result: str, options: Options) -> None:
    if options.output == "text":
        write(f"{text}\n")
    else:
        emit({"environment": environment, "result": result}, options)
