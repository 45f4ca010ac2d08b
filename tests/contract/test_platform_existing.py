"""The platform ``existing`` keeps every promise of a platform, however it logs in."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
from tests.identities import kubeconfig, plugin, service_account

from infometis_sdk._adapters.existing import Existing, ExistingPlatform
from infometis_sdk.testing.platform_contract import PlatformContract, PlatformFactory

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_sdk.ports.platform import Access

pytestmark = pytest.mark.contract


def _factory(access: Access) -> PlatformFactory:
    settings = Existing(kubeconfig=str(access.kubeconfig), context=access.context)
    return lambda context: ExistingPlatform(settings, context)


@pytest.fixture(scope="module")
def token(embedded_access: Access) -> str:
    """Give a token of a service account."""
    return service_account(embedded_access, f"existing-{secrets.token_hex(4)}")


class TestClientCertificate(PlatformContract):
    """A kubeconfig with a client certificate."""

    owner = False

    @pytest.fixture
    def platform_factory(self, embedded_access: Access) -> PlatformFactory:
        """Reach the cluster of this run as its administrator."""
        return _factory(embedded_access)


class TestToken(PlatformContract):
    """A kubeconfig with the token of a service account."""

    owner = False

    @pytest.fixture
    def platform_factory(
        self, embedded_access: Access, token: str, tmp_path: Path
    ) -> PlatformFactory:
        """Reach the cluster of this run as a service account."""
        return _factory(kubeconfig(tmp_path / "token.yaml", embedded_access, {"token": token}))


class TestCredentialPlugin(PlatformContract):
    """A kubeconfig with a credential plugin."""

    owner = False

    @pytest.fixture
    def platform_factory(
        self, embedded_access: Access, token: str, tmp_path_factory: pytest.TempPathFactory
    ) -> PlatformFactory:
        """Reach the cluster of this run as a service account."""
        # The plugin counts its calls beside itself, which is none of the platform's doing.
        folder = tmp_path_factory.mktemp("plugin")
        user = plugin(folder / "plugin", token, seconds=600)
        return _factory(kubeconfig(folder / "plugin.yaml", embedded_access, user))
