"""Fixtures of the engine's tests on the genuine API server."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

import pytest

from infometis_sdk.errors import ClusterError
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write
from tests.integration.engine.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infometis_sdk.ports.platform import Access


@pytest.fixture
def labs(embedded_access: Access) -> Iterator[Callable[[], Lab]]:
    """Make stacks, each with a name that nobody else has; their namespaces go at the end."""
    made: list[Lab] = []

    def make() -> Lab:
        lab = Lab(embedded_access, f"t{secrets.token_hex(4)}")
        made.append(lab)
        return lab

    yield make
    for lab in made:
        ref = ObjectRef(api_version="v1", kind="Namespace", name=lab.namespace)
        with contextlib.suppress(ClusterError):
            lab.cluster.write(Write(verb="delete", ref=ref), Run.within(30))


@pytest.fixture
def lab(labs: Callable[[], Lab]) -> Lab:
    """Give one stack."""
    return labs()
