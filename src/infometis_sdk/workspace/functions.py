"""Ask a function of the project's own whether something holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.workspace.calling import call, load

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_sdk.model.run import Run

__all__ = ("ask",)


def ask(name: str, argument: object, root: Path | None, seconds: float, run: Run) -> str:
    """Call a function that says whether something holds.

    Args:
        name: ``module:function``; modules of the project's directory are found first.
        argument: what it is called with.
        root: the project's directory.
        seconds: how long it may take.
        run: deadline and cancel token of the whole.

    Returns:
        Nothing where the function returned ``True``; otherwise what is wrong:
        its own text, its error, that it did not answer, or that its answer is none.

    Raises:
        CancelledError: the caller cancelled.
        DeadlineError: the time for the whole is used up.

    """
    answer, wrong = call(name, lambda: load(name, root)(argument), seconds, run)
    if wrong or answer is True:
        return wrong
    if answer is False:
        return "it said no"
    if isinstance(answer, str) and answer.strip():
        return " ".join(answer.split())
    return f"its answer is neither True nor a reason: {type(answer).__name__}"
