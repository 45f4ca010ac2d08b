from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from infometis_sdk.errors import CancelledError, DeadlineError, MissingPartError
from infometis_sdk.machine import run_command
from infometis_sdk.model.run import CancelToken, Run


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_output_and_code_are_kept_apart() -> None:
    """Both outputs and the exit code come back, whatever they are."""
    done = run_command(
        _python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"),
        Run.within(60),
    )
    assert (done.code, done.ok, done.stdout, done.stderr) == (7, False, "out\n", "err\n")
    assert done.tail() == "err"


def test_much_output_and_much_input_do_not_block() -> None:
    """More than a pipe holds goes in and comes out."""
    data = os.urandom(1 << 16).hex().encode() * 8
    code = "import sys; d = sys.stdin.read(); sys.stdout.write(d); sys.stderr.write(d)"
    done = run_command(_python(code), Run.within(60), stdin=data)
    assert done.stdout == done.stderr == data.decode()


def test_input_may_be_a_file_and_may_be_left_unread(tmp_path: Path) -> None:
    """A file is read by the program itself; a program that reads nothing is no error."""
    path = tmp_path / "in"
    path.write_bytes(b"from a file")
    assert run_command(["cat"], Run.within(60), stdin=path).stdout == "from a file"
    assert run_command(["true"], Run.within(60), stdin=b"x" * (1 << 20)).ok


def test_nothing_of_ours_is_read_by_the_program() -> None:
    """A program that asks a question gets no answer from our terminal."""
    assert run_command(["cat"], Run.within(60)).stdout == ""


def test_lines_come_as_they_are_written_on_our_thread() -> None:
    """Progress that a program writes to stderr can be shown while it runs."""
    lines: list[tuple[str, bool]] = []
    here = threading.current_thread()
    run_command(
        ["sh", "-c", "echo one >&2; echo two >&2; echo out"],
        Run.within(60),
        line=lambda line: lines.append((line, threading.current_thread() is here)),
    )
    assert lines == [("one", True), ("two", True)]


def test_environment_is_added_to_ours() -> None:
    """What is set for the program does not take away what it has from us."""
    done = run_command(["sh", "-c", "echo $A$HOME"], Run.within(60), env={"A": "b"})
    assert done.stdout == f"b{os.environ['HOME']}\n"


def test_a_missing_program_is_named() -> None:
    """The error names what is missing."""
    with pytest.raises(MissingPartError, match=r"no-such-program cannot be run: No such file"):
        run_command(["no-such-program"], Run.within(60))


def test_an_end_ends_the_program_and_what_it_started(tmp_path: Path) -> None:
    """Out of time, neither the program nor its children go on."""
    note = tmp_path / "pid"
    code = ["sh", "-c", f"sleep 600 & echo $! > {note}; wait"]
    cancel = CancelToken()

    def later() -> None:
        while not note.exists() or not note.read_text().strip():
            time.sleep(0.01)
        cancel.cancel()

    thread = threading.Thread(target=later)
    thread.start()
    with pytest.raises(CancelledError):
        run_command(code, Run.within(60, cancel=cancel))
    thread.join()
    child = Path("/proc") / note.read_text().strip()
    end = time.monotonic() + 30
    while _runs(child) and time.monotonic() < end:
        time.sleep(0.01)
    assert not _runs(child)
    with pytest.raises(DeadlineError):
        run_command(["sleep", "600"], Run.within(0.2))


def _runs(process: Path) -> bool:
    try:
        return ") Z " not in (process / "stat").read_text()
    except OSError:
        return False


def test_a_grandchild_that_keeps_the_pipes_does_not_hold_us(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program that leaves a daemon behind has ended when it has ended."""
    monkeypatch.setattr("infometis_sdk.machine.commands._GRACE", 0.2)
    done = run_command(["sh", "-c", "sleep 20 & echo $!"], Run.within(15))
    assert done.ok
    os.kill(int(done.stdout), 9)
