"""A renamed service is one decision of the plan, not a prune and a create that know nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest
from tests.integration.engine.lab import config_map, deployment, raw

from infometis_sdk.model.service import Service

if TYPE_CHECKING:
    from tests.integration.engine.lab import Lab

pytestmark = pytest.mark.integration


def renamed(service: Service, old: str) -> Service:
    """Return a service that says what it was called."""
    return attrs.evolve(service, renamed_from=(old,))


def test_a_stateless_service_goes_on_under_its_new_name(lab: Lab) -> None:
    """The plan says of each deletion what becomes of the service; the new objects come first."""
    lab.up(lab.render(raw("old", deployment("old"), config_map("shared"))))
    new = renamed(raw("new", deployment("new"), config_map("shared")), "old")
    wanted = lab.render(new)
    made = lab.plan(wanted)
    assert not made.blocked
    told = {(item.action, str(item.ref)): item.state for item in made.items}
    assert told["delete", "Deployment/old"] == "renamed to new"
    assert ("create", "Deployment/new") in told
    assert ("delete", "ConfigMap/shared") not in told
    report = lab.apply(made, wanted)
    order = [str(outcome.ref) for outcome in report.outcomes]
    assert order.index("Deployment/new") < order.index("Deployment/old")
    lab.settled(wanted)


def test_a_service_with_volumes_keeps_its_name(lab: Lab) -> None:
    """Volumes carry the old name, so the plan refuses and says why, and nothing is written."""
    image = "example/store:1.0"
    lab.up(lab.render(Service.stateful("old", image=image, port=8080)))
    before = lab.members()
    new = renamed(Service.stateful("new", image=image, port=8080), "old")
    made = lab.plan(lab.render(new))
    assert any("was renamed from old" in reason for reason in made.blocked), made.blocked
    assert lab.members() == before
