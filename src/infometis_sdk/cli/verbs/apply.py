"""``apply``: do what a plan says."""

from __future__ import annotations

from pathlib import Path

import click

from infometis_sdk.cli import asking, session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import show
from infometis_sdk.cli.verbs import choices

__all__ = ("apply",)


@verb("apply", short_help="Do exactly what a saved plan says.")
@click.argument(
    "file", metavar="PLAN", type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@choices.confirm
@choices.reason
@choices.bundled
def apply(
    options: Options,
    *,
    file: Path,
    confirm: str,
    reason: str,
    bundle: Path | None,
    env_file: Path | None,
) -> None:
    """Do exactly what a plan of 'infometis plan -o PLAN' says, or refuse.

    It is refused where the cluster or the project moved since it was made;
    a plan of a Bundle wants that Bundle again.
    Handing over a plan file means that somebody looked at it,
    which is what a protected environment asks for.
    Does not wait until services are ready; 'infometis status' tells.
    """
    from infometis_sdk.engine.planning.plan_json import plan_from_json

    made = plan_from_json(file.read_text(encoding="utf-8"), file=str(file))
    options.environment = options.environment or made.environment
    stack = session.stack_of(options, bundle, env_file)
    confirm = confirm or asking.confirmation(made, options)
    with session.running(options, session.APPLYING, f"apply {stack.name}", acts=True) as run:
        report = stack.apply(made, confirm=confirm, reason=reason, run=run)
    show(report, options)
