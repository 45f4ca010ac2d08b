"""``doctor``: what works here, what does not, and the cure."""

from __future__ import annotations

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import show

__all__ = ("doctor",)

_UNWELL = 4


@verb("doctor", short_help="Look for what will not work here, with the cure.")
def doctor(options: Options) -> int:
    """Check the project, the plugins, this machine and the cluster; changes nothing.

    Ends with exit code 4 where something is in the way.
    """
    stack = session.stack(options)
    with session.running(options, session.ASKING, f"doctor {stack.name}", acts=False) as run:
        report = stack.doctor(run=run)
    show(report, options)
    return 0 if getattr(report, "healthy", True) else _UNWELL
