"""Ctrl-C, in processes of their own: signals belong to a process, not to a test."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_STUBBORN = """
import time
from infometis_sdk.cli import session
from infometis_sdk.cli.options import Options
with session.running(Options(), 60, "stubborn", acts=True) as run:
    print("running", flush=True)
    while True:
        time.sleep(0.01)
"""
_OBEDIENT = _STUBBORN.replace("time.sleep(0.01)", 'run.sleep(60, "sleeping")')
_FORWARD = """
import contextlib, sys, time
from infometis_sdk.cli import main, session

class Door:
    url, port = "http://127.0.0.1:4711", 4711

    def watch(self, seconds):
        yield "no pod behind Service/kafka is ready"
        time.sleep(60 if seconds is None else seconds)

class Stack:
    @contextlib.contextmanager
    def forward(self, service, endpoint, *, port, run):
        yield Door()
        print("closed", flush=True)

session.stack = lambda options: Stack()
sys.exit(main(["forward", "kafka", *sys.argv[1:]]))
"""
_LOGS = """
import itertools, sys, time
from infometis_sdk.cli import main, session

class Stack:
    def logs(self, service, *, follow, tail, container, run):
        for number in itertools.count() if follow else range(tail):
            yield f"kafka-0: line {number}"
            time.sleep(0.01 if follow else 0)

session.stack = lambda options: Stack()
sys.exit(main(["logs", "kafka", *sys.argv[1:]]))
"""


def _process(code: str, *words: str) -> subprocess.Popen[str]:
    # Whoever runs the tests in the background ignores the signal, and children inherit that.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    return subprocess.Popen(
        [sys.executable, "-c", heard + code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _told(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    pytest.fail(f"{words!r} was never told")


def test_the_second_ctrl_c_exits_at_once() -> None:
    """Where nothing looks at the token, the first one is answered and the second one ends it."""
    with _process(_STUBBORN) as process:
        assert _line(process) == "running"
        process.send_signal(signal.SIGINT)
        _told(process, "stopping at the next safe point")
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _told(process, "exited at once")
    assert process.returncode == 130


def test_the_first_ctrl_c_reaches_the_token() -> None:
    """A verb that looks at its token is stopped by the first one, with the library's own error."""
    with _process(_OBEDIENT) as process:
        assert _line(process) == "running"
        process.send_signal(signal.SIGINT)
        _told(process, "CancelledError: cancelled while sleeping")
    assert process.returncode == 1  # nothing catches it in this sample


def test_forward_ends_well_with_ctrl_c() -> None:
    """``forward`` prints its URL, stays open until Ctrl-C, closes the door, and that is success."""
    with _process(_FORWARD) as process:
        assert _line(process) == "http://127.0.0.1:4711"
        _told(process, "Ctrl-C closes it")
        _told(process, "a connection failed: no pod behind Service/kafka is ready")
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0


def test_forward_ends_by_itself_after_a_timeout() -> None:
    """With --timeout the door closes by itself."""
    with _process(_FORWARD, "--timeout", "0.2") as process:
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out.split()) == (0, ["http://127.0.0.1:4711", "closed"])


def test_logs_are_followed_until_ctrl_c() -> None:
    """``logs --follow`` goes on until Ctrl-C, and that is success."""
    with _process(_LOGS, "--follow") as process:
        assert _line(process) == "kafka-0: line 0"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (0, "")


def test_logs_for_programs() -> None:
    """Without --follow, lines can be one document."""
    with _process(_LOGS, "--tail", "2", "--output", "yaml") as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out == "service: kafka\nlines:\n- 'kafka-0: line 0'\n- 'kafka-0: line 1'\n"


def test_a_guard_collects_as_python_does() -> None:
    """A short verb is patient with garbage; what runs for weeks in a pod with a limit is not."""
    code = """
import gc, sys
from infometis_sdk.cli import main, session

class Stack:
    name = "dev"

    def guard(self, *, say, listen, run):
        print(gc.get_threshold()[0])

session.stack = lambda options: Stack()
first = gc.get_threshold()[0]
main(["guard"])
print(first)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    guarding, pythons = map(int, done.stdout.split())
    assert guarding <= pythons
