"""The platform ``kind`` keeps every promise of a platform, with the genuine kind program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kind_nodes import kind_image, kind_settings, on_dockerd

from infometis_platform_kind.platform import KindPlatform
from infometis_sdk.testing.platform_contract import PlatformContract, PlatformFactory

if TYPE_CHECKING:
    from tests.docker_daemon import DockerDaemon

pytestmark = [pytest.mark.contract, pytest.mark.timeout(900)]

__all__ = ("kind_image", "on_dockerd")


class TestKind(PlatformContract):
    """One node in a container of a dockerd of our own."""

    @pytest.fixture
    def platform_factory(self, kind_image: str, on_dockerd: DockerDaemon) -> PlatformFactory:
        """Give clusters without ports of this machine, so that two can be there at once."""
        del on_dockerd
        return lambda context: KindPlatform(kind_settings(kind_image), context)
