"""``explain``: where a value comes from, and what it may change."""

from __future__ import annotations

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import show

__all__ = ("explain",)


@verb("explain", short_help="Show which layer, file and line set a value.")
@click.argument("path", required=False, default="")
@click.option(
    "--influence",
    is_flag=True,
    help="Which fields each parameter may change; PATH may name a service.",
)
def explain(options: Options, *, path: str, influence: bool) -> None:
    """Show every layer's word on a value, and which one won.

    PATH is SERVICE.PARAMETER, such as kafka.replicas.
    """
    if not path and not influence:
        msg = "say what to explain, such as kafka.replicas, or ask for --influence"
        raise click.UsageError(msg)
    stack = session.stack(options)
    show(stack.influence(path) if influence else stack.explain(path), options)
