"""Fixtures: stacks with a border of Traefik, on the genuine API server."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING

import pytest
from tests.border_bench import Bench, missing_parts
from tests.integration.border_traefik.world import World, make_world
from tests.integration.engine.conftest import anchor, lab, labs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infometis_sdk.ports.platform import Access

__all__ = ("anchor", "lab", "labs", "world")


@pytest.fixture(scope="session")
def world(embedded_access: Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give the one border of this test run."""
    if reason := missing_parts():
        if os.environ.get("CI"):
            pytest.fail(f"no border: {reason}")
        pytest.skip(f"no border: {reason}")
    folder = tmp_path_factory.mktemp("border")
    with contextlib.ExitStack() as stack:
        bench = stack.enter_context(
            Bench(folder, embedded_access, f"border-{secrets.token_hex(3)}")
        )
        yield make_world(bench, folder, stack)
