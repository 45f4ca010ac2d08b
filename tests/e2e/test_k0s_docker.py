"""The life of a stack on k0s in Docker, volumes included, and nothing of it left afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import infometis_sdk as im
from infometis_platform_embedded import Embedded
from infometis_sdk.model.project import Project
from infometis_sdk.model.run import Run
from infometis_sdk.model.service import Service

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker_daemon import DockerDaemon
    from tests.standin.k0s_docker import SettingsMaker

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PATIENCE = 500.0


def test_a_stack_lives_on_k0s_in_docker(
    k0s_docker: SettingsMaker, dockerd: DockerDaemon, tmp_path: Path
) -> None:
    """Up, status, doctor, a killed node, up again, destroy: and Docker is as it was before.

    The claims of the stack bind by the provisioner that the platform brings as an add-on,
    and its core is the same as on the embedded platform.
    """
    service = Service.stateful("db", image="demo/db:1.0", port=8080, version="1.0", replicas=2)
    project = Project(
        name="demo",
        id="demo-1",
        services={"db": service},
        environments={
            "dev": im.Environment("dev", platform=k0s_docker(), stack_id="shop-1a2b3c4d"),
            "other": im.Environment("other", platform=Embedded(), stack_id="shop-5e6f7a8b"),
        },
    )
    docker = dockerd.client()
    before = _census(docker)
    workspace = im.Workspace(project, state_dir=tmp_path / "state")
    dev = workspace["dev"]
    dev.up(run=Run.within(PATIENCE))
    status = dev.status(run=Run.within(PATIENCE))
    assert status.ready
    claims = dev.cluster().list("v1", "PersistentVolumeClaim", Run.within(PATIENCE))
    assert {each["status"]["phase"] for each in claims} == {"Bound"}
    assert len(claims) == 2
    assert "docker" in str(dev.doctor(probe=False, run=Run.within(PATIENCE)))
    assert dev.render().digest == workspace["other"].render().digest

    docker.containers.get("infometis-shop-1a2b3c4d-0").kill()
    dev.up(run=Run.within(PATIENCE))
    assert dev.status(run=Run.within(PATIENCE)).ready

    dev.destroy(run=Run.within(PATIENCE))
    assert _census(docker) == before
    assert not [path for path in (tmp_path / "state").rglob("kubeconfig*") if path.is_file()]
    docker.close()


def _census(docker: Any) -> dict[str, list[str]]:
    return {
        "containers": sorted(each.name for each in docker.containers.list(all=True)),
        "volumes": sorted(each.name for each in docker.volumes.list()),
        "networks": sorted(each.name for each in docker.networks.list()),
    }
