"""The command ``infometis``: draws what the library returns, and holds no logic of its own.

Importing this imports click and nothing heavier; each verb imports what it needs when it runs,
so that ``infometis --help`` and shell completion are quick.
"""

from __future__ import annotations

import atexit
import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("main",)


def main(args: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code.

    Args:
        args: the words after ``infometis``; those of the process where not given.

    Returns:
        0, or the exit code of the error; see ``infometis --help``.

    Example:
        >>> main(["--version"])  # doctest: +ELLIPSIS
        infometis ...
        0

    """
    # A verb makes many values and few cycles, and ends soon: collecting often costs a fifth.
    # What runs for weeks, a guard, sets this back.
    gc.set_threshold(300_000, 50, 50)
    # And what is left when the process ends goes with it, uncollected.
    atexit.register(gc.freeze)
    from infometis_sdk.cli.app import app
    from infometis_sdk.cli.ending import run_to_its_end

    return run_to_its_end(app, args)
