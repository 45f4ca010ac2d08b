"""``kubeconfig``: for kubectl and other tools."""

from __future__ import annotations

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import emit, write

__all__ = ("kubeconfig",)


@verb("kubeconfig", short_help="Print the path of the cluster's kubeconfig.")
@click.option("--raw", is_flag=True, help="Print its content, which holds credentials.")
def kubeconfig(options: Options, *, raw: bool) -> None:
    """Print the path of a kubeconfig for the environment's cluster; your own one is never touched.

    \b
    Example:
        export KUBECONFIG=$(infometis kubeconfig)
    """  # noqa: D301 - \b keeps click from joining the lines
    path = session.stack(options).kubeconfig()
    if raw:
        write(path.read_text(encoding="utf-8"))
    elif options.output == "text":
        write(f"{path}\n")
    else:
        emit({"kubeconfig": str(path)}, options)
