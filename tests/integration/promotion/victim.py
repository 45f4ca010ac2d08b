"""Promote in a process of its own, which kills itself at a given event.

Arguments: project, state directory, source, target, subject and state of the event.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from infometis_sdk import Event, Project, Run, Workspace


def main() -> None:
    """Promote."""
    root, state, source, target, subject, when = sys.argv[1:]

    def emit(event: Event) -> None:
        if (event.subject, event.state) == (subject, when) and event.name in ("promotion", "lock"):
            os.kill(os.getpid(), signal.SIGKILL)
        if subject == "the first object" and event.name == "apply object":
            os.kill(os.getpid(), signal.SIGKILL)

    workspace = Workspace(Project.load(Path(root)), state_dir=Path(state))
    workspace.promote(source, target, run=Run.within(180, emit=emit))


if __name__ == "__main__":
    main()
