"""``kubeconfig``: for kubectl and other tools."""

from __future__ import annotations

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import emit, write

__all__ = ("kubeconfig",)


@verb("kubeconfig", short_help="Print the path of the cluster's kubeconfig.")
def kubeconfig(options: Options) -> None:
    """Print the path of a kubeconfig for the environment's cluster; your own one is never touched.

    \b
    Example:
        export KUBECONFIG=$(infometis kubeconfig)
    """  # noqa: D301 - \b keeps click from joining the lines
    path = session.stack(options).kubeconfig()
    if options.output == "text":
        write(f"{path}\n")
    else:
        emit({"kubeconfig": str(path)}, options)
