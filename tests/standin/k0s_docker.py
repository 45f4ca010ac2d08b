"""Settings of ``k0s-docker`` for tests: the genuine image where one is named, else the stand-in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.standin.k0s_build import REPOSITORY, VERSION, build_image, load_base

from infometis_platform_embedded import Embedded
from infometis_platform_embedded.binaries import find
from infometis_platform_k0s_docker import K0sDocker
from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from tests.docker_daemon import DockerDaemon

__all__ = ("GENUINE", "SettingsMaker", "settings_maker")

GENUINE = "INFOMETIS_K0S_IMAGE"
SettingsMaker = Callable[..., K0sDocker]
_BUILDING = 30 * 60


def settings_maker(dockerd: DockerDaemon, cache_dir: Path, folder: Path) -> SettingsMaker:
    """Return what makes settings for clusters in this daemon, whose image is there.

    A genuine image is named as ``docker.io/k0sproject/k0s:v1.36.3-k0s.2``, with or without digest;
    it is pulled by the platform itself.
    """
    given, digest = os.environ.get(GENUINE, ""), ""
    if given:
        given, _, digest = given.partition("@")
        repository, _, tag = given.rpartition(":")
        version = tag.replace("-k0s", "+k0s")
    else:
        repository, version = REPOSITORY, VERSION
        find(Embedded(), cache_dir, Run.within(_BUILDING))
        client = dockerd.client()
        try:
            load_base(client, cache_dir)
            build_image(client, folder)
        finally:
            client.close()
    legacy = not Path("/sys/fs/cgroup/cgroup.controllers").exists()
    # What a machine of tests lacks is told, and is not what most tests are about.
    ignored = ("disk", *(("cgroup",) if legacy else ()))

    def make(**changes: Any) -> K0sDocker:
        base: dict[str, Any] = {
            "version": version,
            "image": repository,
            "digest": digest,
            "host": dockerd.url,
            "ports": (),
            "ignore_preflight": ignored,
        }
        return K0sDocker(**{**base, **changes})

    return make
