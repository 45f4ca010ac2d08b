"""Genuine kind on the run's own dockerd, with the node image that this machine can have."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import cache_dir
from tests.standin.kind_build import node_image

from infometis_platform_kind import Kind

if TYPE_CHECKING:
    from tests.docker_daemon import DockerDaemon

__all__ = ("kind_image", "kind_settings", "on_dockerd")


@pytest.fixture(scope="session")
def kind_image(dockerd: DockerDaemon, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the name of the node image, which the daemon has."""
    client = dockerd.client()
    try:
        return node_image(client, tmp_path_factory.mktemp("kind-image"), cache_dir())
    finally:
        client.close()


@pytest.fixture
def on_dockerd(dockerd: DockerDaemon, monkeypatch: pytest.MonkeyPatch) -> DockerDaemon:
    """Let every program that the test starts find the run's own daemon, and no other."""
    for key, value in dockerd.environ().items():
        monkeypatch.setenv(key, value)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    return dockerd


def kind_settings(image: str, **settings: Any) -> Kind:
    """Return settings for the tests' image; cgroup v1 matters to the genuine one alone."""
    ignore = () if os.environ.get("INFOMETIS_KIND_IMAGE") else ("cgroup",)
    defaults: dict[str, Any] = {"image": image, "ports": (), "ignore_preflight": ignore}
    return Kind(**defaults | settings)
