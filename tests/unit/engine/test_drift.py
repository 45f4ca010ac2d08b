"""Drift, as far as it asks no cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from tests.unit.engine.bundles import config_map, rendered

from infometis_sdk.engine.drift import differences
from infometis_sdk.engine.reading.live import Live
from infometis_sdk.errors import CancelledError
from infometis_sdk.model import Service
from infometis_sdk.model.run import CancelToken, Run

if TYPE_CHECKING:
    from infometis_sdk.ports.cluster import Cluster


def test_a_cancel_ends_the_comparison() -> None:
    """Whoever cancels after the objects were listed gets no report; nothing more was asked."""
    manifests = rendered(Service(name="raw", manifests=[config_map("a"), config_map("b")]))
    cluster = cast("Cluster", None)  # nothing is asked
    live, token = Live(objects={}), CancelToken()
    run = Run.within(60, cancel=token)
    found = differences(cluster, manifests, live, run, scaled=(), deployed={})
    assert [(item.state, item.live) for item in found] == [("pending", "missing")] * 3
    token.cancel()
    with pytest.raises(CancelledError):
        differences(cluster, manifests, live, run, scaled=(), deployed={})
