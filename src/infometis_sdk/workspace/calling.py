"""Call what others wrote: found by name, and bounded in time whatever it does."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infometis_sdk.model.run import Run

__all__ = ("call", "load")

_GLANCE = 0.1


def load(name: str, root: Path | None) -> Any:  # noqa: ANN401 - whatever a module holds
    """Return what ``module:name`` means; modules of the project's directory are found first."""
    module, _, attribute = name.partition(":")
    path = str(root) if root else ""
    if path and path not in sys.path:
        sys.path.insert(0, path)
    try:
        return getattr(importlib.import_module(module), attribute)
    finally:
        if path and path in sys.path:
            sys.path.remove(path)


def call(name: str, function: Callable[[], object], seconds: float, run: Run) -> tuple[object, str]:
    """Call a function in a thread of its own, which is left behind where it does not end in time.

    Args:
        name: what it is called in messages.
        function: takes nothing; what it returns is passed on.
        seconds: how long it may take.
        run: deadline and cancel token of the whole.

    Returns:
        Its answer, and what is wrong: its error, or that it did not answer.

    Raises:
        CancelledError: the caller cancelled.
        DeadlineError: the time for the whole is used up.

    """
    answers: list[object] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def inside() -> None:
        try:
            answers.append(function())
        except BaseException as error:  # noqa: BLE001 - others' code, which may even exit
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=inside, name=f"infometis {name}", daemon=True).start()
    left = seconds
    while not done.wait(min(_GLANCE, left)):
        run.check(f"waiting for {name}")
        left -= _GLANCE
        if left <= 0:
            return None, f"it did not answer within {seconds:.0f} s"
    if errors:
        text = " ".join(str(errors[0]).split())
        return None, f"it failed: {type(errors[0]).__name__}{': ' if text else ''}{text}"
    return answers[0], ""
