"""Fixtures of the guard's tests on the genuine API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest
from tests.integration.engine.conftest import anchor, lab, labs
from tests.integration.guard.watchman import HEAL, Watchman

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.engine.lab import Lab

    from infometis_sdk.model.environment import DriftPolicy
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("Guarding", "anchor", "guarding", "lab", "labs")


class Guarding(Protocol):
    """Posts a guard."""

    def __call__(
        self,
        lab: Lab,
        wanted: ManifestSet,
        *,
        policy: DriftPolicy = HEAL,
        cluster: Cluster | None = None,
        term: float = 60.0,
    ) -> Watchman:
        """Return the guard, which runs until the test ends."""
        ...


@pytest.fixture
def guarding() -> Iterator[Guarding]:
    """Post guards; each ends with the test."""
    posted: list[Watchman] = []

    def post(
        lab: Lab,
        wanted: ManifestSet,
        *,
        policy: DriftPolicy = HEAL,
        cluster: Cluster | None = None,
        term: float = 60.0,
    ) -> Watchman:
        watchman = Watchman(lab, wanted, policy=policy, cluster=cluster, term=term)
        posted.append(watchman)
        watchman.start()
        return watchman

    yield post
    for watchman in posted:
        watchman.stop()
