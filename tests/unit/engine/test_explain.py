"""Explaining values."""

from __future__ import annotations

import pytest
from tests.unit.engine.bundles import KAFKA, stack_of

from infometis_sdk.engine.explain import explain, explain_influence
from infometis_sdk.errors import ProjectError
from infometis_sdk.model import Environment, Origin, Parameter, Policies, ScalingPolicy, Service

SOURCES = {
    "values.kafka.replicas": Origin(layer="environment", file="environments/prod.yaml", line=7)
}
STACK = stack_of(
    KAFKA, environment=Environment("prod", values={"kafka": {"replicas": 3}}, sources=SOURCES)
)


def test_names_layer_file_and_line() -> None:
    """The word that won is named with file and line, above the words that lost."""
    found = explain(STACK, "kafka.replicas")
    assert (found.value, str(found.set_by)) == (3, "environments/prod.yaml:7")
    assert [(s.origin.layer, s.value) for s in found.chain] == [("base", 1), ("environment", 3)]
    assert "environments/prod.yaml:7" in str(found)
    assert "may change + PodDisruptionBudget/kafka" in str(found)
    assert found.to_dict()["value"] == 3


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("kafak.replicas", "kafka"),
        ("kafka.replica", "replicas"),
        ("kafka.replicas.x", ""),
        ("kafka", ""),
    ],
)
def test_unknown(path: str, nearest: str) -> None:
    """What is unknown is answered with the nearest known name."""
    with pytest.raises(ProjectError) as caught:
        explain(STACK, path)
    assert caught.value.faults[0].nearest == nearest


def test_a_service_alone() -> None:
    """Who names a service and no parameter is shown what can be asked for."""
    with pytest.raises(ProjectError) as caught:
        explain(STACK, "kafka")
    (fault,) = caught.value.faults
    assert fault.message == "'kafka' names a service, not a parameter"
    assert "kafka.replicas" in fault.legal.split(", ")


def test_below_a_map() -> None:
    """A value that came as part of a map is explained by the layer that gave the map."""
    service = Service(
        name="a", parameters={"config": Parameter(type="map", default={"x": {"y": 1}})}
    )
    found = explain(stack_of(service), "a.config.x.y")
    assert (found.value, found.set_by.layer) == (1, "base")


def test_an_autoscaler_is_named() -> None:
    """Where an autoscaler sets the number of pods, its bounds are told with file and line."""
    here = Origin(layer="environment", file="environments/uat.yaml", line=4)
    environment = Environment(
        "uat",
        policies=Policies(scaling={"web": ScalingPolicy(min=2, max=6, cpu=70)}),
        sources={"policies.scaling.web": here},
    )
    stack = stack_of(Service.web("web", image="example/web:1", port=80), environment=environment)
    driven = "an autoscaler sets it on the cluster, from 2 to 6 (environments/uat.yaml:4)"
    assert driven in str(explain(stack, "web.replicas"))
    assert explain(stack, "web.cpu").driven == ""


def test_influence() -> None:
    """Every parameter that is not core is listed with the paths it may change."""
    report = explain_influence(STACK)
    assert [name for name, _, _ in report.rows] == [
        "kafka.replicas",
        "kafka.memory",
        "kafka.tolerations",
        "kafka.storage_class",
    ]
    assert "StatefulSet/kafka spec.replicas" in str(report)


def test_influence_of_one_service() -> None:
    """Of a named service the count is its own; a name that nobody has is a fault, not nothing."""
    assert explain_influence(STACK, "kafka").headline() == "4 parameters of kafka are not core"
    with pytest.raises(ProjectError) as caught:
        explain_influence(STACK, "kafak")
    assert caught.value.faults[0].nearest == "kafka"
