"""A connection that answers as a genuine host did: the one seam where commands are run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from infometis_platform_k0s_host.acting.k0s import BINARY, K0s
from infometis_platform_k0s_host.connection import Connection
from infometis_sdk.machine import Done

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from infometis_sdk.model.run import Run

__all__ = ("Transcript", "k0s")

Answer = tuple[int, str, str]


class Transcript(Connection):
    """Answers each command with the first transcript whose words stand in it, in order.

    Attributes:
        asked: the commands, as one line each.
        given: what they read.

    """

    def __init__(self, *answers: tuple[str, Answer | list[Answer]]) -> None:
        super().__init__("node-1")
        self._answers = [
            (words, list(answer) if isinstance(answer, list) else [answer])
            for words, answer in answers
        ]
        self.asked: list[str] = []
        self.given: list[bytes | Path] = []

    def run(
        self, argv: Sequence[str], run: Run, *, stdin: bytes | Path = b"", timeout: float = 60.0
    ) -> Done:
        """Answer from the transcripts; the last answer of a list stays."""
        del timeout
        run.check("asking")
        line = shlex.join(argv)
        self.asked.append(line)
        self.given.append(stdin)
        for words, answers in self._answers:
            if words in line:
                code, stdout, stderr = answers.pop(0) if len(answers) > 1 else answers[0]
                return Done(argv=tuple(argv), code=code, stdout=stdout, stderr=stderr)
        return Done(argv=tuple(argv))

    def fetch(self, argv: Sequence[str], target: Path, run: Run, *, timeout: float = 600.0) -> None:
        """Write what the transcript says."""
        target.write_text(self.run(argv, run, timeout=timeout).stdout)

    def close(self) -> None:
        """Nothing is open."""


def k0s(transcript: Transcript) -> K0s:
    """Return k0s behind a transcript."""
    assert BINARY.endswith("k0s")
    return K0s(transcript, data_dir="/var/lib/k0s", unit="k0scontroller")
