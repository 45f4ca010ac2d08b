"""``completion``: the script that makes a shell complete our words."""

from __future__ import annotations

import click

from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import write

__all__ = ("completion",)

_VARIABLE = "_INFOMETIS_COMPLETE"


@verb("completion", short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(context: click.Context, options: Options, *, shell: str) -> None:
    """Print the script that makes a shell complete verbs, options, environments and services.

    \b
    bash   eval "$(infometis completion bash)"
    zsh    eval "$(infometis completion zsh)"
    fish   infometis completion fish | source
    """  # noqa: D301 - \b keeps click from joining the lines
    del options
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:  # pragma: no cover - the three above are click's own
        msg = f"click completes nothing for {shell}"
        raise click.UsageError(msg)
    write(found(context.find_root().command, {}, "infometis", _VARIABLE).source())
