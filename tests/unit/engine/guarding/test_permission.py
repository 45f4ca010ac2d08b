"""What a guard corrects by itself is for the environment's policy to say."""

from __future__ import annotations

import pytest

from infometis_sdk.engine.guarding.permission import correctable, excepted, healable
from infometis_sdk.engine.inputs.check_environment import environment_faults
from infometis_sdk.model.environment import DriftPolicy, Environment, Policies
from infometis_sdk.model.project import Project
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.report import DriftItem

REF = ObjectRef(api_version="apps/v1", kind="Deployment", namespace="demo", name="app")


def item(
    state: str = "drift", path: str = "spec.template.spec.containers[name=a].image"
) -> DriftItem:
    """Return what differs."""
    return DriftItem(ref=REF, service="web", state=state, path=path)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("web", True),
        ("w*", True),
        ("other", False),
        ("Deployment/app", True),
        ("Deployment/*", True),
        ("*/app", True),
        ("ConfigMap/*", False),
        ("Deployment/app:spec.template.spec.containers[*].image", True),
        ("Deployment/app:spec.template.spec.containers[name=a].image", True),
        ("Deployment/app:spec.replicas", False),
        ("Deployment/app:not a [path", False),
    ],
)
def test_exceptions(entry: str, *, expected: bool) -> None:
    """A service, an object or a field, each with ``*`` for anything."""
    policy = DriftPolicy(action="heal-except", exceptions=(entry,))
    assert excepted(item(), policy) is expected
    assert correctable(item(), policy) is not expected


def test_reports_correct_nothing_but_a_person_may() -> None:
    """``report`` binds the guard, not a heal that somebody asks for."""
    assert not correctable(item(), DriftPolicy())
    assert healable(item(), DriftPolicy())


def test_only_drift_is_healed() -> None:
    """What is pending waits for an apply; foreign additions go only where the policy says so."""
    policy = DriftPolicy(action="heal")
    assert not correctable(item("pending"), policy)
    assert not correctable(item("foreign"), policy)
    assert correctable(item("foreign"), DriftPolicy(action="heal", foreign="remove"))


@pytest.mark.parametrize(
    ("policy", "path"),
    [
        (DriftPolicy(action="mend"), "policies.drift.action"),
        (DriftPolicy(action="heal-except"), "policies.drift.exceptions"),
        (DriftPolicy(action="heal", exceptions=("web",)), "policies.drift.exceptions"),
    ],
)
def test_a_policy_that_contradicts_itself_is_a_fault(policy: DriftPolicy, path: str) -> None:
    """Unknown words, and exceptions to nothing, are found before anything is done."""
    environment = Environment("dev", policies=Policies(drift=policy))
    assert [f.path for f in environment_faults(Project(name="demo"), environment)] == [path]
