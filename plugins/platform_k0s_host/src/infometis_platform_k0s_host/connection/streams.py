"""Run a command whose output is no text but a file."""

from __future__ import annotations

import os
import subprocess
import tempfile
from typing import TYPE_CHECKING

from infometis_sdk.machine import Done

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from infometis_sdk.model.run import Run

__all__ = ("run_to_file",)

_LOOK = 0.05


def run_to_file(argv: Sequence[str], target: Path, run: Run) -> Done:
    """Write what a command prints to a file of mode 0600; it is gone where the command failed.

    Raises:
        CancelledError, DeadlineError: the command was ended.

    """
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    complete = False
    try:
        with os.fdopen(handle, "wb") as stream, tempfile.TemporaryFile() as stderr:
            process = subprocess.Popen(  # noqa: S603 - no shell; the words are ours
                list(argv), stdin=subprocess.DEVNULL, stdout=stream, stderr=stderr
            )
            try:
                while process.poll() is None:
                    run.sleep(_LOOK, f"fetching {target.name}")
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            stderr.seek(0)
            done = Done(
                argv=tuple(argv),
                code=process.returncode,
                stderr=stderr.read().decode(errors="replace"),
            )
        complete = done.ok
        return done
    finally:
        if not complete:
            target.unlink(missing_ok=True)
