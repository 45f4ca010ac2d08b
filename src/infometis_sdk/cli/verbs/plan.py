"""``plan``: what would be done, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import say, show
from infometis_sdk.cli.verbs import choices

__all__ = ("plan",)


@verb("plan", short_help="Show exactly what apply would do.")
@choices.services
@click.option(
    "-o",
    "--save",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the plan for a later 'infometis apply FILE'.",
)
@choices.adopting
@choices.bundled
def plan(
    options: Options,
    *,
    services: tuple[str, ...],
    file: Path | None,
    adopt: tuple[str, ...],
    accept_data_loss: tuple[str, ...],
    bundle: Path | None,
    env_file: Path | None,
) -> int:
    """Show the exact changes to the cluster; reads only.

    With services named, only they are looked at, and nothing is pruned.
    A plan that may not be applied says why, and ends with exit code 3.
    """
    stack = session.stack_of(options, bundle, env_file)
    with session.running(options, session.ASKING, f"plan {stack.name}", acts=False) as run:
        made = stack.plan(services, adopt=adopt, accept_data_loss=accept_data_loss, run=run)
    show(made, options)
    if file is not None:
        from infometis_sdk.engine.planning.plan_json import plan_to_json

        _write(file, plan_to_json(made))
        given = (("--bundle", bundle), ("--env-file", env_file))
        words = [str(file), *(f"{name} {path}" for name, path in given if path)]
        say(
            f"plan written to {file}: 'infometis apply {' '.join(words)}' does exactly this",
            options,
        )
    return 3 if made.blocked else 0


def _write(file: Path, text: str) -> None:
    """Write in one step, for the owner alone: it holds no secret, but what it tells is private."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    draft.replace(file)
