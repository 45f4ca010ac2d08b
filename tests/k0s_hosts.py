"""Machines and a k0s for the tests of ``k0s-host``: the genuine binary where there is one.

``INFOMETIS_K0S_BINARY`` names a genuine k0s; then ``INFOMETIS_K0S_AIRGAP`` should name its archive
of images, since the machines have no way to the internet.
Without it the stand-in of ``tests/standin`` is built, whose parts are genuine Kubernetes.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.conftest import cache_dir
from tests.machines import Machines, missing_parts
from tests.standin.k0s_build import build_program

from infometis_platform_embedded import Embedded
from infometis_platform_embedded.binaries import find
from infometis_platform_k0s_host import Host, K0sHost
from infometis_platform_k0s_host.platform import K0sHostPlatform
from infometis_sdk.errors import MissingPartError
from infometis_sdk.model.run import Run
from infometis_sdk.ports.platform import PlatformContext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.machines import Machine

__all__ = ("Site", "needs_machines", "site")

_STAGES = Path(__file__).parents[1] / (
    "plugins/platform_embedded/src/infometis_platform_embedded/data/stages.yaml"
)
_BUILD = 30 * 60  # seconds: the first run on a machine may have to build the control plane


class Site:
    """Machines with the k0s that they are to get.

    Attributes:
        farm: makes machines.
        folder: for state and binaries.

    """

    def __init__(self, farm: Machines, folder: Path, parts: Path | None) -> None:
        self.farm = farm
        self.folder = folder
        self._parts = parts
        self._machines: dict[str, Machine] = {}

    @property
    def genuine(self) -> bool:
        """Whether it is a genuine k0s."""
        return self._parts is None

    def machine(self, name: str) -> Machine:
        """Return the machine of that name, made when it is first asked for."""
        if name not in self._machines:
            self._machines[name] = self.farm.add(name)
        return self._machines[name]

    def clear(self) -> None:
        """Take all machines away, and forget the clusters that were made of them."""
        while self._machines:
            _, machine = self._machines.popitem()
            self.farm.remove(machine)
        shutil.rmtree(self.folder / "state", ignore_errors=True)

    def binary(self, version: str = "v1.36.3+k0s.0") -> Path:
        """Return the k0s; of a certain version only where it is the stand-in."""
        if self._parts is None:
            return Path(os.environ["INFOMETIS_K0S_BINARY"])
        folder = self.folder / "k0s" / version
        if not (folder / "k0s").exists():
            build_program(folder, version=version, parts=self._parts, stages=_STAGES)
        return folder / "k0s"

    def host(self, name: str, role: str, **more: object) -> Host:
        """Return a host for the settings."""
        return Host(address=self.machine(name).address, role=role, **more)  # type: ignore[arg-type]

    def settings(self, *hosts: Host, **more: object) -> K0sHost:
        """Return settings that make a cluster of these hosts."""
        defaults: dict[str, object] = {
            "binary": str(self.binary()),
            "ssh_config": str(self.farm.config),
            "cgroup_v1": not Path("/sys/fs/cgroup/cgroup.controllers").exists(),
            "images": os.environ.get("INFOMETIS_K0S_AIRGAP", ""),
        }
        return K0sHost(hosts=hosts, **(defaults | more))  # type: ignore[arg-type]

    def platform(self, name: str, settings: K0sHost) -> K0sHostPlatform:
        """Return the platform of a cluster; the same name gives the same cluster."""
        context = PlatformContext(
            cluster=name, state_dir=self.folder / "state" / name, cache_dir=self.folder / "cache"
        )
        return K0sHostPlatform(settings, context)


def needs_machines() -> None:
    """Skip where no machine can be made; in CI that is an error."""
    why = missing_parts()
    if why and os.environ.get("CI"):
        pytest.fail(f"no machines for k0s-host: {why}")
    if why:
        pytest.skip(f"no machines for k0s-host: {why}")


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Give a site that is gone afterwards; what this machine lacks is an error in CI only."""
    needs_machines()
    parts = None
    if not os.environ.get("INFOMETIS_K0S_BINARY"):
        try:
            found = find(Embedded(), cache_dir(), Run.within(_BUILD))
        except MissingPartError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no Kubernetes parts for the stand-in: {error}")
        parts = Path(found["kube-apiserver"]).parent
    # The machines see what this one has on its own disk; what is mounted elsewhere, by name.
    seen = [Path(sys.prefix), Path(sys.base_prefix), _STAGES.parents[5]]
    seen += [] if parts is None else [parts.resolve()]
    disk = Path("/").stat().st_dev
    binds = [path for path in seen if path.stat().st_dev != disk]
    with Machines(folder / "machines", binds) as farm:
        yield Site(farm, folder, parts)
