"""What ``up`` says of pods that cannot run, as a genuine node tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.real_node import BUSYBOX

from infometis_sdk.errors import NotReadyError
from infometis_sdk.model.run import Run
from infometis_sdk.model.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infometis_sdk.model.report import HealthItem
    from infometis_sdk.workspace import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.timeout(900)]

# An image that cannot be had and a crash are told after a minute; a probe may yet succeed.
PATIENCE = 140.0
CRASH = "echo opening; echo cannot open the ledger; exit 3"


@pytest.fixture(scope="module")
def told(on_node: Callable[..., Callable[..., Stack]]) -> Mapping[str, HealthItem]:
    """Bring up three services that cannot run; return what is said of each."""
    serve = ["httpd", "-f", "-p", "8080", "-h", "/bin"]
    dev = on_node()(
        Service.web("absent", image="tests.invalid/absent:1", port=8080),
        Service.web("crashing", image=BUSYBOX, port=8080, command=["sh", "-c", CRASH]),
        Service.web("unready", image=BUSYBOX, port=8080, command=serve, probe="/absent"),
    )
    with pytest.raises(NotReadyError) as caught:
        dev.up(run=Run.within(PATIENCE))
    dev.down(run=Run.within(PATIENCE))
    items = caught.value.report.items
    return {item.service: item for item in items if item.ref.kind == "Deployment"}


def test_an_image_that_does_not_exist(told: Mapping[str, HealthItem]) -> None:
    """The image is named, with what the node said of it and what to do."""
    item = told["absent"]
    assert item.state == "failed"
    assert "image tests.invalid/absent:1 cannot be pulled" in item.reason
    assert any("ErrImagePull" in line or "ImagePullBackOff" in line for line in item.events)
    assert "registry" in item.hint


def test_a_container_that_crashes(told: Mapping[str, HealthItem]) -> None:
    """The exit code is told, and the last lines of the container's log are at hand."""
    item = told["crashing"]
    assert item.state == "failed"
    assert "container main crashes" in item.reason
    assert "exit code 3" in item.reason
    assert item.logs == "opening\ncannot open the ledger"


def test_a_probe_that_fails(told: Mapping[str, HealthItem]) -> None:
    """What the probe got is in the reason."""
    item = told["unready"]
    assert item.state == "progressing"
    assert "container main is not ready: Startup probe failed" in item.reason
    assert "404" in item.reason
