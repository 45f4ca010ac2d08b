"""``credentials``: who may log in where."""

from __future__ import annotations

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import say, show

__all__ = ("credentials",)


@verb("credentials", short_help="Show the services' credentials, masked.")
@click.argument("service", required=False, default="")
@click.option("--reveal", is_flag=True, help="Show the secrets themselves.")
def credentials(options: Options, *, service: str, reveal: bool) -> None:
    """Show the credentials of all services, or of one; masked unless --reveal is given."""
    stack = session.stack(options)
    with session.running(options, session.ASKING, f"credentials {stack.name}", acts=False) as run:
        report = stack.credentials(service, reveal=reveal, run=run)
    show(report, options)
    if not reveal and options.output == "text":
        say("--reveal shows the secrets", options)
