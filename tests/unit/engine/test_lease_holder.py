from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from infometis_sdk.engine.writing.lease import Holder, boottime


def text(**change: str) -> str:
    """Return the identity of this process with parts changed."""
    me = Holder.me()
    parts = {
        "host": me.host,
        "machine": me.machine,
        "boot": me.boot,
        "space": me.space,
        "pid": me.pid,
        "start": me.start,
        "nonce": "n",
    }
    return "/".join({**parts, **change}.values())


def test_this_process_is_alive() -> None:
    """Whoever holds a Lease and lives is not dead; two sessions of one process differ."""
    assert not Holder.me().dead
    assert Holder.me().text != Holder.me().text
    assert str(Holder.me()) == f"process {os.getpid()} on {Holder.me().host}"


def test_a_process_that_ended_is_dead() -> None:
    """Its number is free, or taken by another one that began at another time."""
    done = subprocess.Popen((sys.executable, "-c", "pass"))
    done.wait()
    assert Holder(text(pid=str(done.pid))).dead
    assert Holder(text(start="1")).dead


@pytest.mark.parametrize(
    "change",
    [
        {"host": "elsewhere", "start": "1"},
        {"space": "1", "start": "1"},
        {"boot": "b", "machine": "m"},
        {"boot": "b", "machine": ""},
        {"boot": ""},
        {"pid": "x"},
    ],
    ids=str,
)
def test_what_cannot_be_seen_from_here_may_live(change: dict[str, str]) -> None:
    """Another host, container, or machine of the same name; and what is not in our form."""
    assert not Holder(text(**change)).dead


def test_a_holder_of_an_earlier_boot_is_dead() -> None:
    """This machine was restarted since."""
    if not Holder.me().machine:
        pytest.skip(
            "this machine has no id, so an earlier boot cannot be told from another machine"
        )
    assert Holder(text(boot="earlier")).dead


@pytest.mark.parametrize("strange", ["", "somebody", "a/b/c", "a/b/c/d/e/f/g/h", "///////"])
def test_strange_holders_are_left_alone(strange: str) -> None:
    """Whatever another tool wrote there, it is not taken for dead."""
    assert not Holder(strange).dead
    assert str(Holder(strange))


def test_the_clock_goes_on() -> None:
    """It counts at least what the monotonic clock counts."""
    first, begun = boottime(), time.monotonic()
    while time.monotonic() - begun < 0.01:
        pass
    assert boottime() - first >= 0.009
