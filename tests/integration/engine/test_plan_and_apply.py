from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.integration.engine.lab import actions, config_map, raw

from infometis_sdk.model.service import Service

if TYPE_CHECKING:
    from tests.integration.engine.lab import Lab

pytestmark = pytest.mark.integration


def test_a_second_plan_is_empty(lab: Lab) -> None:
    """After an apply nothing is left to do, and nothing drifted."""
    wanted = lab.render(
        Service.web("hello", image="example/hello:1.0", port=8080),
        Service.stateful("db", image="example/db:1.0", port=5432),
        raw("plain", config_map("settings", a="1")),
    )
    first = lab.plan(wanted)
    assert set(actions(first).values()) == {"create"}
    report = lab.apply(first, wanted)
    assert report.release == 1
    lab.settled(wanted)
