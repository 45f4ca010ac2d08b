"""The command and its verbs, in the order of a stack's life."""

from __future__ import annotations

import click

from infometis_sdk.cli.options import shared_options
from infometis_sdk.cli.verbs import (
    apply,
    audit,
    border,
    check,
    cluster,
    compare,
    completion,
    credentials,
    doctor,
    end,
    explain,
    forward,
    guard,
    init,
    kubeconfig,
    lock,
    logs,
    look,
    plan,
    plugins,
    policy,
    preview,
    promote,
    prove,
    releases,
    render,
    schema,
    up,
)

__all__ = ("app",)

_SECTIONS = {
    "Commands": (
        init.init,
        check.validate,
        render.render,
        explain.explain,
        lock.lock,
        releases.bundle,
        schema.schema,
    ),
    "Deploy": (
        plan.plan,
        apply.apply,
        up.up,
        releases.rollback,
        promote.promote,
        preview.preview,
        guard.heal,
        guard.guard,
    ),
    "Look": (
        look.status,
        look.drift,
        releases.releases,
        releases.release,
        prove.prove,
        compare.compare,
        look.urls,
        border.border,
        policy.policy,
        promote.pipeline,
        audit.audit,
        credentials.credentials,
        logs.logs,
        forward.forward,
    ),
    "End": (end.down, end.stop, end.destroy, end.abandon),
    "This machine": (
        doctor.doctor,
        cluster.cluster,
        plugins.plugins,
        kubeconfig.kubeconfig,
        border.trust,
        completion.completion,
    ),
}

_CODES = """\
\b
Exit codes:
    0  done, or nothing to do
    1  an error with no code of its own
    2  bad input: files, values, names, plugins, secrets, usage
    3  refused: something forbids the action, or a conflict
    4  no cluster: it cannot be made or reached, or a request failed
    5  applied in part, not ready, or out of time
    6  drift found
    7  the audit was tampered with
    8  two environments are not the same, or one is worse
  130  cancelled
  141  nobody reads our output any more
"""


class _Sections(click.Group):
    """A group that lists its verbs under headings."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in their order."""
        del ctx
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list per section, all aligned to the longest name."""
        del ctx
        widest = max(len(name) for name in self.commands)
        for heading, verbs in _SECTIONS.items():
            limit = formatter.width - 6 - widest
            rows = [
                ((verb.name or "").ljust(widest), verb.get_short_help_str(limit)) for verb in verbs
            ]
            with formatter.section(heading):
                formatter.write_dl(rows)


def _version(context: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001
    del parameter
    if not value or context.resilient_parsing:
        return
    from importlib.metadata import version

    click.echo(f"infometis {version('infometis-sdk')}")
    context.exit()


app = _Sections(
    "infometis",
    help="Compose a data-processing stack once and run it identically everywhere.",
    epilog=_CODES,
    params=[
        *shared_options(hidden=False),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            help="Show the version and exit.",
        ),
    ],
    context_settings={"help_option_names": ["-h", "--help"]},
    callback=lambda: None,  # the options remember themselves
)
for _verbs in _SECTIONS.values():
    for _verb in _verbs:
        app.add_command(_verb)
