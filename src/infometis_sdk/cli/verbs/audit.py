"""``audit``: who did what to a stack, and whether the records are whole."""

from __future__ import annotations

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, Verb, shared_options
from infometis_sdk.cli.results import show

__all__ = ("TAMPERED", "audit")

TAMPERED = 7
_KINDS = ("write", "gate", "approval", "override", "heal", "credential", "promotion")


@click.group("audit", short_help="Show who did what, and prove that no record is missing.")
def audit() -> None:
    """Show and verify the records of what was done to a stack from this machine."""


audit.params += shared_options(hidden=True)


@audit.command("verify", cls=Verb)
@click.option(
    "--head",
    default="",
    metavar="CHAIN/NUMBER/HASH",
    help="A head that was printed earlier and kept elsewhere.",
)
@click.option("--offline", is_flag=True, help="Do not ask the cluster for the heads it keeps.")
@click.pass_obj
def verify(options: Options, *, head: str, offline: bool) -> int:
    """Find every record that was removed, changed, reordered or cut off, and name it.

    Each record holds the hash of the one before it. What was cut off from the end is missed
    because this machine and the cluster remember the head.

    Ends with exit code 7 where anything was tampered with.
    """
    stack = session.stack(options)
    with session.running(options, session.ASKING, f"audit {stack.name}", acts=False) as run:
        report = stack.verify_audit(head=head, offline=offline, run=run)
    show(report, options)
    return 0 if report.intact else TAMPERED


@audit.command("show", cls=Verb)
@click.option("--since", default="", metavar="TIME", help="UTC, such as 2026-11-24T08.")
@click.option("--until", default="", metavar="TIME", help="UTC; covers all that begins with it.")
@click.option("--actor", default="", metavar="TEXT", help="Part of the actor.")
@click.option("--kind", default=None, type=click.Choice(_KINDS), metavar="KIND", help="One kind.")
@click.option("--object", "about", default="", metavar="TEXT", help="Part of KIND/NAME.")
@click.option(
    "--copies", is_flag=True, help="Show what the sink 'cluster' keeps, of every machine and guard."
)
@click.pass_obj
def show_(options: Options, /, *, copies: bool, kind: str | None, **wanted: str) -> None:
    """Draw what was done as a timeline; kinds are write, gate, approval, override, heal,
    credential and promotion.
    """  # noqa: D205 - click joins the lines
    stack = session.stack(options)
    lines = None
    if copies:
        with session.running(options, session.ASKING, f"audit {stack.name}", acts=False) as run:
            lines = stack.audit_copies(run)
    found = stack.audit.timeline(lines=lines, kind=kind or "", **wanted)
    show(found, options)
