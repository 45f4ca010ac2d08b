"""``promote`` and ``pipeline``: bring what runs in one environment to the next."""

from __future__ import annotations

from pathlib import Path

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, Verb, shared_options, verb
from infometis_sdk.cli.results import show
from infometis_sdk.cli.verbs import choices

__all__ = ("pipeline", "promote")

HOUR = 3600.0


@verb("promote", short_help="Bring the core that runs in one environment to the next.")
@click.argument("source")
@click.argument("target")
@click.option("--pipeline", default="", metavar="NAME", help="Where several lead there.")
@click.option("--dry-run", is_flag=True, help="Look at everything and change nothing.")
@click.option(
    "--approval",
    "approvals",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="SSH signature over the plan's digest; may be repeated.",
)
@click.option(
    "--allow",
    multiple=True,
    type=click.Choice(("simulated", "kubernetes", "cni", "storage", "encryption")),
    help="What may differ or be simulated; may be repeated.",
)
@click.option(
    "--rollback",
    is_flag=True,
    help="Return to the release before where the deployment or its verification fails.",
)
@choices.confirm
@choices.reason
def promote(
    options: Options,
    *,
    source: str,
    target: str,
    pipeline: str,
    dry_run: bool,
    approvals: tuple[Path, ...],
    allow: tuple[str, ...],
    rollback: bool,
    confirm: str,
    reason: str,
) -> None:
    """Deploy to TARGET exactly the core that runs in SOURCE, with the values of TARGET.

    Validates against the target, looks at its border and at every gate, and writes only then;
    afterwards the services are checked and compared.
    A gate that is closed says what would open it, and ends with exit code 3.
    What was killed or cancelled goes on where it was when the same command is run again.
    """
    ws = session.workspace(options)
    title = f"promote {source} to {target}"
    with session.running(options, HOUR, title, acts=not dry_run) as run:
        report = ws.promote(
            source,
            target,
            pipeline=pipeline,
            dry_run=dry_run,
            approvals=approvals,
            allow=allow,
            confirm=confirm,
            reason=reason,
            rollback=rollback,
            run=run,
        )
    show(report, options)


@click.group("pipeline", short_help="Show what runs in each environment of a pipeline.")
def pipeline() -> None:
    """Look at the pipelines that the project declares."""


pipeline.params += shared_options(hidden=True)


@pipeline.command("status", cls=Verb)
@click.argument("name", default="")
@click.pass_obj
def status(options: Options, *, name: str) -> None:
    """Show release, age, drift, core digests and the last gates of every environment."""
    ws = session.workspace(options)
    with session.running(options, session.ASKING, "pipeline", acts=False) as run:
        report = ws.pipeline_status(name, run=run)
    show(report, options)
