"""A stack lives on one cluster, whatever its kubeconfig says tomorrow."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.conftest import cache_dir
from tests.integration.engine.lab import config_map, raw

from infometis_platform_embedded import Embedded
from infometis_platform_embedded.platform import EmbeddedPlatform
from infometis_sdk.errors import WrongClusterError
from infometis_sdk.model.environment import Environment
from infometis_sdk.model.project import Project
from infometis_sdk.model.run import Run
from infometis_sdk.ports.platform import PlatformContext
from infometis_sdk.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.engine.lab import Lab

    from infometis_sdk.ports.platform import Access

pytestmark = pytest.mark.integration


@pytest.fixture
def second(tmp_path: Path, embedded_access: Access) -> Iterator[Access]:
    """Give another cluster."""
    del embedded_access  # the binaries are there then
    context = PlatformContext(
        cluster="second", state_dir=tmp_path / "second" / "state", cache_dir=cache_dir()
    )
    platform = EmbeddedPlatform(Embedded(nodes=1, lifetime="ephemeral"), context)
    yield platform.ensure(Run.within(120))
    platform.destroy(Run.within(60))


def test_a_kubeconfig_that_now_leads_elsewhere_is_refused(
    lab: Lab, second: Access, tmp_path: Path
) -> None:
    """The same file, another cluster behind it.

    Plan, up and down refuse and change nothing there; with the old cluster behind it again
    everything goes on.
    """
    kubeconfig = tmp_path / "kubeconfig"
    first = lab.access.kubeconfig
    assert first is not None
    assert second.kubeconfig is not None
    shutil.copy(first, kubeconfig)
    environment = Environment(
        "dev",
        platform={"type": "existing", "kubeconfig": str(kubeconfig)},
        namespace=lab.namespace,
        stack_id=lab.name,
    )
    project = Project(
        name=lab.name,
        id=lab.name,
        services={"app": raw("app", config_map("a"))},
        environments={"dev": environment},
    )
    state = tmp_path / "state"
    Workspace(project, state_dir=state)["dev"].up()
    pin = json.loads((state / "stacks" / f"{lab.name}.json").read_text(encoding="utf-8"))
    assert pin["cluster_uid"]

    shutil.copy(second.kubeconfig, kubeconfig)
    elsewhere = Workspace(project, state_dir=state)["dev"]
    for verb in (elsewhere.plan, elsewhere.up, elsewhere.down):
        with pytest.raises(WrongClusterError) as caught:
            verb()
        assert pin["cluster_uid"] in caught.value.message
    other = lab.on(second)
    assert other.get(other.ref("Namespace", lab.namespace, scoped=False)) is None

    elsewhere.abandon()
    assert not elsewhere.plan().empty

    shutil.copy(first, kubeconfig)
    assert Workspace(project, state_dir=state)["dev"].plan().empty
