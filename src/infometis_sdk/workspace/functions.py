"""Functions of the project's own: found by name, and bounded in time whatever they do."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_sdk.model.run import Run

__all__ = ("ask",)

_GLANCE = 0.1


def ask(name: str, argument: object, root: Path | None, seconds: float, run: Run) -> str:
    """Call a function that says whether something holds.

    It is called in a thread of its own, which is left behind where it does not end in time.

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
    answers: list[object] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            answers.append(_load(name, root)(argument))
        except BaseException as error:  # noqa: BLE001 - others' code, which may even exit
            errors.append(error)

    thread = threading.Thread(target=call, name=f"infometis {name}", daemon=True)
    thread.start()
    waited = 0.0
    while thread.is_alive() and waited < seconds:
        run.check(f"waiting for {name}")
        thread.join(_GLANCE)
        waited += _GLANCE
    if thread.is_alive():
        return f"it did not answer within {seconds:.0f} s"
    if errors:
        text = " ".join(str(errors[0]).split())
        return f"it failed: {type(errors[0]).__name__}{': ' if text else ''}{text}"
    return _verdict(answers[0])


def _verdict(answer: object) -> str:
    if answer is True:
        return ""
    if answer is False:
        return "it said no"
    if isinstance(answer, str) and answer.strip():
        return " ".join(answer.split())
    return f"its answer is neither True nor a reason: {type(answer).__name__}"


def _load(name: str, root: Path | None) -> Any:  # noqa: ANN401 - a function of others
    module, _, function = name.partition(":")
    path = str(root) if root else ""
    if path and path not in sys.path:
        sys.path.insert(0, path)
    try:
        return getattr(importlib.import_module(module), function)
    finally:
        if path and path in sys.path:
            sys.path.remove(path)
