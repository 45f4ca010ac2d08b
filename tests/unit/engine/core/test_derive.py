"""Deriving influence by varying parameters."""

from __future__ import annotations

import attrs
from tests.unit.engine.bundles import KAFKA, affects, changed, stack_of, template_service

from infometis_sdk.engine.core.derive import derive_influence
from infometis_sdk.engine.explain import explain_influence
from infometis_sdk.model import Environment, Parameter


def test_what_follows_is_seen() -> None:
    """Fields, keys of files, and objects that come and go are seen, each under its parameter."""
    derived = derive_influence(stack_of(KAFKA), "kafka")
    assert {name: found.seen for name, found in derived.items()} == {
        "replicas": ("+ PodDisruptionBudget/kafka", "StatefulSet/kafka spec.replicas"),
        "memory": (
            "ConfigMap/kafka-config data[server.properties] heap",
            "StatefulSet/kafka spec.template.spec.containers[name=kafka].resources.requests.memory",
        ),
        "tolerations": (
            "StatefulSet/kafka spec.template.spec.tolerations[0].key",
            "StatefulSet/kafka spec.template.spec.tolerations[0].operator",
        ),
        "storage_class": (
            "StatefulSet/kafka spec.volumeClaimTemplates[metadata.name=data].spec.storageClassName",
        ),
    }
    assert all(found.undeclared == () for found in derived.values())


def test_what_is_not_declared_is_told() -> None:
    """What follows a parameter undeclared is told before anybody sets such a value."""
    loose = attrs.evolve(
        KAFKA.parameters["replicas"], affects=(affects("StatefulSet", "kafka", "spec.replicas"),)
    )
    stack = stack_of(changed(KAFKA, parameters={**KAFKA.parameters, "replicas": loose}))
    assert derive_influence(stack, "kafka")["replicas"].undeclared == ("PodDisruptionBudget/kafka",)
    report = explain_influence(stack)
    assert report.undeclared == {"kafka.replicas": ("PodDisruptionBudget/kafka",)}
    assert "kafka.replicas also changes PodDisruptionBudget/kafka" in str(report)


def test_values_that_a_template_refuses_are_passed_over() -> None:
    """Where a template refuses a value, another is tried; nothing is said if all are refused."""
    template = (
        "{% if params.n == 2 or params.m != 1 %}\n{{ fail('no') }}\n{% endif %}\n"
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: {{ params.n | string }}}\n"
    )
    scale = Parameter(
        type="integer", default=1, scope="scale", affects=(affects("ConfigMap", "a", "data"),)
    )
    service = template_service("a", template, parameters={"n": scale, "m": scale})
    derived = derive_influence(stack_of(service, environment=Environment("dev")), "a")
    assert (derived["n"].varied, derived["n"].seen) == (0, ("ConfigMap/a data.x",))
    assert (derived["m"].varied, derived["m"].seen) == (None, ())
