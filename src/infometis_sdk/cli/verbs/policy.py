"""``policy``: who may talk to whom, by the policies that the environment renders."""

from __future__ import annotations

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, Verb, shared_options
from infometis_sdk.cli.results import show

__all__ = ("policy",)

_ARROW = "->"
_PROTOCOLS = ("tcp", "udp", "sctp")


@click.group("policy", short_help="Show who may talk to whom, and which rule decides.")
def policy() -> None:
    """Look at the trust boundary of an environment."""


policy.params += shared_options(hidden=True)


@policy.command("explain", cls=Verb, context_settings={"ignore_unknown_options": True})
@click.argument("who", nargs=-1, required=True, metavar="SOURCE '->' TARGET")
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), metavar="PORT", help="One port only."
)
@click.option(
    "--protocol", default="tcp", type=click.Choice(_PROTOCOLS), help="Of that port.", metavar="NAME"
)
@click.pass_obj
def explain(options: Options, *, who: tuple[str, ...], port: int, protocol: str) -> None:
    """Say whether SOURCE may open a connection to TARGET; contacts nothing.

    Each of them is a service, external.NAME, border (the pods that let the outside in), dns,
    metrics (the pods that read metrics), kubernetes (its API) or world (any address outside).
    The policies that the environment renders decide, and the rule of each end is named.

    \b
    infometis policy explain kafka elasticsearch
    infometis policy explain 'nifi -> kafka' --port 9092
    """  # noqa: D301 - \b keeps click from joining the lines
    source, target = _ends(who)
    stack = session.stack(options)
    show(stack.policy(source, target, port=port, protocol=protocol.upper()), options)


def _ends(who: tuple[str, ...]) -> tuple[str, str]:
    """Read two names, with an arrow between them or without."""
    words = [
        word for word in " ".join(who).replace(_ARROW, f" {_ARROW} ").split() if word != _ARROW
    ]
    if words[1:] == ["-"]:
        msg = "the shell took the > of -> for a file to write to: quote the arrow, or leave it out"
        raise click.UsageError(msg)
    if len(words) != 2:  # noqa: PLR2004 - source and target
        msg = f"name two, such as 'kafka -> elasticsearch'; found: {' '.join(words) or 'none'}"
        raise click.UsageError(msg)
    return words[0], words[1]
