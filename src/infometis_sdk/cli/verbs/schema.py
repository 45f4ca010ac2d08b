"""``schema``: JSON Schemas of the project's files, for editors."""

from __future__ import annotations

import json
from pathlib import Path

import click

from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import emit, write

__all__ = ("schema",)

_NAMES = ("project", "environment", "local", "service", "lock")


@verb("schema", short_help="Print the JSON Schemas of the project's files.")
@click.argument("name", required=False, type=click.Choice(_NAMES))
@click.option(
    "--write",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write them all into a directory.",
)
def schema(options: Options, *, name: str | None, folder: Path | None) -> None:
    """Print the JSON Schema of a file format, so that editors complete and check.

    Without a name, the names are printed. The platforms that are installed take part,
    so that their settings are checked too.
    """
    if name and folder:
        msg = "--write writes them all; leave the name out"
        raise click.UsageError(msg)
    if folder is not None:
        from infometis_sdk.project.schema import write_schemas

        files = [str(folder / file) for file in write_schemas(folder)]
        if options.output == "text":
            write("".join(f"{file}\n" for file in files))
        else:
            emit(files, options)
        return
    if name is None:
        if options.output == "text":
            write("".join(f"{each}\n" for each in _NAMES))
        else:
            emit(list(_NAMES), options)
        return
    from infometis_sdk._plugins import Plugins
    from infometis_sdk.project.schema import schemas

    plugins = Plugins.load()
    found = schemas(plugins.platforms(), plugins.borders())[name]
    if options.output == "yaml":
        emit(found, options)
    else:
        write(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
