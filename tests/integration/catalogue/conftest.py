"""A genuine Kafka for the tests of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests import kafka_home as genuine

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def kafka_home() -> Path:
    """Return a folder with ``libs`` and ``bin``, filled once for a machine."""
    return genuine.kafka_home()
