"""k0s on hosts keeps every promise of a platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.k0s_hosts import Site, site

from infometis_platform_k0s_host.platform import K0sHostPlatform
from infometis_sdk.testing.platform_contract import PlatformContract, PlatformFactory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.ports.platform import Platform, PlatformContext

pytestmark = [pytest.mark.contract, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give machines for all tests here."""
    yield from site(tmp_path_factory.mktemp("hosts"))


class TestHosts(PlatformContract):
    """One host a cluster, over a genuine SSH connection."""

    loopback = False

    @pytest.fixture
    def platform_factory(self, hosts: Site) -> PlatformFactory:
        """Give each cluster a machine of its own; the second one has another."""

        def make(context: PlatformContext) -> Platform:
            machine = "beta" if context.cluster == "other" else "alpha"
            settings = hosts.settings(hosts.host(machine, "single"))
            return K0sHostPlatform(settings, context)

        return make
