"""``render``: the Kubernetes objects of an environment, or the digests of its core."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import emit, write

if TYPE_CHECKING:
    from infometis_sdk.model.stack import ManifestSet

__all__ = ("render",)


@verb("render", short_help="Print the Kubernetes objects, or the digests.")
@click.option("--digests", is_flag=True, help="Print the core digests instead of the objects.")
@click.option(
    "--service", "only", multiple=True, metavar="NAME", help="Only this service's objects."
)
def render(options: Options, *, digests: bool, only: tuple[str, ...]) -> None:
    """Print what an environment renders to; contacts nothing.

    As text, one YAML document for each object, as kubectl reads them.
    With --output json or yaml, one List that holds them all.
    Equal digests of two environments mean the same core.
    """
    manifests = session.stack(options).render()
    _known(manifests, only)
    if digests:
        _digests(manifests, only, options)
        return
    objects = [m.object for m in manifests.manifests if not only or m.service in only]
    if options.output != "text":
        emit({"apiVersion": "v1", "kind": "List", "items": objects}, options)
        return
    from infometis_sdk._yaml import dump_all

    write(dump_all(objects))


def _known(manifests: ManifestSet, names: tuple[str, ...]) -> None:
    from infometis_sdk.workspace.checking import known_services

    known_services(manifests, names)


def _digests(manifests: ManifestSet, only: tuple[str, ...], options: Options) -> None:
    found = {name: text for name, text in manifests.digests.items() if not only or name in only}
    verified = "verified" if manifests.verified else "unverified"
    if options.output != "text":
        document = {"services": found, "stack": manifests.digest, "state": verified}
        emit(document, options)
        return
    widest = max((len(name) for name in (*found, "stack")), default=0)
    for name, digest in found.items():
        write(f"{name.ljust(widest)}  {digest}\n")
    if not only:
        write(f"{'stack'.ljust(widest)}  {manifests.digest}\n")
    if not manifests.verified:
        write("unverified: some image is pinned by a tag only\n")
