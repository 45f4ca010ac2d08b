"""``lock``: pin what the project takes from the catalogue, from plugins and from registries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import emit, write
from infometis_sdk.cli.verbs import choices

if TYPE_CHECKING:
    from infometis_sdk.project.image_lock import ImageLock
    from infometis_sdk.project.lock import LockFile

__all__ = ("lock",)


@verb("lock", short_help="Pin services, and the images they run.")
@choices.services
@click.option("--update", is_flag=True, help="Move the pins, of the services named or of all.")
@click.option("--images", is_flag=True, help="Ask the registries for the digest of every tag.")
@click.option(
    "--mirror",
    metavar="PREFIX",
    default="",
    help="With --images: ask here instead, such as registry.corp.example/hub.",
)
@click.option(
    "--insecure",
    multiple=True,
    metavar="HOST",
    help="With --images: a registry that speaks plain HTTP; may be repeated.",
)
def lock(
    options: Options,
    *,
    services: tuple[str, ...],
    update: bool,
    images: bool,
    mirror: str,
    insecure: tuple[str, ...],
) -> None:
    """Write infometis.lock, so that an upgrade of the SDK changes nothing by itself.

    With --images, tags become digests: a tag that somebody pushes over changes nothing either.
    What is pinned already stays as it is unless --update is given.
    """
    if services and not update:
        msg = "naming services only makes sense with --update"
        raise click.UsageError(msg)
    if (mirror or insecure) and not images:
        msg = "--mirror and --insecure only make sense with --images"
        raise click.UsageError(msg)
    from infometis_sdk._plugins import Plugins
    from infometis_sdk.project import lock_project

    moved = (services or ("*",)) if update else ()
    sources = Plugins.load().services()
    root = session.root(options)
    # A service of the project's own has no pin to move, but may have images.
    pins = lock_project(
        root, sources, update=[n for n in moved if not images or n in ("*", *sources)]
    )
    found = _images(options, moved, mirror, insecure) if images else None
    _show(pins, found, options)


def _images(
    options: Options, moved: tuple[str, ...], mirror: str, insecure: tuple[str, ...]
) -> ImageLock:
    from infometis_sdk._adapters.registry import Registries
    from infometis_sdk.project import lock_images

    project = session.project(options)
    with session.running(options, session.ASKING, "lock images", acts=False) as run:
        return lock_images(project, Registries(insecure), run, update=moved, mirror=mirror)


def _show(pins: LockFile, found: ImageLock | None, options: Options) -> None:
    if options.output != "text":
        digests: dict[str, Any] = dict(pins.images)
        emit(
            {
                "services": {
                    name: {"version": pin.version, "digest": pin.digest}
                    for name, pin in pins.services.items()
                },
                "images": {i.image: i.digest for i in found.images} if found else digests,
            },
            options,
        )
        return
    widest = max((len(name) for name in pins.services), default=0)
    for name, pin in pins.services.items():
        write(f"{name.ljust(widest)}  {pin.version}  {pin.digest}\n")
    write(f"{len(pins.services)} services pinned in infometis.lock\n")
    if found is not None:
        write(f"{found}\n")
