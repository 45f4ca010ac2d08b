"""From the options to a project, a stack and a run."""

from __future__ import annotations

import gc
import signal
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infometis_sdk.cli.results import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.cli.options import Options
    from infometis_sdk.model.project import Project
    from infometis_sdk.model.run import CancelToken, Run
    from infometis_sdk.workspace import Stack, Workspace

__all__ = (
    "APPLYING",
    "ASKING",
    "UP",
    "project",
    "root",
    "running",
    "stack",
    "stack_of",
    "workspace",
)

ASKING = 60.0
"""Seconds for a verb that only asks: a dead cluster must not hold anybody for minutes."""
APPLYING = 600.0
UP = 1800.0
"""Seconds for ``up``: images are pulled, and the first run may build a control plane."""

_FILE = "infometis.yaml"
_FALLBACK = "dev"


def root(options: Options) -> Path:
    """Return the project's directory: the one named, or the nearest upwards."""
    if options.project is not None:
        return options.project
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / _FILE).is_file():
            return folder
    return Path()


def project(options: Options) -> Project:
    """Read the project.

    Raises:
        ProjectError: there is none, or it has faults; all of them.

    """
    from infometis_sdk.errors import ProjectError
    from infometis_sdk.model.fault import Fault, Origin
    from infometis_sdk.model.project import Project

    folder = root(options)
    if not (folder / _FILE).is_file():
        where = "here or in any folder above" if options.project is None else f"in {folder}"
        fault = Fault(message=f"there is no project {where}", origin=Origin(file=_FILE))
        hint = "'infometis init NAME' makes one; -C DIR names one that is elsewhere"
        raise ProjectError((fault,), hint=hint)
    return Project.load(folder)


def workspace(options: Options) -> Workspace:
    """Read the project and find the plugins."""
    from infometis_sdk.workspace import Workspace

    return Workspace(project(options))


def stack(options: Options) -> Stack:
    """Return the stack of the environment that was asked for, and say which one it is."""
    found = workspace(options)
    name = options.environment or _default(found.environments)
    if not options.environment and len(found.environments) > 1:
        others = ", ".join(each for each in found.environments if each != name)
        say(f"environment {name} (-e for another: {others})", options)
    return found[name]


def stack_of(options: Options, bundle: Path | None, env_file: Path | None) -> Stack:
    """Return the stack, with the services of a Bundle where one is named.

    Raises:
        ProjectError: a file is wrong, or an environment file comes without a Bundle.
        TamperedError: the Bundle was changed.

    """
    from infometis_sdk.errors import ProjectError
    from infometis_sdk.model.fault import Fault, Origin
    from infometis_sdk.project import load_bundle, project_from_bundle
    from infometis_sdk.workspace import Workspace

    if bundle is None:
        if env_file is None:
            return stack(options)
        fault = Fault(message="has no services", origin=Origin(file=str(env_file)))
        raise ProjectError((fault,), hint="name the Bundle with --bundle")
    if env_file is None:
        return stack(options).with_bundle(load_bundle(bundle))
    made = Workspace(project_from_bundle(load_bundle(bundle), env_file))
    return made[options.environment or made.environments[0]]


def _default(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return names[0]
    if _FALLBACK in names:
        return _FALLBACK
    from infometis_sdk.errors import ProjectError
    from infometis_sdk.model.fault import Fault, Origin

    if not names:
        fault = Fault(
            message="the project has no environment", origin=Origin(file="environments/dev.yaml")
        )
        raise ProjectError((fault,), hint="write environments/dev.yaml")
    fault = Fault(
        message="several environments and none of them is called 'dev'", legal=", ".join(names)
    )
    raise ProjectError((fault,), hint="name one with -e")


@contextmanager
def running(options: Options, seconds: float, title: str, *, acts: bool) -> Iterator[Run]:
    """Run a verb: its deadline, its progress on stderr, and Ctrl-C.

    Args:
        options: where ``timeout`` is set, it wins over ``seconds``.
        seconds: what this verb may take.
        title: what the live display is headed with.
        acts: the verb changes something, so what it did stays on the screen;
            of a verb that asks, the answer is enough.

    """
    from infometis_sdk.cli.progress import drawing
    from infometis_sdk.model.run import CancelToken, Run

    token = CancelToken()
    within = seconds if options.timeout is None else options.timeout
    _listen(options)
    with drawing(options, title, keep=acts) as progress, _interrupts(token, progress.note):
        yield Run(deadline=time.monotonic() + within, emit=progress.take, cancel=token)


@contextmanager
def until_interrupted(options: Options, seconds: float | None) -> Iterator[Run]:
    """Run a verb that Ctrl-C ends in the normal way; it writes to the terminal itself.

    Args:
        options: where ``timeout`` is set, it wins over ``seconds``.
        seconds: what this verb may take; ``None`` for no limit.

    """
    from infometis_sdk.model.run import Run

    _listen(options)
    within = seconds if options.timeout is None else options.timeout
    with suppress(KeyboardInterrupt):
        yield Run() if within is None else Run.within(within)


@contextmanager
def until_stopped(options: Options) -> Iterator[Run]:
    """Run a verb that goes on until Ctrl-C, or until the system asks it to end.

    Args:
        options: where ``timeout`` is set, it ends by itself.

    """
    from infometis_sdk.model.run import CancelToken, Run

    # As Python 3.11 does by itself: over weeks, what is left in cycles must not wait for long.
    gc.set_threshold(700, 10, 10)
    token = CancelToken()
    _listen(options)
    within = float("inf") if options.timeout is None else options.timeout

    def note(text: str) -> None:
        say(text, options)

    with _interrupts(token, note), _interrupts(token, note, signal.SIGTERM):
        yield Run(deadline=time.monotonic() + within, cancel=token)


def _listen(options: Options) -> None:
    """Let the SDK's log lines reach stderr, where they were asked for."""
    import logging
    import sys

    from infometis_sdk._log import ROOT, formatter

    if not options.debug and options.verbose < 2:  # noqa: PLR2004 - -vv
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(json=False))
    logger = logging.getLogger(ROOT)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)


@contextmanager
def _interrupts(
    token: CancelToken,
    note: Any,  # noqa: ANN401 - a function
    which: signal.Signals = signal.SIGINT,
) -> Iterator[None]:
    """First Ctrl-C: stop at a safe point. Second: exit at once.

    Exiting at once is safe, since every verb may be killed anywhere and run again;
    it does not wait for threads that wait for an API server.
    """

    def stop(number: int, frame: object) -> None:
        del number, frame
        if token.cancelled:
            from infometis_sdk.cli.exits import at_once

            at_once()
        token.cancel()
        note("stopping at the next safe point; Ctrl-C again exits at once")

    try:
        before = signal.signal(which, stop)
    except ValueError:  # not the main thread, as in some tests: Ctrl-C is not ours there
        yield
        return
    try:
        yield
    finally:
        signal.signal(which, before)
