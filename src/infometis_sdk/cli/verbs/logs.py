"""``logs``: what the pods of a service say."""

from __future__ import annotations

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import emit, write
from infometis_sdk.cli.verbs import choices

__all__ = ("logs",)


@verb("logs", short_help="Print the log lines of a service.")
@choices.service
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until Ctrl-C.")
@click.option(
    "--tail",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    metavar="LINES",
    help="Lines of each container to begin with.",
)
@click.option("--container", default="", metavar="NAME", help="Only this container.")
def logs(options: Options, *, service: str, follow: bool, tail: int, container: str) -> None:
    """Print the log lines of a service's pods, each with its pod's name in front."""
    if follow and options.output != "text":
        msg = "--follow never ends, so it cannot be one JSON or YAML document"
        raise click.UsageError(msg)
    stack = session.stack(options)
    with session.until_interrupted(options, None if follow else session.ASKING) as run:
        lines = stack.logs(service, follow=follow, tail=tail, container=container, run=run)
        if options.output != "text":
            emit({"service": service, "lines": list(lines)}, options)
            return
        for line in lines:
            write(line.rstrip("\n") + "\n")
