"""``preview``: short-lived environments beside a lasting one."""

from __future__ import annotations

import click

from infometis_sdk.cli import asking, session
from infometis_sdk.cli.options import Options, Verb, shared_options
from infometis_sdk.cli.results import emit, say, show, write

__all__ = ("preview",)


@click.group("preview", short_help="Make and remove short-lived environments.")
def preview() -> None:
    """Make and remove short-lived environments, such as one for a branch.

    A preview is like the environment it is made of, on the same cluster,
    with a namespace and a host of its own.
    """


preview.params += shared_options(hidden=True)
_of = click.option(
    "--from", "of", default="dev", metavar="ENV", show_default=True, help="What it is made of."
)


@preview.command("create", cls=Verb)
@click.argument("name")
@_of
@click.option("--ttl", default="8h", metavar="TIME", show_default=True, help="Time to live.")
@click.option("--up/--no-up", "deploy", default=True, help="Deploy it at once.")
@click.pass_obj
def create(options: Options, *, name: str, of: str, ttl: str, deploy: bool) -> None:
    """Write environments/NAME.yaml and deploy it."""
    stack = session.workspace(options).preview(name, of=of, ttl=ttl)
    if not deploy:
        _done(
            f"{name}: expires {stack.environment.preview.expires}", {"environment": name}, options
        )
        return
    with session.running(options, session.UP, f"up {name}", acts=True) as run:
        report = stack.up(reason=f"preview of {of}", run=run)
    show(report, options)
    say(f"{name} expires {stack.environment.preview.expires}", options)


@preview.command("destroy", cls=Verb)
@click.argument("name", default="")
@_of
@click.option("--expired", is_flag=True, help="Every preview whose time is over, by whomever.")
@click.pass_obj
def destroy(options: Options, *, name: str, of: str, expired: bool) -> int:
    """Remove a preview and all its data; its name is enough, on any machine."""
    if expired == bool(name):
        msg = "name one preview, or give --expired."
        raise click.UsageError(msg)
    ws = session.workspace(options)
    wrong: tuple[str, ...] = ()
    if expired:
        with session.running(options, session.UP, "remove previews", acts=True) as run:
            gone, wrong = ws.destroy_expired(of=of, run=run)
    else:
        asking.consent(f"{name}: delete the preview and all its data", options)
        with session.running(options, session.UP, f"remove {name}", acts=True) as run:
            ws.destroy_preview(name, of=of, run=run)
        gone = (name,)
    text = "\n".join((*(f"{each}: removed" for each in gone), *wrong)) or "nothing has expired"
    _done(text, {"removed": list(gone), "failed": list(wrong)}, options)
    return 5 if wrong else 0


def _done(text: str, document: dict[str, object], options: Options) -> None:
    if options.output == "text":
        write(f"{text}\n")
    else:
        emit(document, options)
