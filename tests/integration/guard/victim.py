"""A guard in a process of its own, to be killed in the middle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.engine.lab import Lab, config_map, raw
from tests.integration.guard.watchman import Watchman

from infometis_sdk.ports.platform import Access

if TYPE_CHECKING:
    from infometis_sdk.model.stack import ManifestSet

__all__ = ("main", "stack")


def stack(lab: Lab) -> ManifestSet:
    """Return the stack that is guarded."""
    return lab.render(raw("app", *(config_map(f"app-{n}", a="1") for n in range(6))))


def main(words: list[str]) -> None:
    """Guard until killed; each note is a line."""
    name, kubeconfig, context = words
    lab = Lab(Access(kubeconfig=Path(kubeconfig), context=context), name)
    guard = Watchman(lab, stack(lab))
    guard.listener = lambda note: print(note, flush=True)  # noqa: T201 - the test reads it
    guard.start()
    guard.thread.join()


if __name__ == "__main__":
    main(sys.argv[1:])
