"""What two Releases do not share, told with who set it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.unit.engine.bundles import KAFKA

from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.core.bundle import build_bundle
from infometis_sdk.engine.core.recorded import definition_of
from infometis_sdk.engine.proving.release_diff import diff_releases
from infometis_sdk.engine.render import render
from infometis_sdk.engine.writing.release import records_of
from infometis_sdk.model.environment import Environment, Policies
from infometis_sdk.model.fault import Origin
from infometis_sdk.model.project import Project
from infometis_sdk.model.release import Release
from infometis_sdk.model.service import Service

if TYPE_CHECKING:
    from infometis_sdk.model.stack import ComposedStack

NONE = Policies()
PLACE = Origin(layer="environment", file="environments/dev.yaml", line=7)


def deployed(
    number: int,
    *services: Service,
    policies: Policies = NONE,
    mac: str = "hmac:1",
    **kafka: Any,
) -> tuple[Release, ComposedStack]:
    """Return a Release of these services, and the stack that it deployed."""
    core = {key: kafka.pop(key) for key in ("topic",) if key in kafka}
    environment = Environment(
        "dev",
        values={"kafka": kafka} if kafka else {},
        policies=policies,
        sources={"environment.kafka.replicas": PLACE},
    )
    project = Project(
        name="demo",
        services={s.name: s for s in (KAFKA, *services)},
        values={"kafka": core} if core else {},
    )
    stack = compose(project, environment)
    release = Release(
        number=number,
        status="deployed",
        stack_id="demo-dev",
        bundle=build_bundle(project).id,
        services=records_of(render(stack)),
        definition=definition_of(environment, "embedded"),
        credentials={"kafka-admin": {"from": "generated", "hmac": mac}},
    )
    return release, stack


def test_a_release_does_not_differ_from_itself() -> None:
    """Nothing is told where nothing differs."""
    one, stack = deployed(1)
    found = diff_releases(one, one, (stack, stack))
    assert found.same_bundle
    assert found.changes == ()
    assert "0 differences" in found.headline()


def test_everything_that_differs_is_told_once() -> None:
    """Core inputs, values with file and line, the environment, credentials, services."""
    one, left = deployed(1, Service(name="gone", version="1"), topic="a", replicas=1)
    two, right = deployed(
        2,
        Service(name="new", version="2"),
        topic="b",
        replicas=2,
        policies=Policies(pod_security="baseline"),
        mac="hmac:2",
    )
    found = diff_releases(one, two, (left, right))
    told = {(c.kind, c.service, c.path): (c.a, c.b) for c in found.changes}
    assert told == {
        ("service", "gone", "version"): ("1", ""),
        ("service", "new", "version"): ("", "2"),
        ("core", "kafka", "values.topic"): ("a", "b"),
        ("value", "kafka", "replicas"): ("1", "2"),
        ("environment", "", "policies.pod_security"): ("", "baseline"),
        ("credential", "", "kafka-admin.hmac"): ("hmac:1", "hmac:2"),
    }
    assert len(found.changes) == len(told)
    [value] = [c for c in found.changes if c.kind == "value"]
    assert value.where_b == "environment, environments/dev.yaml:7"
    assert not found.same_bundle


def test_without_bundles_the_digests_have_to_do() -> None:
    """A Release whose Bundle is gone still tells its digests and values."""
    one, _ = deployed(1, topic="a")
    two, _ = deployed(2, topic="b")
    found = diff_releases(one, two, notes=("no bundle",))
    assert {(c.kind, c.path) for c in found.changes} == {("core", "digest"), ("value", "topic")}
    assert "no bundle" in str(found)
