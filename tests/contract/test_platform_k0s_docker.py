"""The platform of k0s in Docker keeps every promise of a platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infometis_platform_k0s_docker.platform import K0sDockerPlatform
from infometis_sdk.testing.platform_contract import PlatformContract

if TYPE_CHECKING:
    from tests.standin.k0s_docker import SettingsMaker

    from infometis_sdk.testing.platform_contract import PlatformFactory

pytestmark = [pytest.mark.contract, pytest.mark.timeout(900)]


class TestK0sDocker(PlatformContract):
    """One node, for ever."""

    @pytest.fixture
    def platform_factory(self, k0s_docker: SettingsMaker) -> PlatformFactory:
        """Give clusters of one node."""
        return lambda context: K0sDockerPlatform(k0s_docker(), context)
