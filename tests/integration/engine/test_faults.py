"""What gets lost or refused on the way.

An API server that dies, storms of 429, broken connections.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest
from tests.integration.engine.lab import Lab, config_map, raw
from tests.integration.engine.victim import stack

from infometis_platform_embedded.layout import Layout
from infometis_platform_embedded.life import parts
from infometis_sdk.engine.objects.marks import ROLE
from infometis_sdk.errors import (
    CancelledError,
    ClusterError,
    DeadlineError,
    InfometisError,
    UnreachableError,
)
from infometis_sdk.model.run import CancelToken, Event, Run
from infometis_sdk.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infometis_sdk.model.stack import ManifestSet

pytestmark = pytest.mark.integration

REAL = "^(?!.*dryRun)"
"""Requests that change something."""


@pytest.fixture
def proxy(lab: Lab) -> Iterator[FaultProxy]:
    """Put a proxy between the stack and the API server."""
    with FaultProxy(lab.access) as made:
        lab.access = made.access
        lab.cluster = Lab(made.access, lab.name).cluster
        yield made


def whole(lab: Lab, wanted: ManifestSet) -> None:
    """Demand that everything is there once."""
    lab.settled(wanted)
    desired = {(m.ref.kind, m.ref.namespace, m.ref.name) for m in wanted.manifests}
    desired |= {("Secret", lab.namespace, b.secret) for b in wanted.credentials}
    assert lab.members() == desired


def again(lab: Lab, wanted: ManifestSet, tries: int = 8) -> int:
    """Run until it gets through, as a person would; return how often it took."""
    for count in range(1, tries + 1):
        with contextlib.suppress(InfometisError):
            lab.up(wanted)
            return count
    msg = f"not through after {tries} runs"
    raise AssertionError(msg)


def test_a_storm_of_429_is_sat_out(lab: Lab, proxy: FaultProxy) -> None:
    """The API server asks us to wait, again and again: plan and apply wait, and get through."""
    proxy.inject(*(Fault(status=429, retry_after="", skip=n * 3, times=2) for n in range(6)))
    wanted = stack(lab, "1")
    lab.up(wanted)
    assert [s.status for s in proxy.requests].count(429) >= 10
    whole(lab, wanted)


def test_errors_of_the_server_are_tried_again(lab: Lab, proxy: FaultProxy) -> None:
    """500, 502, 503 and 504 now and then are no failures."""
    for number, status in enumerate((500, 502, 503, 504)):
        proxy.inject(*(Fault(status=status, skip=n * 25 + number * 5, times=1) for n in range(4)))
    wanted = lab.render(raw("app", *(config_map(f"c{n}") for n in range(40))))
    lab.up(wanted)
    assert len([s for s in proxy.requests if s.status >= 500]) >= 8
    whole(lab, wanted)


@pytest.mark.parametrize("when", ["before", "after"])
def test_broken_connections_lose_nothing(lab: Lab, proxy: FaultProxy, when: str) -> None:
    """Connections break before or after the API server did its work.

    The run gets through or fails cleanly, the next one converges, and nothing is made twice.
    """
    proxy.inject(
        Fault(verb="PATCH", path=REAL, drop=when, skip=1, times=1),
        Fault(verb="PATCH", path=REAL, drop=when, skip=9, times=3),
        Fault(verb="PATCH", path=REAL, drop=when, skip=30, times=2),
        Fault(verb="GET", drop=when, skip=4, times=2),
        Fault(verb="PUT", drop=when, times=1),
    )
    first = stack(lab, "1")
    assert again(lab, first) == 1
    whole(lab, first)
    proxy.reset()
    proxy.inject(
        Fault(verb="PATCH", path=REAL, drop=when, skip=1, times=3),
        Fault(verb="PATCH", path=REAL, drop=when, skip=20, times=3),
        Fault(verb="DELETE", drop=when, times=2),
    )
    second = stack(lab, "2")
    assert again(lab, second) == 1
    whole(lab, second)


def test_a_credential_whose_answer_was_lost_is_not_made_twice(lab: Lab, proxy: FaultProxy) -> None:
    """The Secret was created, only its answer was lost: its value counts, and no second is made."""
    proxy.inject(Fault(verb="POST", path="/secrets", drop="after", times=2))
    wanted = stack(lab, "1")
    assert again(lab, wanted) == 1
    password = lab.must_get(lab.ref("Secret", "db-admin"))["data"]
    lab.up(stack(lab, "2"))
    assert lab.must_get(lab.ref("Secret", "db-admin"))["data"] == password
    whole(lab, stack(lab, "2"))


def test_a_release_whose_answer_was_lost_is_cleared_up(lab: Lab, proxy: FaultProxy) -> None:
    """Whether a Release was begun is not known: the run ends, the next one clears up."""
    proxy.inject(Fault(verb="POST", path="/configmaps", drop="after", times=1))
    wanted = stack(lab, "1")
    assert again(lab, wanted) <= 2
    found = lab.cluster.list(
        "v1", "ConfigMap", lab.run(), namespace=lab.namespace, labels=f"{ROLE}=release"
    )
    assert min(o["data"]["status"] for o in found) == "deployed"
    assert "pending" not in {o["data"]["status"] for o in found}
    whole(lab, wanted)


def test_an_api_server_that_stays_away_ends_the_run_at_once_for_all(
    lab: Lab, proxy: FaultProxy
) -> None:
    """The server answers 503 from the middle on.

    The run ends with one error that says so, not with one wait for each object that is left, and
    the next run goes on.
    """
    wanted = lab.render(raw("app", *(config_map(f"c{n}") for n in range(40))))
    proxy.inject(Fault(verb="PATCH", path="configmaps/c", skip=10, times=-1, status=503))
    begun = time.monotonic()
    with pytest.raises((UnreachableError, DeadlineError)):
        lab.apply(lab.plan(wanted), wanted, run=Run.within(8))
    assert time.monotonic() - begun < 100  # not a minute for each of the thirty that are left
    proxy.reset()
    lab.up(wanted)
    whole(lab, wanted)


def test_an_api_server_killed_in_the_middle_is_outlived(lab: Lab) -> None:
    """The API server is killed while objects are written; its supervisor brings it back.

    The apply gets through or fails cleanly, and a second run converges.
    """
    kubeconfig = lab.access.kubeconfig
    assert kubeconfig is not None
    wanted = stack(lab, "1")
    lab.up(wanted)
    killed = threading.Event()

    def kill(event: Event) -> None:
        if event.name == "apply object" and event.done == 5 and not killed.is_set():
            killed.set()
            os.kill(api_server(kubeconfig), signal.SIGKILL)

    second = stack(lab, "2")
    with contextlib.suppress(InfometisError):
        lab.apply(lab.plan(second), second, run=Run.within(90, emit=kill))
    assert killed.is_set()
    lab.until(lambda: answers(lab), "the API server")
    again(lab, second)
    whole(lab, second)


def api_server(kubeconfig: Path) -> int:
    """Return the process of the API server of this test run."""
    return int(parts(Layout(kubeconfig.parent))["kube-apiserver"]["pid"])


def answers(lab: Lab) -> bool:
    """Whether the API server is ready again, controllers' leases and all."""
    try:
        lab.cluster.read("/readyz", Run.within(5))
    except (ClusterError, DeadlineError):
        return False
    return True


def test_a_cancelled_apply_stops_at_a_safe_point(lab: Lab) -> None:
    """The caller's token ends the run between two objects.

    The Lease is free and the next run whole.
    """
    token = CancelToken()

    def stop(event: Event) -> None:
        if event.name == "apply object" and event.done == 10:
            token.cancel()

    wanted = stack(lab, "1")
    with pytest.raises(CancelledError) as caught:
        lab.apply(lab.plan(wanted), wanted, run=Run.within(60, emit=stop, cancel=token))
    assert "again" in caught.value.hint
    there = [m for m in lab.members() if m[0] == "ConfigMap"]
    assert 5 <= len(there) < 40
    lab.up(wanted)
    whole(lab, wanted)


def test_a_deadline_in_the_middle_leaves_a_stack_that_the_next_run_completes(
    lab: Lab, proxy: FaultProxy
) -> None:
    """When the time is up the run ends in seconds, and nothing is lost."""
    wanted = stack(lab, "1")
    made = lab.plan(wanted)
    proxy.inject(Fault(verb="PATCH", path="configmaps/base-1", delay=3.0, times=-1))
    with pytest.raises((DeadlineError, UnreachableError)):
        lab.apply(made, wanted, run=Run.within(2))
    proxy.reset()
    lab.up(wanted)
    whole(lab, wanted)
