"""Fixtures of the guard's tests on the genuine API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.integration.engine.conftest import anchor, lab, labs
from tests.integration.guard.watchman import Watchman

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.engine.lab import Lab

    from infometis_sdk.model.stack import ManifestSet

__all__ = ("anchor", "guarding", "lab", "labs")


@pytest.fixture
def guarding() -> Iterator[Callable[[Lab, ManifestSet], Watchman]]:
    """Post guards; each ends with the test."""
    posted: list[Watchman] = []

    def post(lab: Lab, wanted: ManifestSet, **options: object) -> Watchman:
        watchman = Watchman(lab, wanted, **options)
        posted.append(watchman)
        watchman.start()
        return watchman

    yield post
    for watchman in posted:
        watchman.stop()
