"""``heal`` and ``guard``: bring back what drifted, once or for as long as somebody watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options, verb
from infometis_sdk.cli.results import show, write
from infometis_sdk.cli.verbs import choices

if TYPE_CHECKING:
    from infometis_sdk.model.guard import GuardNote

__all__ = ("guard", "heal")

LEFT = 6


@verb("heal", short_help="Bring back what drifted from the latest release.")
@choices.reason
def heal(options: Options, *, reason: str) -> int:
    """Bring back, once, every field and object that drifted from the latest deployed release.

    What known controllers hold, and what policies.drift.exceptions names, is left alone.
    Nothing is deleted, and no release is opened.

    Ends with exit code 6 where something had to be left as it is.
    """
    stack = session.stack(options)
    with session.running(options, session.APPLYING, f"heal {stack.name}", acts=True) as run:
        report = stack.heal(reason=reason, run=run)
    show(report, options)
    return LEFT if any(text.startswith("not healed: ") for text in report.warnings) else 0


@verb("guard", short_help="Watch the stack and keep it as its latest release wants.")
@click.option(
    "--listen",
    default="",
    metavar="[HOST]:PORT",
    help="Serve metrics and health there; without HOST on loopback. [default: not at all]",
)
@click.option("--render", is_flag=True, help="Print what runs the guard inside the cluster.")
@click.option("--image", default="", metavar="IMAGE", help="Its image, for --render.")
@click.option(
    "--in-pod",
    nargs=2,
    default=None,
    metavar="STACK NAMESPACE",
    help="Guard a stack from inside its cluster, without a project.",
)
def guard(
    options: Options, *, listen: str, render: bool, image: str, in_pod: tuple[str, str] | None
) -> None:
    """Watch what the stack owns until Ctrl-C, and correct drift as policies.drift.action says.

    \b
    report       say what drifted, who did it and when (default)
    heal         bring it back too
    heal-except  bring it back, but for policies.drift.exceptions

    Corrections of one object are paced, and a field that somebody changes again and again is left
    to them and told. Whom else to tell is for policies.notify to say.
    """  # noqa: D301 - \b keeps click from joining the lines
    if render:
        write(_manifests(options, image, listen))
        return
    with session.until_stopped(options) as run:

        def say(note: GuardNote) -> None:
            write(_line(note, options))

        if in_pod:
            from infometis_sdk.workspace.guard_pod import guard_from_pod

            guard_from_pod(*in_pod, say=say, listen=listen, run=run)
            return
        session.stack(options).guard(say=say, listen=listen, run=run)


def _manifests(options: Options, image: str, listen: str) -> str:
    import yaml

    from infometis_sdk.workspace.guard_pod import guard_manifests

    if not image:
        msg = "--render needs --image: build one with the Dockerfile of the SDK's repository"
        raise click.UsageError(msg)
    port = listen.rpartition(":")[2] or "9464"
    if not port.isdigit():
        msg = f"--listen {listen!r} names no port"
        raise click.UsageError(msg)
    made = guard_manifests(session.stack(options), image=image, port=int(port))
    return yaml.safe_dump_all(made, sort_keys=False)


def _line(note: GuardNote, options: Options) -> str:
    if options.output == "text":
        import datetime as dt

        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{now} {note}\n"
    import json

    from infometis_sdk.model.report import plain

    return json.dumps(plain(note), ensure_ascii=False) + "\n"
