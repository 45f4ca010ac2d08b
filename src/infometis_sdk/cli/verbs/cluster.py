"""``cluster``: what the platform can do with its cluster, besides making and removing it."""

from __future__ import annotations

from pathlib import Path

import click

from infometis_sdk.cli import asking, session
from infometis_sdk.cli.options import Options, Verb, shared_options
from infometis_sdk.cli.results import emit, write
from infometis_sdk.cli.verbs import choices

__all__ = ("cluster",)


@click.group("cluster", short_help="Load images, upgrade, back up and restore the cluster.")
def cluster() -> None:
    """Work on the cluster that the platform made; what it cannot do, it says."""


cluster.params += shared_options(hidden=True)


@cluster.command("load", cls=Verb)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.pass_obj
def load(options: Options, *, images: tuple[str, ...]) -> None:
    """Put images of this machine on every node, without a registry.

    IMAGE is a name in the local container engine, or a file that 'docker save' wrote.
    """
    from infometis_sdk.workspace.cluster_life import load_images

    stack = session.stack(options)
    wanted = [Path(each) if Path(each).is_file() else each for each in images]
    with session.running(options, session.UP, f"load into {stack.name}", acts=True) as run:
        load_images(stack, wanted, run)
    _done(options, f"{stack.name}: {len(images)} loaded", loaded=list(images))


@cluster.command("export", cls=Verb)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.pass_obj
def export(options: Options, *, folder: Path, images: tuple[str, ...]) -> None:
    """Write images of this machine into FOLDER, for a machine without a network.

    Their checksums go into SHA256SUMS beside them; 'cluster load' there compares them.
    """
    from infometis_sdk.workspace.cluster_life import export_images

    stack = session.stack(options)
    with session.running(options, session.UP, f"export into {folder}", acts=True) as run:
        written = export_images(stack, images, folder, run)
    lines = "\n".join(str(path) for path in written)
    _done(options, lines, archives=[str(path) for path in written])


@cluster.command("upgrade", cls=Verb)
@choices.confirm_name
@choices.reason
@click.pass_obj
def upgrade(options: Options, *, confirm_name: str, reason: str) -> None:
    """Bring the cluster to the version that the environment names, a backup first."""
    from infometis_sdk.workspace.cluster_life import upgrade_cluster

    stack = session.stack(options)
    confirm_name = asking.name_typed(stack, "upgrade its cluster", confirm_name, options)
    with session.running(options, session.UP, f"upgrade {stack.name}", acts=True) as run:
        upgrade_cluster(stack, run, confirm_name=confirm_name, reason=reason)
    version = stack.platform.status().version
    _done(options, f"{stack.name}: {version}", version=version)


@cluster.command("backup", cls=Verb)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.pass_obj
def backup(options: Options, *, folder: Path) -> None:
    """Write the state of the control plane into FOLDER; what pods wrote to volumes is not in it."""
    from infometis_sdk.workspace.cluster_life import backup_cluster

    stack = session.stack(options)
    with session.running(options, session.UP, f"back up {stack.name}", acts=True) as run:
        path = backup_cluster(stack, folder, run)
    _done(options, f"{path}\nwithout what pods wrote to their volumes", archive=str(path))


@cluster.command("restore", cls=Verb)
@click.argument("archive", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@choices.confirm_name
@choices.reason
@click.pass_obj
def restore(options: Options, *, archive: Path, confirm_name: str, reason: str) -> None:
    """Bring the control plane back as it was when ARCHIVE was written."""
    from infometis_sdk.workspace.cluster_life import restore_cluster

    stack = session.stack(options)
    confirm_name = asking.name_typed(stack, "restore its cluster", confirm_name, options)
    asking.consent(f"{stack.name}: put its cluster back to {archive.name}", options)
    with session.running(options, session.UP, f"restore {stack.name}", acts=True) as run:
        restore_cluster(stack, archive, run, confirm_name=confirm_name, reason=reason)
    _done(options, f"{stack.name}: restored", restored=str(archive))


def _done(options: Options, text: str, **found: object) -> None:
    if options.output == "text":
        write(f"{text}\n")
    else:
        emit(found, options)
