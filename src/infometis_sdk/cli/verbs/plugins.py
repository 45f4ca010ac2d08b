"""``plugins``: what is installed, what it offers, and what is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from infometis_sdk.cli.options import Options, Verb, shared_options
from infometis_sdk.cli.results import show

if TYPE_CHECKING:
    from infometis_sdk.model.report import Report

__all__ = ("plugins",)


@click.group(
    "plugins", short_help="Show the plugins, and what they offer.", invoke_without_command=True
)
@click.pass_context
def plugins(context: click.Context) -> None:
    """Show the plugins that are installed, and what they offer; the same as 'plugins list'."""
    if context.invoked_subcommand is None:
        show(_report(), context.ensure_object(Options))


@plugins.command("list", cls=Verb)
@click.pass_obj
def listing(options: Options) -> None:
    """Show every plugin that was found, broken ones with the reason."""
    show(_report(), options)


plugins.params += shared_options(hidden=True)


def _report() -> Report:
    from infometis_sdk._plugins import Plugins
    from infometis_sdk.cli.plugin_report import PluginReport

    return PluginReport(plugins=Plugins.load().listing())
