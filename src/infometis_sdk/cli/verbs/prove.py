"""``prove``: two environments run one core, and each runs exactly its render."""

from __future__ import annotations

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import show

__all__ = ("NOT_THE_SAME", "prove")

NOT_THE_SAME = 8


@verb("prove", short_help="Prove that two environments are the same.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--live/--offline",
    default=True,
    help="Look at both clusters, or compare the definitions only. [default: --live]",
)
@click.option("--strict", is_flag=True, help="Only the verdict 'equal' passes.")
def prove(options: Options, a: str, b: str, *, live: bool, strict: bool) -> int:
    """Compare the cores of two environments, and each live one with its own render.

    A and B are environments, or releases of them, such as dev@3.

    \b
    equal               the same core, and live equals rendered
    equal-with-foreign  somebody added fields whom nothing allows to
    unverified          nothing differs, but an image is named by its tag only
    different           something differs that no parameter declares

    Ends with exit code 8 where they are different; with --strict, unless they are equal.
    """  # noqa: D301 - \b keeps click from joining the lines
    workspace = session.workspace(options)
    with session.running(options, session.ASKING, f"prove {a} {b}", acts=False) as run:
        report = workspace.prove(a, b, live=live, strict=strict, run=run)
    show(report, options)
    return 0 if report.passed else NOT_THE_SAME
