"""One writer a stack."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.engine.lab import Lab, config_map, raw

from infometis_sdk.engine.writing.lease import Holder, Writer
from infometis_sdk.errors import LockedError, RefusedError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Event, Run
from infometis_sdk.ports.cluster import Write
from infometis_sdk.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]


class Clock:
    """A clock that counts suspend, and that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:  # noqa: D102 - what a clock says
        return self.now


@pytest.fixture
def home(lab: Lab) -> Lab:
    """Give a stack whose namespace is there."""
    lab.as_guest()
    return lab


def writer(lab: Lab, **options: Any) -> Writer:
    """Return a session."""
    return Writer(lab.cluster, lab.name, lab.namespace, Run.within(60), **options)


def a_write(lab: Lab, name: str = "a") -> Write:
    """Return a write of a ConfigMap."""
    body = config_map(name)
    body["metadata"]["namespace"] = lab.namespace
    return Write(verb="apply", ref=ObjectRef.of(body), body=body, manager=lab.manager)


def holder_of(lab: Lab) -> str:
    """Return who holds the Lease."""
    lease = lab.must_get(writer(lab).ref)
    return str(lease["spec"].get("holderIdentity") or "")


def take_as(lab: Lab, text: str, **spec: Any) -> None:
    """Hold the Lease as somebody else."""
    ref = writer(lab).ref
    body = {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "metadata": {"name": ref.name, "namespace": ref.namespace},
        "spec": {"holderIdentity": text, "leaseDurationSeconds": 60, **spec},
    }
    lab.write("apply", body, "other", force=True)


def test_a_session_takes_the_lease_and_gives_it_back(home: Lab) -> None:
    """While it writes the Lease names host and process; afterwards nobody holds it."""
    with writer(home) as session:
        session.write(a_write(home), Run.within(10))
        assert f"{socket.gethostname()}/" in holder_of(home)
        assert f"/{os.getpid()}/" in holder_of(home)
    assert holder_of(home) == ""


def test_a_second_session_waits_for_the_first(home: Lab) -> None:
    """The second one says whom it waits for, and goes on when the first one is through."""
    told: list[Event] = []
    first_done = threading.Event()
    second = Writer(
        home.cluster, home.name, home.namespace, Run.within(60, emit=told.append), patience=60
    )
    entered: list[bool] = []

    def run() -> None:
        with second:
            entered.append(first_done.is_set())

    with writer(home):
        thread = threading.Thread(target=run)
        thread.start()
        home.until(lambda: any(e.name == "lock" for e in told), "the second one to wait")
        assert f"process {os.getpid()} on" in told[0].detail
        first_done.set()
    thread.join(30)
    assert entered == [True]


def test_a_second_session_gives_up_when_its_patience_ends(home: Lab) -> None:
    """It names the holder and the age, and what to do."""
    with writer(home), pytest.raises(LockedError) as caught, writer(home, patience=0.0):
        pass
    assert str(os.getpid()) in caught.value.holder
    assert "its Lease frees itself" in caught.value.hint


def test_a_dead_process_of_this_machine_is_replaced_at_once(home: Lab) -> None:
    """A killed process held the Lease: nobody waits for its term."""
    code = "from infometis_sdk.engine.writing.lease import Holder; print(Holder.me().text)"
    text = subprocess.run(
        (sys.executable, "-c", code), capture_output=True, text=True, check=True
    ).stdout.strip()
    take_as(home, text)
    with writer(home, patience=0.0):
        assert holder_of(home) != text


@pytest.mark.parametrize(
    "change",
    [
        {"host": "elsewhere"},
        {"machine": "ffffffffffff", "boot": "another"},
        {"machine": "", "boot": "another"},
        {"space": "1"},
    ],
    ids=["host", "same-host-name", "no-machine-id", "container"],
)
def test_a_holder_that_may_be_alive_elsewhere_is_not_replaced(
    home: Lab, change: dict[str, str]
) -> None:
    """Another host, another machine of the same name, another container: only time can tell."""
    me = Holder.me()
    parts = {
        "host": me.host,
        "machine": me.machine,
        "boot": me.boot,
        "space": me.space,
        "pid": "999999",
        "start": "1",
        "nonce": "x",
    }
    take_as(home, "/".join({**parts, **change}.values()))
    with pytest.raises(LockedError), writer(home, patience=0.0):
        pass


def test_a_silent_holder_elsewhere_is_replaced_after_a_term(home: Lab) -> None:
    """A Lease that did not change for its whole term by our own clock is free."""
    take_as(home, "elsewhere/m/b/1/1/1/x", leaseDurationSeconds=2)
    clock = Clock()
    seen: list[str] = []

    def emit(event: Event) -> None:
        seen.append(event.name)
        clock.now += 2.5  # the clock runs while we wait

    run = Run.within(30, emit=emit)
    with Writer(home.cluster, home.name, home.namespace, run, clock=clock, patience=100):
        assert "elsewhere" not in holder_of(home)
    assert seen == ["lock"]


@pytest.mark.parametrize("year", ["1999", "2199"])
def test_the_clock_of_another_holder_does_not_matter(home: Lab, year: str) -> None:
    """Times in the Lease are for people.

    A live holder is not replaced for a clock of the past, and a silent one is not spared for one of
    the future.
    """
    stamp = f"{year}-01-01T00:00:00.000000Z"
    times = {"acquireTime": stamp, "renewTime": stamp}
    take_as(home, "elsewhere/m/b/1/1/1/x", leaseDurationSeconds=60, **times)
    with pytest.raises(LockedError), writer(home, patience=0.0):
        pass
    take_as(home, "elsewhere/m/b/1/1/1/y", leaseDurationSeconds=1, **times)
    with writer(home, patience=30):
        pass


def test_a_machine_that_slept_writes_nothing_once_another_took_over(home: Lab) -> None:
    """After a long suspend the Lease is asked for before anything else, and it is somebody's."""
    clock = Clock()
    with writer(home, clock=clock) as session:
        session.write(a_write(home, "before"), Run.within(10))
        clock.now += 3600
        take_as(home, "elsewhere/m/b/1/1/1/x")
        with pytest.raises(LockedError, match="was lost to process 1 on elsewhere"):
            session.write(a_write(home, "after"), Run.within(10))
    assert home.get(home.ref("ConfigMap", "before")) is not None
    assert home.get(home.ref("ConfigMap", "after")) is None
    assert holder_of(home).startswith("elsewhere")


def test_a_machine_that_slept_goes_on_where_nobody_took_over(home: Lab) -> None:
    """Nobody wanted it meanwhile, so the Lease is renewed and the write is done."""
    clock = Clock()
    with writer(home, clock=clock) as session:
        clock.now += 3600
        session.write(a_write(home), Run.within(10))
    assert home.get(home.ref("ConfigMap", "a")) is not None


def test_a_write_that_is_tried_again_after_a_sleep_asks_for_the_lease_first(home: Lab) -> None:
    """The first try is dropped, the machine sleeps, another takes over: no second try is made."""
    clock = Clock()
    with FaultProxy(home.access) as proxy:
        slow = Lab(proxy.access, home.name)
        proxy.inject(Fault(verb="PATCH", path="configmaps/after", drop="before", delay=0.5))
        with Writer(
            slow.cluster, home.name, home.namespace, Run.within(30), clock=clock
        ) as session:

            def sleep() -> None:
                take_as(home, "elsewhere/m/b/1/1/1/x")
                clock.now += 3600

            threading.Timer(0.1, sleep).start()
            with pytest.raises(LockedError):
                session.write(a_write(home, "after"), Run.within(10))
    assert home.get(home.ref("ConfigMap", "after")) is None


@pytest.mark.parametrize("verb", ["POST", "PUT"])
def test_a_lost_answer_does_not_lose_the_lease(home: Lab, verb: str) -> None:
    """A Lease that was taken or renewed and whose answer was lost is recognised as our own."""
    if verb == "PUT":
        with writer(home):
            pass
    with FaultProxy(home.access) as proxy:
        slow = Lab(proxy.access, home.name)
        proxy.inject(Fault(verb=verb, path="/leases", drop="after"))
        clock = Clock()
        session = Writer(
            slow.cluster, home.name, home.namespace, Run.within(30), clock=clock, patience=5
        )
        with session:
            proxy.inject(Fault(verb="PUT", path="/leases", drop="after"))
            clock.now += 40
            session.write(a_write(home), Run.within(10))
    assert home.get(home.ref("ConfigMap", "a")) is not None
    assert holder_of(home) == ""


def test_a_long_session_keeps_its_lease(home: Lab) -> None:
    """The Lease is renewed in the background, so that nobody takes it from one that works."""
    with writer(home, term=2.0):
        first = home.must_get(writer(home).ref)["spec"]["renewTime"]
        home.until(
            lambda: home.must_get(writer(home).ref)["spec"]["renewTime"] != first, "a renewal"
        )
        with pytest.raises(LockedError), writer(home, patience=4.0, term=2.0):
            pass


# --- two applies at once ----------------------------------------------------------------------


def test_two_applies_at_once_end_right(lab: Lab) -> None:
    """Two processes apply the same at once.

    One does it, the other waits and then does nothing or is told to plan again; the stack is right,
    and there is one password.
    """
    script = (
        "import sys\n"
        "from tests.integration.engine.victim import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = (sys.executable, "-c", script, lab.name, str(lab.access.kubeconfig))
    both = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        for _ in range(2)
    ]
    ends = []
    for process in both:
        _, err = process.communicate(timeout=60)
        ends.append((process.returncode, err))
    codes = sorted(code for code, _ in ends)
    assert codes[0] == 0, ends
    assert codes[1] in (0, RefusedError.exit_code), ends
    from tests.integration.engine.victim import stack

    wanted = stack(lab, "1")
    lab.settled(wanted)
    releases = [m for m in lab.labelled() if "-release-" in m[2]]
    assert len(releases) == codes.count(0)


def test_two_different_applies_at_once_end_as_one_of_them(labs: Callable[[], Lab]) -> None:
    """Two threads apply different values: whoever comes second is told, and nothing is mixed."""
    lab = labs()
    lab.up(lab.render(raw("app", config_map("a", v="0"), config_map("b", v="0"))))
    wanted = {v: lab.render(raw("app", config_map("a", v=v), config_map("b", v=v))) for v in "12"}
    plans = {v: lab.plan(m) for v, m in wanted.items()}
    ends: dict[str, BaseException | None] = {}

    def run(value: str) -> None:
        other = Lab(lab.access, lab.name)
        try:
            other.apply(plans[value], wanted[value])
            ends[value] = None
        except RefusedError as error:
            ends[value] = error

    threads = [threading.Thread(target=run, args=(v,)) for v in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    won = [v for v, error in ends.items() if error is None]
    assert len(won) == 1, ends
    data = {n: lab.must_get(lab.ref("ConfigMap", n))["data"]["v"] for n in "ab"}
    assert data == {"a": won[0], "b": won[0]}
