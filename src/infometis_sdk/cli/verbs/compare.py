"""``compare``: how two environments behave and perform, side by side."""

from __future__ import annotations

from pathlib import Path

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import say, show
from infometis_sdk.cli.verbs.prove import NOT_THE_SAME

__all__ = ("compare",)


@verb("compare", short_help="Compare how two environments behave and perform.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Calls of each probe on each side.",
)
@click.option(
    "--warm-up",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="Calls before them that do not count.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="FILE",
    help="Write one page with charts; it opens without a network.",
)
@click.option("--no-history", is_flag=True, help="Do not keep what was measured.")
def compare(
    options: Options,
    a: str,
    b: str,
    *,
    rounds: int,
    warm_up: int,
    html: Path | None,
    no_history: bool,
) -> int:
    """Run the checks of the services and the project's probes on two environments.

    B is judged against A, and against what was measured on B before.
    Both are called in turns, so that what slows this machine slows both.

    Ends with exit code 8 where B is worse.
    """
    workspace = session.workspace(options)
    with session.running(options, session.APPLYING, f"compare {a} {b}", acts=False) as run:
        report = workspace.compare(
            a, b, rounds=rounds, warm_up=warm_up, remember=not no_history, run=run
        )
    if html is not None:
        html.write_text(report.to_html(), encoding="utf-8")
        say(f"wrote {html}", options)
    show(report, options)
    return 0 if report.passed else NOT_THE_SAME
