"""Machines for the tests here, made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.k0s_hosts import Site, site

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give machines with a genuine sshd; each test takes names of its own."""
    yield from site(tmp_path_factory.mktemp("hosts"))
