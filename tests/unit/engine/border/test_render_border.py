"""What an adapter renders, taken in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.engine.bundles import config_map

from infometis_sdk.engine.border.scene import Publisher
from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.render import render
from infometis_sdk.errors import ProjectError
from infometis_sdk.model import Border, BorderTls, Environment, Project
from infometis_sdk.ports.border import BorderAdapter, BorderManifests

if TYPE_CHECKING:
    from infometis_sdk.ports.border import Scene

NUMBERED: dict[str, Any] = {**config_map("ports"), "data": {8080: "web"}}


class Numbers(BorderAdapter):
    """Makes an object that JSON cannot carry."""

    @property
    def features(self) -> frozenset[str]:
        """Say that it can do nothing in particular."""
        return frozenset()

    def render(self, scene: Scene) -> BorderManifests:
        """Use numbers as keys."""
        del scene
        return BorderManifests(objects=[config_map("a"), NUMBERED])


def test_keys_that_are_not_text_are_a_fault_of_the_adapter() -> None:
    """An adapter's mistake names the adapter, the kind and the key, and is no traceback."""
    environment = Environment(
        "dev",
        border=Border(type="numbers", anonymous=True, tls=BorderTls(source="none", required=False)),
    )
    project = Project(name="demo", environments={"dev": environment})
    publisher = Publisher(name="numbers", adapter=Numbers())
    stack = compose(project, environment, publisher=publisher)
    with pytest.raises(ProjectError) as caught:
        render(stack)
    (fault,) = caught.value.faults
    assert fault.message == (
        "the adapter numbers made a ConfigMap that JSON cannot carry: the key 8080 is not text"
    )
