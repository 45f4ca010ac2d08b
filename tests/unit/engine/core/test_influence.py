"""Influence: differences that no parameter declares are faults."""

from __future__ import annotations

import attrs
import pytest
from tests.unit.engine.bundles import (
    KAFKA,
    affects,
    changed,
    render_faults,
    rendered,
    template_service,
)

from infometis_sdk.engine.core.influence import influence
from infometis_sdk.engine.core.reach import forbidden
from infometis_sdk.engine.inputs.descriptor import faults_of
from infometis_sdk.model import Environment, Influence, Parameter, Service

SCALED = Environment("prod", values={"kafka": {"replicas": 3, "memory": "4Gi"}})


def without(name: str, *keep: Influence) -> Service:
    """Return the service with fewer declarations of one parameter."""
    parameter = attrs.evolve(KAFKA.parameters[name], affects=keep)
    return changed(KAFKA, parameters={**KAFKA.parameters, name: parameter})


def test_declared_differences_pass() -> None:
    """Values that change only what they declare render."""
    manifests = rendered(
        KAFKA, environment=SCALED, tolerations=[{"operator": "Exists"}], storage_class="fast"
    )
    assert {m.ref.kind for m in manifests.manifests} >= {"PodDisruptionBudget"}


def test_undeclared_field() -> None:
    """A field that follows a parameter without being declared is named, with the cure."""
    service = without("replicas", affects("PodDisruptionBudget", "kafka", presence=True))
    (fault,) = render_faults(service, environment=SCALED)
    assert fault.path == "StatefulSet/kafka spec.replicas"
    assert "replicas" in fault.message
    assert fault.legal == "affects: [StatefulSet/kafka spec.replicas]"
    assert fault.origin.file == "services/kafka/templates/statefulset.yaml.j2"
    assert fault.origin.line == 2


def test_undeclared_object() -> None:
    """An object that comes with a parameter must be declared."""
    service = without("replicas", affects("StatefulSet", "kafka", "spec.replicas"))
    (fault,) = render_faults(service, environment=SCALED)
    assert fault.path == "PodDisruptionBudget/kafka"
    assert fault.legal == "affects: [+ PodDisruptionBudget/kafka]"


def test_files_are_compared_key_by_key() -> None:
    """In a configuration file the key is named that follows the parameter."""
    path = "spec.template.spec.containers[name=kafka].resources"
    service = without("memory", affects("StatefulSet", "kafka", path))
    (fault,) = render_faults(service, environment=SCALED)
    assert fault.path == "ConfigMap/kafka-config data[server.properties] heap"
    other = without(
        "memory",
        affects("StatefulSet", "kafka", path),
        affects("ConfigMap", "kafka-config", "data[server.properties]", "topic"),
    )
    assert [f.path for f in render_faults(other, environment=SCALED)] == [fault.path]


def test_only_parameters_whose_values_differ_count() -> None:
    """What another parameter declares does not excuse a difference it did not make."""
    loose = attrs.evolve(
        KAFKA.parameters["tolerations"], affects=(affects("StatefulSet", "kafka", "spec"),)
    )
    broken = without("replicas", affects("PodDisruptionBudget", "kafka", presence=True))
    service = changed(broken, parameters={**broken.parameters, "tolerations": loose})
    assert len(render_faults(service, environment=SCALED)) == 1
    tolerations = [{"operator": "Exists"}]
    assert rendered(service, environment=SCALED, tolerations=tolerations).manifests


def test_core_values_are_not_compared() -> None:
    """A core value changes anything it likes: the reference render has it too."""
    service = changed(
        KAFKA, parameters={**KAFKA.parameters, "topic": Parameter(type="string", default="other")}
    )
    assert rendered(service, environment=SCALED).manifests


TEMPLATE = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: a
spec:
  selector: {matchLabels: {a: {{ params.x }}}}
  template:
    metadata: {labels: {a: b}}
    spec:
      containers:
        - name: a
          image: {{ "a:" ~ params.x }}
          args: [{{ params.x }}]
          ports: [{name: a, containerPort: {{ params.port }}}]
"""


def test_never_in_reach() -> None:
    """Commands, images, ports and selectors are core, whatever ``affects`` claims."""
    reach = (affects("Deployment", "a", "spec"),)
    parameters = {
        "x": Parameter(type="string", default="1", scope="scale", affects=reach),
        "port": Parameter(type="integer", default=1, scope="scale", affects=reach),
    }
    service = template_service("a", TEMPLATE, parameters=parameters)
    environment = Environment("dev", values={"a": {"x": "2", "port": 2}})
    found = {f.path.partition(" ")[2] for f in render_faults(service, environment=environment)}
    assert found == {
        "spec.selector.matchLabels.a",
        "spec.template.spec.containers[name=a].image",
        "spec.template.spec.containers[name=a].args[0]",
        "spec.template.spec.containers[name=a].ports[name=a].containerPort",
    }


def test_a_descriptor_cannot_claim_them() -> None:
    """An ``affects`` that names what is never in reach is a fault of the descriptor."""
    claim = affects("StatefulSet", "kafka", "spec.template.spec.containers[name=kafka].args")
    (fault,) = faults_of(without("replicas", claim))
    assert (fault.path, "arguments" in fault.message) == ("parameters.replicas.affects", True)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("spec.template.spec.containers[name=a].command", True),
        ("spec.ports[name=http].port", True),
        ("spec.selector.app", True),
        ("metadata.name", True),
        ("spec.replicas", False),
        ("data[command]", False),
        ("spec.template.spec.affinity.podAntiAffinity.x[0].labelSelector.matchLabels.a", False),
        ("spec.template.spec.topologySpreadConstraints[0].labelSelector.matchLabels.a", False),
        ("metadata.labels[name]", False),
    ],
)
def test_forbidden_paths(path: str, *, expected: bool) -> None:
    """Identity and behaviour are out of reach; scheduling and configuration are not."""
    assert bool(forbidden(path)) is expected


def test_influence_lists_declarations() -> None:
    """Explaining a service shows what each parameter that is not core may change."""
    found = influence(KAFKA)
    assert found["replicas"] == ("StatefulSet/kafka spec.replicas", "+ PodDisruptionBudget/kafka")
    assert "topic" not in found


def test_reference_that_fails_says_so() -> None:
    """Where the defaults cannot be rendered, the fault says that it is the reference render."""
    template = "{% if params.n < 2 %}\n{{ fail('n is too small') }}\n{% endif %}\n"
    service = template_service(
        "a", template, parameters={"n": Parameter(type="integer", default=1, scope="scale")}
    )
    (fault,) = render_faults(service, environment=Environment("dev", values={"a": {"n": 2}}))
    assert "reference render" in fault.message
