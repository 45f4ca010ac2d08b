"""k0s on hosts keeps every promise of a platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infometis_platform_k0s_host.platform import K0sHostPlatform
from infometis_sdk.testing.platform_contract import PlatformContract, PlatformFactory

if TYPE_CHECKING:
    from tests.k0s_hosts import Site

    from infometis_sdk.ports.platform import Platform, PlatformContext

pytestmark = [pytest.mark.contract, pytest.mark.timeout(900)]


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
