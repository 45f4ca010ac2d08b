"""``init``: a commented project that works."""

from __future__ import annotations

import re
from pathlib import Path

import click

from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import emit, write

__all__ = ("init",)

_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


@verb("init", short_help="Make a new project.")
@click.argument("name", required=False, default="")
def init(options: Options, *, name: str) -> None:
    """Make a commented project that works, in a new directory NAME, or here without NAME.

    It names NiFi, Kafka, Elasticsearch and Grafana, pinned in infometis.lock,
    and two environments, dev and prod. Overwrites nothing.
    """
    base = options.project or Path()
    root = base / name
    label = root.resolve().name
    if not _LABEL.fullmatch(label):
        msg = (
            f"{label!r} cannot name a project: small letters, digits and '-' are legal, "
            "and a letter comes first"
        )
        raise click.UsageError(msg)
    from infometis_sdk._plugins import Plugins
    from infometis_sdk.scaffold import init_project

    files = init_project(root, label, Plugins.load().services())
    if options.output != "text":
        emit({"project": label, "directory": str(root), "files": list(files)}, options)
        return
    seen = [file for file in files if not file.startswith(".")]
    write(f"project {label} in {root}: {', '.join(seen)}\n")
    steps = [f"cd {root}"] if name else []
    write(f"next: {' && '.join([*steps, 'infometis up'])}\n")
