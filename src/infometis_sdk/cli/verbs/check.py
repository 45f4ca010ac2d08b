"""``validate``: every fault of the project, of its templates and of the rendered objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import emit, write

if TYPE_CHECKING:
    from infometis_sdk.errors import PluginError
    from infometis_sdk.model.fault import Fault
    from infometis_sdk.workspace import Stack

__all__ = ("validate",)


@verb("validate", short_help="Check the project, every environment, every object.")
@click.option(
    "--server", is_flag=True, help="Ask the API server too, by a dry-run; changes nothing."
)
def validate(options: Options, *, server: bool) -> None:
    """Check the project and what it renders to.

    All faults of all files are shown at once, for every environment or the one named with -e.
    Without --server nothing is contacted.
    """
    from infometis_sdk.errors import PluginError, ProjectError, ValidationError

    workspace = session.workspace(options)
    names = (options.environment,) if options.environment else workspace.environments
    found: dict[Fault, list[str]] = {fault: [] for fault in workspace.project.findings}
    for name in names:
        stack = workspace[name]
        try:
            faults = _faults(stack, options, server=server)
        except ProjectError as error:
            faults = error.faults
        except PluginError as error:
            faults = (_of_plugin(error, stack, found),)
        for fault in faults:
            found.setdefault(fault, []).append(name)
    errors = [fault for fault in found if fault.level == "error"]
    if errors:
        raise ValidationError(tuple(found))
    checked = ", ".join(names) or "no environment"
    if options.output == "text":
        for fault in found:
            write(f"{fault.level}: {fault}\n")
        warnings = f", {len(found)} warning{'s' if len(found) != 1 else ''}" if found else ""
        write(f"{workspace.project.name}: no fault in {checked}{warnings}\n")
        return
    from infometis_sdk.model.report import plain

    emit({"environments": list(names), "faults": plain(tuple(found))}, options)


def _of_plugin(error: PluginError, stack: Stack, found: dict[Fault, list[str]]) -> Fault:
    """Make a fault of a platform that nobody offers here.

    A project may be read where a plugin is not installed, so reading it only warns;
    an environment that cannot be rendered for it is not valid here.
    """
    import attrs

    from infometis_sdk.model.fault import Fault

    origin = stack.environment.origin
    for fault in found:
        if fault.origin.file == origin.file and fault.path.startswith("platform"):
            del found[fault]
            return attrs.evolve(fault, level="error")
    text = f"{error.message}; {error.hint}" if error.hint else error.message
    return Fault(message=text, origin=origin, path="platform")


def _faults(stack: Stack, options: Options, *, server: bool) -> tuple[Fault, ...]:
    if not server:
        return stack.validate()
    with session.running(options, session.ASKING, f"validate {stack.name}", acts=False) as run:
        return stack.validate(server=True, run=run)
