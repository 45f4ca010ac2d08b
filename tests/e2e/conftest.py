"""Fixtures of the tests of whole programs."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

import infometis_sdk as im
from infometis_sdk.model.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.real_node import RealNode

    from infometis_sdk.model.service import Service
    from infometis_sdk.workspace import Stack


@pytest.fixture(scope="session")
def on_node(
    real_node: RealNode, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Callable[..., Stack]]:
    """Make stacks on the genuine node: each call gives one with a namespace and a state of its own.

    What a call returns is called with the services, as often as they change.
    """
    platform = im.Existing(kubeconfig=str(real_node.kubeconfig), context=real_node.context)

    def place(**values: Any) -> Callable[..., Stack]:
        name = f"real-{secrets.token_hex(4)}"
        state = tmp_path_factory.mktemp("stack") / "state"
        environment = im.Environment(
            "dev", platform=platform, namespace=name, stack_id=name, values=values
        )

        def stack(*services: Service) -> Stack:
            project = Project(
                name="demo",
                id="demo-1",
                services={each.name: each for each in services},
                environments={"dev": environment},
            )
            return im.Workspace(project, state_dir=state)["dev"]

        return stack

    return place
