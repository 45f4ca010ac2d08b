"""Jobs of a promotion reach isolated pods while they run, and close nothing that was open."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from tests.unit.catalogue.stacks import services

from infometis_sdk.engine.boundary.evaluate import Party, decide
from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.guarding.deployment import guard_objects
from infometis_sdk.engine.render import render
from infometis_sdk.model import Environment, IsolationPolicy, ManifestSet, Policies, Project
from infometis_sdk.workspace.jobs import job_policies

JOB: dict[str, Any] = {"metadata": {"name": "smoke-1", "namespace": "demo-env", "labels": {}}}
SPACE = {"kubernetes.io/metadata.name": "demo-env"}


def _pod(**labels: str) -> Party:
    return Party(name="pod", namespace="demo-env", namespace_labels=SPACE, labels=labels)


JOB_POD = _pod(**{"batch.kubernetes.io/job-name": "smoke-1"})
KAFKA = _pod(**{"app.kubernetes.io/name": "kafka"})
STRANGER = _pod(app="stranger")


def _rendered(mode: str, network: str = "isolate") -> ManifestSet:
    policies = Policies(network=IsolationPolicy(mode=network))
    environment = Environment("env", mode=mode, policies=policies)
    return render(compose(Project(name="demo", services=services()), environment))


@pytest.mark.parametrize("mode", ["independent", "shared"])
def test_a_job_gets_in_and_nobody_else(mode: str) -> None:
    """Its own pods reach every pod of the stack; strangers are as they were before."""
    made = _rendered(mode)
    before = [m.object for m in made.manifests if m.ref.kind == "NetworkPolicy"]
    during = [*before, *job_policies(made.manifests, JOB)]
    assert not decide(before, JOB_POD, KAFKA, 9092).allowed
    assert decide(during, JOB_POD, KAFKA, 9092).allowed
    for source, target in ((STRANGER, KAFKA), (KAFKA, STRANGER), (KAFKA, JOB_POD)):
        same = [decide(each, source, target, 9092).allowed for each in (before, during)]
        assert same[0] == same[1]


def test_where_nothing_is_closed_nothing_is_opened() -> None:
    """An open environment gets no policy: the first one would close what it picks."""
    assert job_policies(_rendered("independent", "open").manifests, JOB) == []


def test_a_guard_inside_an_isolated_namespace_gets_out() -> None:
    """It speaks to the Kubernetes API and to whom it notifies; in comes only who reads metrics."""
    before = [m.object for m in _rendered("independent").manifests if m.zone == "border"]
    options: dict[str, Any] = {
        "stack_id": "demo-env", "namespace": "demo-env", "image": "x", "port": 9464, "rules": {}
    }  # fmt: skip
    guard = _pod(
        **{"app.kubernetes.io/name": "infometis-guard", "app.kubernetes.io/instance": "demo-env"}
    )
    world = attrs.evolve(STRANGER, namespace="", labels={}, address="203.0.113.1")
    for isolated in (False, True):
        made = guard_objects(**options, isolated=isolated)
        policies = [*before, *(o for o in made if o["kind"] == "NetworkPolicy")]
        assert isolated == decide(policies, guard, world, 6443).allowed
        assert isolated == decide(policies, world, guard, 9464).allowed
        assert not decide(policies, world, guard, 80).allowed
