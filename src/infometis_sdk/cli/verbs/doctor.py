"""``doctor``: what works here, what does not, and the cure."""

from __future__ import annotations

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import show

__all__ = ("doctor",)

_UNWELL = 4


@verb("doctor", short_help="Look for what will not work here, with the cure.")
@click.option(
    "--probe/--no-probe",
    default=None,
    help="Try what the cluster can do, with small objects that are taken away again. "
    "[default: a cluster that is ours, once]",
)
def doctor(options: Options, *, probe: bool | None) -> int:
    """Check the project, the plugins, this machine and the cluster.

    Ends with exit code 4 where something is in the way.
    """
    stack = session.stack(options)
    patience = session.ASKING if probe is False else session.APPLYING
    with session.running(options, patience, f"doctor {stack.name}", acts=False) as run:
        report = stack.doctor(probe=probe, run=run)
    show(report, options)
    return 0 if getattr(report, "healthy", True) else _UNWELL
