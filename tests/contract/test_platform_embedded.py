"""The embedded platform keeps every promise of a platform."""

from __future__ import annotations

import pytest

from infometis_platform_embedded import Embedded
from infometis_platform_embedded.platform import EmbeddedPlatform
from infometis_sdk.testing.platform_contract import PlatformContract, PlatformFactory

pytestmark = pytest.mark.contract


class TestDetached(PlatformContract):
    """The life that survives its maker."""

    @pytest.fixture
    def platform_factory(self) -> PlatformFactory:
        """Give clusters of two nodes."""
        return lambda context: EmbeddedPlatform(Embedded(nodes=2), context)


class TestEphemeral(PlatformContract):
    """The life that ends with its maker."""

    @pytest.fixture
    def platform_factory(self) -> PlatformFactory:
        """Give clusters that end with this process."""
        return lambda context: EmbeddedPlatform(Embedded(lifetime="ephemeral"), context)
