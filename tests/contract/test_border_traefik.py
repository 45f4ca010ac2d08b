"""The border of Traefik keeps every promise, with a Traefik for each stack."""

from __future__ import annotations

import pytest

from infometis_border_traefik import Traefik
from infometis_border_traefik.plugin import infometis_borders
from infometis_sdk.testing.border_contract import BorderContract

pytestmark = pytest.mark.contract


class TestTraefik(BorderContract):
    """Everything that the adapter declares, which is every feature there is."""

    spec = next(iter(infometis_borders()))
    settings = Traefik()
