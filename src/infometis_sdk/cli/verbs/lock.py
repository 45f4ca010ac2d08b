"""``lock``: pin what the project takes from the catalogue and from plugins."""

from __future__ import annotations

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import emit, write
from infometis_sdk.cli.verbs import choices

__all__ = ("lock",)


@verb("lock", short_help="Pin the services of the catalogue and of plugins.")
@choices.services
@click.option("--update", is_flag=True, help="Move the pins, of the services named or of all.")
def lock(options: Options, *, services: tuple[str, ...], update: bool) -> None:
    """Write infometis.lock, so that an upgrade of the SDK changes nothing by itself.

    Services that are pinned already stay as they are unless --update is given.
    """
    if services and not update:
        msg = "naming services only makes sense with --update"
        raise click.UsageError(msg)
    from infometis_sdk._plugins import Plugins
    from infometis_sdk.project import lock_project

    moved = (services or ("*",)) if update else ()
    pins = lock_project(session.root(options), Plugins.load().services(), update=moved)
    if options.output != "text":
        emit(
            {
                "services": {
                    name: {"version": pin.version, "digest": pin.digest}
                    for name, pin in pins.services.items()
                },
                "images": dict(pins.images),
            },
            options,
        )
        return
    widest = max((len(name) for name in pins.services), default=0)
    for name, pin in pins.services.items():
        write(f"{name.ljust(widest)}  {pin.version}  {pin.digest}\n")
    write(f"{len(pins.services)} services pinned in infometis.lock\n")
