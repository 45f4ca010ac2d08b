from __future__ import annotations

from typing import Any

import pytest

from infometis_sdk.engine.planning.guards import guard
from infometis_sdk.model.parameter import Parameter
from infometis_sdk.model.release import ServiceRecord
from infometis_sdk.model.service import Service, Upgrade
from infometis_sdk.model.stack import ComposedService


def told(
    parameter: Parameter | None,
    old: Any,
    new: Any,
    *,
    versions: tuple[str, str] = ("1", "1"),
    upgrade: Upgrade | None = None,
) -> list[str]:
    """Return what is against the change of one value or version."""
    parameters = {"p": parameter} if parameter else {}
    service = Service(
        name="s", version=versions[1], parameters=parameters, upgrade=upgrade or Upgrade()
    )
    record = ServiceRecord(version=versions[0], values={"p": old})
    return list(guard({"s": record}, {"s": ComposedService(service=service, values={"p": new})}))


QUANTITY = Parameter(type="quantity", shrink="never", why="volumes only grow")


@pytest.mark.parametrize(
    ("parameter", "old", "new", "word"),
    [
        (
            Parameter(type="string", mutability="create-only", why="read once"),
            "a",
            "b",
            "read once",
        ),
        (
            Parameter(type="string", mutability="create-only", optional=True),
            None,
            "b",
            "once the service",
        ),
        (QUANTITY, "2Gi", "1Gi", "volumes only grow"),
        (QUANTITY, "1Gi", "1000Mi", "cannot shrink"),
        (Parameter(type="integer", shrink="drain"), 3, 1, "without a drain"),
        (Parameter(type="number", shrink="never"), 1.5, 1.0, "cannot shrink"),
    ],
)
def test_changes_that_a_running_service_cannot_survive(
    parameter: Parameter, old: Any, new: Any, word: str
) -> None:
    """Each is one sentence with the service, the parameter, both values and the reason."""
    (text,) = told(parameter, old, new)
    assert text.startswith("s.p: ")
    assert word in text


@pytest.mark.parametrize(
    ("parameter", "old", "new"),
    [
        (QUANTITY, "1Gi", "2Gi"),
        (QUANTITY, "1Gi", "1024Mi"),
        (QUANTITY, None, "1Gi"),
        (Parameter(type="integer", shrink="drain"), 1, 3),
        (Parameter(type="integer", shrink="allow"), 3, 1),
        (Parameter(type="string", mutability="create-only"), "a", "a"),
        (Parameter(type="string", mutability="live"), "a", "b"),
    ],
)
def test_changes_that_are_fine(parameter: Parameter, old: Any, new: Any) -> None:
    """Growth, equal values in other words, and what may change."""
    assert told(parameter, old, new) == []


@pytest.mark.parametrize(
    ("versions", "upgrade", "word"),
    [
        (
            ("2.0", "1.9"),
            Upgrade(why="formats differ"),
            "must not go back from version 2.0 to 1.9: formats differ",
        ),
        (("2.0", "1.9"), Upgrade(downgrade="allow"), ""),
        (("10.0", "9.0"), Upgrade(), "must not go back"),
        (("1.9", "2.0"), Upgrade(), ""),
        (("1.9", "3.0"), Upgrade(accepts=">=2,<4"), "does not accept an upgrade from 1.9"),
        (("2.1", "3.0"), Upgrade(accepts=">=2,<4"), ""),
        (("2.1-odd_one", "3.0"), Upgrade(), ""),
    ],
)
def test_versions(versions: tuple[str, str], upgrade: Upgrade, word: str) -> None:
    """A data store does not go back, and accepts upgrades only from where it can read."""
    found = told(None, None, None, versions=versions, upgrade=upgrade)
    assert bool(found) is bool(word)
    assert word in " ".join(found)


def test_what_was_never_deployed_is_free() -> None:
    """A new service, and a new parameter of an old one, are held against nothing."""
    service = Service(name="s", parameters={"q": QUANTITY})
    composed = {"s": ComposedService(service=service, values={"q": "1Gi"})}
    assert list(guard({}, composed)) == []
    assert list(guard({"s": ServiceRecord(version="0", values={})}, composed)) == []
