"""Options that every verb understands, before or after its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("FORMATS", "Options", "Verb", "shared_options", "verb")

FORMATS = ("text", "json", "yaml")
_SHARED = "infometis_shared"
_FOOT = "Options of every verb (-C, -e, --timeout, --output, …) are shown by 'infometis --help'."


@dataclass
class Options:
    """What the shared options say; a dataclass, because attrs costs what ``--help`` may take.

    Attributes:
        project: the project's directory; ``None`` looks upwards from here.
        environment: its name; empty for the only one, or ``dev``.
        timeout: seconds for the whole verb; ``None`` for the verb's own.
        output: one of :data:`FORMATS`.
        yes: yes to every question but those that ask for a name or a digest.

    """

    project: Path | None = None
    environment: str = ""
    timeout: float | None = None
    output: str = "text"
    quiet: bool = False
    verbose: int = 0
    debug: bool = False
    color: bool = True
    yes: bool = False


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:  # noqa: ANN401
    """Keep what was said on the command line; the word nearest to the end wins."""
    options = context.ensure_object(Options)
    name = parameter.name or ""
    if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
        setattr(options, name.removeprefix(_SHARED + "_"), value)


def _environments(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete names of environments from the names of their files, without reading one."""
    del parameter
    options = context.find_root().ensure_object(Options)
    root = options.project or Path()
    names = {path.name.split(".")[0] for path in root.glob("environments/*.yaml")}
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


class _Seconds(click.ParamType[float]):
    """A time above 0, in seconds."""

    name = "seconds"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Read the number."""
        try:
            seconds = float(value)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            self.fail(f"{value!r} is no number of seconds above 0.", param, ctx)
        return seconds


def _option(name: str, *flags: str, **attributes: Any) -> click.Option:  # noqa: ANN401
    return click.Option(
        [f"{_SHARED}_{name}", *flags],
        expose_value=False,
        callback=_remember,
        **attributes,
    )


def shared_options(*, hidden: bool) -> list[click.Parameter]:
    """Make the options; hidden where a verb only repeats what the command already shows."""
    return [
        _option(
            "project",
            "-C",
            "--project",
            type=click.Path(path_type=Path, file_okay=False),
            metavar="DIR",
            hidden=hidden,
            help="Project directory. [default: the nearest one upwards that holds infometis.yaml]",
        ),
        _option(
            "environment",
            "-e",
            "--env",
            metavar="NAME",
            shell_complete=_environments,
            hidden=hidden,
            help="Environment. [default: the only one, else dev]",
        ),
        _option(
            "timeout",
            "--timeout",
            type=_Seconds(),
            metavar="SECONDS",
            hidden=hidden,
            help="Time for the whole verb. [default: 60; 600 to apply; 1800 for up]",
        ),
        _option(
            "output",
            "--output",
            type=click.Choice(FORMATS),
            hidden=hidden,
            help="What stdout holds: text for people, or one document for programs.",
        ),
        _option("quiet", "-q", "--quiet", is_flag=True, hidden=hidden, help="No progress."),
        _option(
            "verbose",
            "-v",
            "--verbose",
            count=True,
            hidden=hidden,
            help="Every step as a line; twice: every request too.",
        ),
        _option(
            "debug",
            "--debug",
            is_flag=True,
            hidden=hidden,
            help="The same as -vv, and tracebacks of errors.",
        ),
        _option(
            "color",
            "--color/--no-color",
            hidden=hidden,
            default=True,
            help="NO_COLOR works too.",
        ),
        _option(
            "yes",
            "-y",
            "--yes",
            is_flag=True,
            hidden=hidden,
            help="Yes to every question, but never a name or a digest.",
        ),
    ]


class Verb(click.Command):
    """A command that also takes the shared options."""

    def __init__(self, *args: Any, **attributes: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*args, **attributes)
        self.params += shared_options(hidden=True)
        self.epilog = _FOOT


def verb(name: str, **attributes: Any) -> Callable[[Callable[..., Any]], click.Command]:  # noqa: ANN401
    """Make a verb of a function whose first parameter is :class:`Options`."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        return click.command(name, cls=Verb, **attributes)(click.pass_obj(function))

    return decorate
