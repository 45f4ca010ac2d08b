"""``status``, ``drift`` and ``urls``: how the stack is, and what is not as we applied it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import emit, say, show, write

if TYPE_CHECKING:
    from infometis_sdk.workspace.stack import Stack

__all__ = ("DRIFT_FOUND", "drift", "status", "urls")

DRIFT_FOUND = 6
NOT_READY = 5


@verb("status", short_help="Show how every service is.")
def status(options: Options) -> int:
    """Look once at every object of the stack.

    Ends with exit code 5 where something is not ready.
    """
    stack = session.stack(options)
    with session.running(options, session.ASKING, f"status {stack.name}", acts=False) as run:
        report = stack.status(run=run)
    show(report, options)
    return 0 if report.ready else NOT_READY


@verb("drift", short_help="Show what differs from what was applied, who and when.")
def drift(options: Options) -> int:
    """Compare the cluster with what was applied; changes nothing.

    \b
    drift    somebody changed what we applied
    foreign  somebody added a field or an object
    pending  the project moved; the next up applies it

    Ends with exit code 6 where drift or foreign was found.
    """  # noqa: D301 - \b keeps click from joining the lines
    stack = session.stack(options)
    with session.running(options, session.ASKING, f"drift {stack.name}", acts=False) as run:
        report = stack.drift(run=run)
    show(report, options)
    return DRIFT_FOUND if report.found else 0


@verb("urls", short_help="Show where the services answer.")
def urls(options: Options) -> None:
    """Show the URL of every route that somebody answers now."""
    stack = session.stack(options)
    with session.running(options, session.ASKING, f"urls {stack.name}", acts=False) as run:
        found = stack.urls(run=run)
    if options.output != "text":
        emit(dict(found), options)
        return
    if not found:
        say(_why_none(stack), options)
        return
    widest = max(len(name) for name in found)
    write("".join(f"{name.ljust(widest)}  {url}\n" for name, url in found.items()))


def _why_none(stack: Stack) -> str:
    routes = stack.compose().routes
    if not routes:
        return (
            f"environment {stack.name} publishes nothing: it has no border; "
            "'infometis forward SERVICE' opens a port on this machine"
        )
    if stack.simulated:
        return f"{len(routes)} routes are published, and nobody answers: containers are simulated"
    return (
        f"{len(routes)} routes are published, and nobody answers them; "
        f"'infometis border verify -e {stack.name}' says why"
    )
