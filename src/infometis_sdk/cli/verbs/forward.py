"""``forward``: a port on this machine that leads to a service."""

from __future__ import annotations

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import emit, say, write
from infometis_sdk.cli.verbs import choices

__all__ = ("forward",)


@verb("forward", short_help="Open a port on this machine to a service.")
@choices.service
@click.argument("endpoint", required=False, default="")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    help="Port on this machine. [default: a free one]",
)
def forward(options: Options, *, service: str, endpoint: str, port: int) -> None:
    """Open a port on 127.0.0.1 that leads to an endpoint of a service, until Ctrl-C.

    What goes wrong with a connection is told, and the port stays open for the next one.
    """
    stack = session.stack(options)
    with (
        session.until_interrupted(options, None) as run,
        stack.forward(service, endpoint, port=port, run=run) as door,
    ):
        if options.output == "text":
            write(f"{door.url}\n")
        else:
            emit({"service": service, "url": door.url, "port": door.port}, options)
        say("Ctrl-C closes it", options)
        for trouble in door.watch(options.timeout):
            say(f"a connection failed: {trouble}", options)
