"""Stacks whose pods really run, on a genuine node: up, faults, rolling updates, down."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from tests.real_node.workloads import website

import infometis_sdk as im
from infometis_sdk.model.project import Project
from infometis_sdk.model.run import Run
from infometis_sdk.model.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.real_node import RealNode

    from infometis_sdk.workspace import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.timeout(1200)]

PATIENCE = 400.0
HELLO = "tests.invalid/hello"


@pytest.fixture
def stack(real_node: RealNode, tmp_path: Path, namespace_name: str) -> Callable[..., Stack]:
    """Make stacks of one environment on the node, each test's in a namespace of its own."""

    def make(*services: Service, **values: Any) -> Stack:
        platform = im.Existing(kubeconfig=str(real_node.kubeconfig), context=real_node.context)
        dev = im.Environment(
            "dev",
            platform=platform,
            namespace=namespace_name,
            stack_id=namespace_name[-32:].lstrip("-"),
            values=values,
        )
        project = Project(
            name="demo",
            id="demo-1",
            services={each.name: each for each in services},
            environments={"dev": dev},
        )
        return im.Workspace(project, state_dir=tmp_path / "state")["dev"]

    return make


def fetch(url: str) -> bytes:
    """Return what an address answers."""
    with urllib.request.urlopen(url, timeout=30) as page:  # noqa: S310 - http, as tests have it
        return bytes(page.read())


def states(stack: Stack) -> set[str]:
    """Return in what states the objects of a stack are."""
    return {item.state for item in stack.status(run=Run.within(60)).items}


def test_a_service_runs_logs_and_is_reached(
    real_node: RealNode, stack: Callable[..., Stack]
) -> None:
    """With our hardening a web service gets ready, not simulated; its log and port are genuine."""
    real_node.load(website(f"{HELLO}:1", "one"))
    dev = stack(Service.web("hello", image=f"{HELLO}:1", port=8080))
    report = dev.up(run=Run.within(PATIENCE))
    assert {item.state for item in report.health.items} == {"ready"}
    assert not report.health.simulated
    assert states(dev) == {"ready"}
    run = Run.within(120)
    with dev.forward("hello", run=run) as opened:
        assert fetch(opened.url) == b"one"
    # What came through the forward came from the pod's own loopback address.
    assert any("127.0.0.1" in line and "200" in line for line in dev.logs("hello", run=run))
