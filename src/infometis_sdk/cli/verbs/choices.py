"""Options and arguments that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from infometis_sdk.cli.options import Options

__all__ = ("adopting", "bundled", "confirm", "confirm_name", "reason", "service", "services")

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _service_names(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete names of services from the project file alone; silent where it cannot be read."""
    del parameter
    import yaml

    options = context.find_root().ensure_object(Options)
    try:
        text = ((options.project or Path()) / "infometis.yaml").read_text(encoding="utf-8")
        names = list((yaml.safe_load(text) or {}).get("services") or {})
    except (OSError, ValueError, AttributeError, yaml.YAMLError):
        return []
    return [CompletionItem(name) for name in names if str(name).startswith(incomplete)]


services = click.argument(
    "services", nargs=-1, metavar="[SERVICE]...", shell_complete=_service_names
)
service = click.argument("service", shell_complete=_service_names)

confirm = click.option(
    "--confirm",
    metavar="DIGEST",
    default="",
    help="Digest of a plan that you looked at, where it needs confirmation.",
)
confirm_name = click.option(
    "--confirm-name",
    metavar="NAME",
    default="",
    help="Name of the environment, where it is protected.",
)


reason = click.option(
    "--reason", metavar="TEXT", default="", help="Why, in your words; kept in the audit."
)


def _platform_names(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete names of platforms from the plugins that are installed."""
    del context, parameter
    from infometis_sdk._plugins import Plugins

    names = ["auto", *sorted(Plugins.load().platforms())]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


platform = click.option(
    "--platform",
    metavar="NAME",
    default="",
    shell_complete=_platform_names,
    help="Platform instead of the environment's, from now on; auto takes the best that works here.",
)


def adopting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what a person may consent to while planning."""
    adopt = click.option(
        "--adopt",
        multiple=True,
        metavar="KIND/NAME",
        help="Take over an object that carries no mark of ours; may be repeated.",
    )
    loss = click.option(
        "--accept-data-loss",
        multiple=True,
        metavar="KIND/NAME",
        help="Let this object go with its data; may be repeated.",
    )
    return adopt(loss(function))


def bundled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add where the services come from, if not from the project."""
    path = click.Path(path_type=Path, dir_okay=False)
    bundle = click.option(
        "--bundle",
        type=path,
        metavar="FILE",
        help="Deploy what is in a Bundle instead of the project's own services.",
    )
    env_file = click.option(
        "--env-file",
        type=path,
        metavar="FILE",
        help="With --bundle: the environment, so that no project is needed.",
    )
    return bundle(env_file(function))
