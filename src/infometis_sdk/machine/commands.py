"""The one way in which plugins run programs of others.

No shell is involved, output is kept apart and read as it comes,
and the program ends when its caller is cancelled or out of time.
A plugin takes a :class:`Command` and is given :func:`run_command`,
so that its tests can put transcripts of a genuine program in its place.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from attrs import frozen

from infometis_sdk.errors import MissingPartError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from infometis_sdk.model.run import Run

__all__ = ("Command", "Done", "run_command")

_LOOK = 0.1  # seconds between two looks at the deadline and the cancel token
_GRACE = 5.0  # seconds that a program gets to end by itself
_CHUNK = 65536


@frozen(kw_only=True)
class Done:
    """How a program ended.

    Attributes:
        argv: what was run.
        code: exit code; the negative number of the signal that ended it.
        stdout, stderr: what it wrote, apart.

    """

    argv: tuple[str, ...]
    code: int = 0
    stdout: str = ""
    stderr: str = ""

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        return self.code == 0

    def tail(self, lines: int = 5) -> str:
        r"""Return the last lines of what it said, those of stderr first; for an error message.

        Example:
            >>> Done(argv=("x",), code=1, stderr="one\ntwo\n").tail(1)
            'two'

        """
        said = self.stderr.strip() or self.stdout.strip()
        return "\n".join(said.splitlines()[-lines:])


def _ignore(line: str) -> None:
    del line


class Command(Protocol):
    """Runs a program to its end; :func:`run_command` is the genuine one."""

    def __call__(
        self,
        argv: Sequence[str],
        run: Run,
        *,
        stdin: bytes | Path = b"",
        env: Mapping[str, str] | None = None,
        line: Callable[[str], None] = _ignore,
    ) -> Done:
        """Run ``argv`` and return how it ended; see :func:`run_command`."""


def run_command(
    argv: Sequence[str],
    run: Run,
    *,
    stdin: bytes | Path = b"",
    env: Mapping[str, str] | None = None,
    line: Callable[[str], None] = _ignore,
) -> Done:
    """Run a program to its end and return how it ended; a bad exit code is no error here.

    Args:
        argv: the program and its arguments; no secret, since every user can read them.
        run: deadline, events, cancel token; the program is ended with it.
        stdin: what it reads: bytes, or a file.
        env: added to our own environment.
        line: called with each line of its stderr as it comes, on the caller's thread.

    Raises:
        MissingPartError: there is no such program, or it may not be run.
        CancelledError, DeadlineError: it was ended, with all it had started.

    Example:
        >>> from infometis_sdk.model.run import Run
        >>> run_command(["sh", "-c", "cat; exit 3"], Run.within(30), stdin=b"in").code
        3

    """
    doing = f"running {Path(argv[0]).name}"
    run.check(doing)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(stdin.open("rb")) if isinstance(stdin, Path) else None
        try:
            process = stack.enter_context(
                subprocess.Popen(  # noqa: S603 - no shell; the plugin chose the program
                    list(argv),
                    stdin=source if source is not None else subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env={**os.environ, **(env or {})},
                    start_new_session=True,  # Ctrl-C reaches us, and we end it in order
                )
            )
        except OSError as error:
            msg = f"{argv[0]} cannot be run: {error.strerror or error}"
            raise MissingPartError(msg, hint=f"install {Path(argv[0]).name}") from error
        try:
            if process.stdin is not None:
                _feed(process.stdin, stdin if isinstance(stdin, bytes) else b"")
            outputs = _drain(process, run, doing, line)
        except BaseException:
            _end(process)
            raise
        return Done(
            argv=tuple(argv),
            code=process.wait(),
            stdout=outputs[0],
            stderr=outputs[1],
        )


def _feed(pipe: IO[bytes], data: bytes) -> None:
    """Write what the program reads beside reading what it writes, or both could wait for ever."""

    def write() -> None:
        # A program may end without reading all of it.
        with contextlib.suppress(BrokenPipeError), pipe:
            pipe.write(data)

    threading.Thread(target=write, daemon=True).start()


def _drain(
    process: subprocess.Popen[bytes], run: Run, doing: str, line: Callable[[str], None]
) -> tuple[str, str]:
    out, err, begun = bytearray(), bytearray(), 0
    with selectors.DefaultSelector() as selector:
        for pipe, kept in ((process.stdout, out), (process.stderr, err)):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, kept)
        ended = 0.0
        while selector.get_map():
            run.check(doing)
            for key, _ in selector.select(_LOOK):
                data = os.read(key.fd, _CHUNK)
                key.data.extend(data)
                if not data:
                    selector.unregister(key.fileobj)
            while (stop := err.find(b"\n", begun)) >= 0:
                line(err[begun:stop].decode(errors="replace").rstrip("\r"))
                begun = stop + 1
            # A grandchild may keep the pipes open for ever; the program itself has ended.
            if process.poll() is not None:
                ended = ended or time.monotonic()
                if time.monotonic() - ended > _GRACE:
                    break
    while process.poll() is None:
        run.sleep(_LOOK, doing)
    return out.decode(errors="replace"), err.decode(errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and all it started: first kindly, then not."""
    for signal in (15, 9):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
            return
