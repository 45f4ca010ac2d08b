"""``bundle``, ``releases``, ``release`` and ``rollback``: what was deployed, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from infometis_sdk.cli import asking, session
from infometis_sdk.cli.options import Options, Verb, shared_options, verb
from infometis_sdk.cli.results import say, show
from infometis_sdk.cli.verbs import choices

if TYPE_CHECKING:
    from infometis_sdk.model.report import UpReport
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.release_store import ReleaseStore
    from infometis_sdk.workspace import Stack

__all__ = ("bundle", "release", "releases", "rollback")

_FILE = click.Path(path_type=Path, dir_okay=False)
_store = click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Read the releases kept in a directory. [default: those in the cluster]",
)


@click.group("bundle", short_help="Build the core as one file, or look into one.")
def bundle() -> None:
    """A Bundle is a project without its environments: one file, known by its content."""


@bundle.command("build", cls=Verb)
@click.option(
    "-o",
    "--save",
    "file",
    type=_FILE,
    metavar="FILE",
    help="Where to write it. [default: PROJECT.bundle here]",
)
@click.pass_obj
def build(options: Options, *, file: Path | None) -> None:
    """Write the core of the project into one file; no cluster is needed.

    The same inputs give the same bytes on any machine.
    """
    from infometis_sdk.engine.core.bundle import build_bundle
    from infometis_sdk.project import save_bundle

    project = session.project(options)
    made = build_bundle(project)
    target = file or Path(f"{project.name}.bundle")
    save_bundle(made, target)
    show(made, options)
    say(f"bundle written to {target}: 'infometis up --bundle {target}' deploys it", options)


@bundle.command("show", cls=Verb)
@click.argument("file", type=_FILE)
@click.pass_obj
def show_bundle(options: Options, *, file: Path) -> None:
    """Check every byte of a Bundle, and show what is in it."""
    from infometis_sdk.project import load_bundle

    show(load_bundle(file), options)


@verb("releases", short_help="Show what was deployed, when, by whom, and how it ended.")
@_store
def releases(options: Options, *, store: Path | None) -> None:
    """Show the Releases of the stack, oldest first; each is checked against its digest."""
    stack = session.stack(options)
    with session.running(options, session.ASKING, f"releases {stack.name}", acts=False) as run:
        found = stack.releases(store=_opened(stack, store, run), run=run)
    show(found, options)


@click.group("release", short_help="Show one release, or what two do not share.")
def release() -> None:
    """Look at single Releases of a stack."""


@release.command("show", cls=Verb)
@click.argument("number", type=click.IntRange(min=1))
@_store
@click.pass_obj
def show_release(options: Options, *, number: int, store: Path | None) -> None:
    """Show all that a Release says, with every value and who set it in --output json."""
    stack = session.stack(options)
    title = f"release {number} of {stack.name}"
    with session.running(options, session.ASKING, title, acts=False) as run:
        found = stack.release(number, store=_opened(stack, store, run), run=run)
    show(found, options)


@release.command("diff", cls=Verb)
@click.argument("a", type=click.IntRange(min=1))
@click.argument("b", type=click.IntRange(min=1))
@_store
@click.pass_obj
def diff_releases(options: Options, *, a: int, b: int, store: Path | None) -> None:
    """Show what Releases A and B do not share: core, values, environment, credentials."""
    stack = session.stack(options)
    title = f"releases {a} and {b} of {stack.name}"
    with session.running(options, session.ASKING, title, acts=False) as run:
        found = stack.release_diff(a, b, store=_opened(stack, store, run), run=run)
    show(found, options)


@verb("rollback", short_help="Return to an earlier release.")
@click.argument("number", type=click.IntRange(min=1), required=False)
@click.option("--dry-run", is_flag=True, help="Show the plan, and do nothing.")
@_store
@choices.confirm
@choices.adopting
@choices.reason
@click.option(
    "--check/--no-check",
    default=True,
    help="With --no-check, what is not ready is shown and is no error.",
)
def rollback(
    options: Options,
    *,
    number: int | None,
    dry_run: bool,
    store: Path | None,
    confirm: str,
    adopt: tuple[str, ...],
    accept_data_loss: tuple[str, ...],
    reason: str,
    check: bool,
) -> int:
    """Return to the Bundle and the values of Release NUMBER, else of the one before.

    What cannot go back is refused before anything is written: a volume that would shrink,
    older software on newer data, settings of the first start.
    """
    from infometis_sdk.errors import PlanRefusedError

    stack = session.stack(options)
    if dry_run:
        title = f"plan rollback {stack.name}"
        with session.running(options, session.ASKING, title, acts=False) as run:
            then = stack.at_release(number or 0, store=_opened(stack, store, run), run=run)
            made = then.plan(adopt=adopt, accept_data_loss=accept_data_loss, run=run)
        show(made, options)
        return 3 if made.blocked else 0

    def once(confirm: str) -> UpReport:
        with session.running(options, session.UP, f"rollback {stack.name}", acts=True) as run:
            return stack.rollback(
                number or 0,
                store=_opened(stack, store, run),
                check=check,
                confirm=confirm,
                adopt=adopt,
                accept_data_loss=accept_data_loss,
                reason=reason,
                run=run,
            )

    try:
        report = once(confirm)
    except PlanRefusedError as error:
        given = asking.confirmation(error.plan, options)
        if not given:
            raise
        report = once(given)
    show(report, options)
    return 0


def _opened(stack: Stack, directory: Path | None, run: Run) -> ReleaseStore:
    return stack.store(run, directory=directory or "")


for _group in (bundle, release):
    _group.params += shared_options(hidden=True)
