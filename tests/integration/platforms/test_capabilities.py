"""Capabilities: read from, proved on, and demanded of the genuine API server of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import infometis_sdk as im
from infometis_sdk.errors import CancelledError, RefusedError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import CancelToken, Event, Run

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_sdk.ports.platform import Access

pytestmark = pytest.mark.integration


@pytest.fixture
def stack(embedded_access: Access, tmp_path: Path, namespace_name: str) -> im.Stack:
    """Give a stack on the cluster of the run; nothing of it is applied."""
    return _stack(embedded_access, tmp_path, namespace_name)


def _stack(
    access: Access,
    tmp_path: Path,
    name: str,
    *services: im.Service,
    storage_class: str = "",
    **policies: str,
) -> im.Stack:
    platform = im.Existing(kubeconfig=str(access.kubeconfig), context=access.context)
    values = {each.name: {"storage_class": storage_class} for each in services if storage_class}
    environment = im.Environment(
        "a",
        platform=platform,
        namespace=name,
        values=values,
        policies=im.model.Policies(**policies),  # type: ignore[arg-type]
    )
    project = im.Project(
        name=name,
        id=name,
        services={each.name: each for each in services},
        environments={"a": environment},
    )
    return im.Workspace(project, state_dir=tmp_path / "state", cache_dir=tmp_path / "cache")["a"]


def _states(stack: im.Stack, *, probe: bool = False) -> dict[str, str]:
    return {each.name: each.state for each in stack.capabilities(probe=probe)}


def _probes(stack: im.Stack) -> list[str]:
    """Name the namespaces of probes that nobody is taking away."""
    found = stack.cluster().list("v1", "Namespace", Run.within(300))
    left = [each["metadata"] for each in found if "deletionTimestamp" not in each["metadata"]]
    return [str(each["name"]) for each in left if str(each["name"]).startswith("probe-")]


def test_probes_prove_are_remembered_and_leave_nothing(
    stack: im.Stack, embedded_access: Access, tmp_path: Path
) -> None:
    """A claim that binds is seen once, remembered for this cluster only, and taken away again."""
    before = _states(stack)
    assert before["multi_node"] == "proved"
    assert before["default_storage_class"] == "unknown"
    proved = _states(stack, probe=True)
    assert proved["default_storage_class"] == "proved"
    # What only containers could show is not tried where they are simulated.
    assert proved["pods_run"] == proved["network_policy_enforced"] == "unknown"
    assert _probes(stack) == []
    again = _stack(embedded_access, tmp_path, stack.environment.namespace)
    assert _states(again) == proved
    memory = list((tmp_path / "state" / "capabilities").iterdir())
    assert [path.stat().st_mode & 0o777 for path in memory] == [0o600]
    memory[0].rename(memory[0].with_name("another-cluster.json"))
    assert _states(again) == before


def test_a_cancelled_probe_leaves_nothing(stack: im.Stack) -> None:
    """Who is tired of waiting finds no objects of the probes afterwards."""
    cancel = CancelToken()

    def emit(event: Event) -> None:
        if event.name == "apply object" and event.state == "finished":
            cancel.cancel()

    with pytest.raises(CancelledError):
        stack.capabilities(probe=True, run=Run.within(120, emit=emit, cancel=cancel))
    assert _probes(stack) == []


def test_what_the_cluster_lacks_is_refused_before_the_first_write(
    embedded_access: Access, tmp_path: Path, namespace_name: str
) -> None:
    """A volume of a class that is not there is refused, naming it, and nothing is written."""
    data = im.Service.stateful("data", image="docker.io/library/busybox:1.37", port=80)
    stack = _stack(embedded_access, tmp_path, namespace_name, data, storage_class="fast")
    with pytest.raises(RefusedError, match="the cluster has no StorageClass 'fast'") as caught:
        stack.up()
    assert "standard" in str(caught.value)
    home = ObjectRef(api_version="v1", kind="Namespace", name=namespace_name)
    assert stack.cluster().get(home, Run.within(300)) is None


def test_encryption_that_is_not_proved_is_refused(
    embedded_access: Access, tmp_path: Path, namespace_name: str
) -> None:
    """Where it is required, only what was seen of this cluster counts, or a mesh."""
    strict = _stack(embedded_access, tmp_path, namespace_name, encryption="required")
    with pytest.raises(RefusedError, match="it is not proved that this cluster does so"):
        strict.plan()
    meshed = _stack(
        embedded_access, tmp_path, namespace_name, encryption="required", mesh="linkerd"
    )
    assert meshed.plan().items
