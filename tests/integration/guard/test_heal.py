"""A guard on the genuine API server: what drifts is brought back, and nothing else is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.integration.engine.lab import config_map, deployment, raw, secret

from infometis_sdk.model.environment import DriftPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.engine.lab import Lab
    from tests.integration.guard.watchman import Watchman

pytestmark = pytest.mark.integration


def test_what_drifts_is_brought_back(lab: Lab, guarding: Callable[..., Watchman]) -> None:
    """A changed field and a deleted object are healed, by whom and when they drifted is said."""
    wanted = lab.render(
        raw("app", config_map("app", level="info"), secret("token", a="1"), deployment("app"))
    )
    lab.up(wanted)
    guard = guarding(lab, wanted)
    guard.hears("synced")
    ref = lab.ref("ConfigMap", "app")
    lab.kubectl("patch", "configmap", "app", "--patch", '{"data": {"level": "debug"}}')
    note = guard.hears("drift", "ConfigMap/app")
    assert (note.path, note.manager, note.service) == ("data.level", "kubectl-patch", "app")
    assert note.time
    guard.hears("healed", "ConfigMap/app")
    assert lab.must_get(ref)["data"] == {"level": "info"}
    lab.kubectl("delete", "configmap", "app")
    guard.hears("healed", "ConfigMap/app", times=2)
    assert lab.must_get(ref)["data"] == {"level": "info"}
    lab.kubectl("delete", "secret", "token")
    guard.hears("healed", "Secret/token")
    lab.settled(wanted)
    assert [r.number for r in []] == []
