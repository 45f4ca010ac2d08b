"""Autoscalers of an environment: what they say, and where a service cannot be left to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given, settings, strategies as st
from tests.unit.catalogue.stacks import PROD, services as catalogue
from tests.unit.engine.bundles import find, render_faults, rendered, stack_of

from infometis_sdk.engine.equivalence import prove_equivalent
from infometis_sdk.engine.render import render
from infometis_sdk.engine.validate import validate
from infometis_sdk.model import (
    Environment,
    LimitsPolicy,
    Origin,
    Patch,
    Policies,
    Scaling,
    ScalingPolicy,
    Service,
)

if TYPE_CHECKING:
    from infometis_sdk.model import Fault, Manifest

WEB = Service.web("hello", image="example/hello@sha256:" + "a" * 64, port=8080)
OUT_ONLY = attrs.evolve(
    WEB, scaling=Scaling(workload="Deployment/hello", directions=["out"], why="pods keep data")
)


def scaled(
    policy: ScalingPolicy, *, name: str = "uat", values: Any = None, **policies: Any
) -> Environment:
    """Return an environment that scales the service ``hello``, as if read from a file."""
    here = Origin(layer="environment", file="environments/uat.yaml", line=7)
    return Environment(
        name,
        values={"hello": values or {}},
        policies=Policies(scaling={"hello": policy}, **policies),
        sources={f"policies.scaling.hello{word}": here for word in ("", ".min", ".max")},
    )


def scaler(policy: ScalingPolicy, service: Service = WEB) -> Manifest:
    """Return the autoscaler that a policy makes."""
    manifests = rendered(service, environment=scaled(policy))
    return find(manifests, "HorizontalPodAutoscaler", "hello")


def errors(environment: Environment, *services: Service) -> list[Fault]:
    """Return what validation refuses."""
    found = validate(rendered(*services, environment=environment))
    return [fault for fault in found if fault.level == "error"]


def test_the_object() -> None:
    """Target, bounds and measures are the policy's; it is the border's, and the service's."""
    found = scaler(ScalingPolicy(min=2, max=6, cpu=70, memory=80))
    assert (found.zone, found.service, found.origin.line) == ("border", "hello", 7)
    spec = found.object["spec"]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "hello"}
    assert spec["scaleTargetRef"] == target
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 6)
    shares = {
        m["resource"]["name"]: m["resource"]["target"]["averageUtilization"]
        for m in spec["metrics"]
    }
    assert shares == {"cpu": 70, "memory": 80}
    assert "behavior" not in spec


def test_pace_is_kept_and_pods_stay_where_the_service_may_not_scale_in() -> None:
    """`behavior` goes in as it is; where `in` is not allowed, scaling down is off."""
    pace = {"scaleUp": {"stabilizationWindowSeconds": 30}}
    policy = ScalingPolicy(min=1, max=3, cpu=70, behavior=pace)
    assert scaler(policy).object["spec"]["behavior"] == pace
    kept = scaler(policy, OUT_ONLY).object["spec"]["behavior"]
    assert kept == {**pace, "scaleDown": {"selectPolicy": "Disabled"}}


def test_core_is_the_same_whatever_the_policy() -> None:
    """No policy moves a core object or digest; a proof names file and line of the difference."""
    fixed = stack_of(WEB, environment=Environment("dev"))
    moving = stack_of(WEB, environment=scaled(ScalingPolicy(min=2, max=6, cpu=70)))
    other = stack_of(WEB, environment=scaled(ScalingPolicy(min=2, max=9, cpu=70), name="prod"))
    left, right = render(fixed), render(moving)
    assert (left.digests, left.digest) == (right.digests, right.digest)
    report = prove_equivalent(fixed, moving, strict=True)
    assert report.verdict == "equal"
    (found,) = [d for d in report.differences if d.object.startswith("Horizontal")]
    assert (found.service, found.cause, found.a, found.b) == ("hello", "border", "", "present")
    assert found.set_b == "environment, environments/uat.yaml:7"
    between = prove_equivalent(moving, other, strict=True)
    assert between.verdict == "equal"
    (found,) = [d for d in between.differences if d.object.startswith("Horizontal")]
    assert (found.path, found.a, found.b) == ("spec.maxReplicas", "6", "9")


def test_a_guest_may_scale_too() -> None:
    """An autoscaler lives in the namespace, so the shared mode has it."""
    environment = attrs.evolve(scaled(ScalingPolicy(min=1, max=2, cpu=50)), mode="shared")
    found = find(rendered(WEB, environment=environment), "HorizontalPodAutoscaler", "hello")
    assert found.ref.namespace == "demo-uat"


def test_what_is_measured_must_be_requested() -> None:
    """A share of nothing is no number: the container is named, unless limits give it a request."""
    bare = attrs.evolve(
        WEB,
        templates={
            **WEB.templates,
            "deployment.yaml.j2": WEB.templates["deployment.yaml.j2"].replace(
                "              cpu: {{ params.cpu }}\n", ""
            ),
        },
    )
    bare = attrs.evolve(bare, parameters={k: v for k, v in bare.parameters.items() if k != "cpu"})
    policy = ScalingPolicy(min=1, max=3, cpu=70)
    (fault,) = errors(scaled(policy), bare)
    assert "Deployment/hello containers[name=main] requests none" in fault.message
    assert str(fault.origin) == "environments/uat.yaml:7"
    given = LimitsPolicy(default_request={"cpu": "50m"})
    assert errors(scaled(policy, limits=given), bare) == []
    assert errors(scaled(ScalingPolicy(min=1, max=3, memory=70)), bare) == []


def test_two_autoscalers_of_one_workload() -> None:
    """Kubernetes stops both, so the second is refused."""
    own = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "mine"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "hello"},
            "maxReplicas": 3,
        },
    }
    (fault,) = errors(
        scaled(ScalingPolicy(min=1, max=2, cpu=9)), WEB, Service(name="x", manifests=[own])
    )
    assert "a second autoscaler of Deployment/hello" in fault.message


@pytest.mark.parametrize(
    ("values", "word"),
    [({"replicas": 0}, "from 0 pods"), ({"replicas": 5}, "more than policies.scaling.hello.max")],
)
def test_a_number_of_pods_that_contradicts_the_bounds(values: dict[str, Any], word: str) -> None:
    """No pods at all never scale; and too many would be taken away, which the service forbids."""
    environment = scaled(ScalingPolicy(min=2, max=4, cpu=70), values=values)
    (fault,) = render_faults(OUT_ONLY, environment=environment)
    assert word in fault.message
    assert fault.path == "values.hello.replicas"


def test_a_patch_counts_as_the_number_of_pods() -> None:
    """What is rendered counts, not the parameter alone."""
    environment = attrs.evolve(
        scaled(ScalingPolicy(min=1, max=4, cpu=70)),
        patches=[Patch(kind="Deployment", name="hello", path="spec.replicas", value=9)],
    )
    (fault,) = render_faults(OUT_ONLY, environment=environment)
    assert fault.found == "9"


def test_a_workload_that_is_not_rendered() -> None:
    """A descriptor that names another workload than its templates make is named."""
    wrong = attrs.evolve(
        WEB, scaling=Scaling(workload="Deployment/hallo", directions=["out", "in"])
    )
    wrong = attrs.evolve(
        wrong,
        parameters={
            **WEB.parameters,
            "replicas": attrs.evolve(
                WEB.parameters["replicas"],
                affects=[
                    *WEB.parameters["replicas"].affects,
                    attrs.evolve(WEB.parameters["replicas"].affects[0], name="hallo"),
                ],
            ),
        },
    )
    (fault,) = render_faults(wrong, environment=scaled(ScalingPolicy(min=1, max=2, cpu=70)))
    assert "renders no Deployment/hallo" in fault.message


# --- the catalogue ----------------------------------------------------------------------------


def catalogue_faults(name: str, policy: ScalingPolicy, **values: Any) -> list[str]:
    """Return why a service of the catalogue cannot be scaled so; empty where it can."""
    environment = Environment(
        "prod",
        values={**PROD, name: {**PROD[name], **values}},
        policies=Policies(scaling={name: policy}),
    )
    try:
        manifests = rendered(*catalogue().values(), environment=environment)
    except Exception as error:  # noqa: BLE001 - told below
        return [fault.message for fault in error.faults]  # type: ignore[attr-defined]
    return [fault.message for fault in validate(manifests) if fault.level == "error"]


@pytest.mark.parametrize(
    ("name", "why"),
    [("kafka", "a new broker takes no partition"), ("grafana", "SQLite")],
)
def test_services_that_no_autoscaler_helps(name: str, why: str) -> None:
    """Kafka and Grafana say why they stay as they are."""
    (fault,) = catalogue_faults(name, ScalingPolicy(min=3, max=5, cpu=70))
    assert why in fault


def test_elasticsearch_grows_from_three_nodes() -> None:
    """From three nodes on more of them change nothing else; before, the nodes would restart."""
    assert catalogue_faults("elasticsearch", ScalingPolicy(min=3, max=9, cpu=70)) == []
    (fault,) = catalogue_faults("elasticsearch", ScalingPolicy(min=1, max=9, cpu=70), replicas=1)
    assert "INITIAL_MASTER_NODES" in fault


def test_nifi_grows_as_a_cluster_only() -> None:
    """The template's own rule counts at each bound, and the bound's line is told."""
    policy = ScalingPolicy(min=3, max=5, cpu=70)
    assert catalogue_faults("nifi", policy) == []
    found = catalogue_faults("nifi", attrs.evolve(policy, min=1), replicas=1, clustered=False)
    assert found
    assert all("service 'nifi' does not take 5 pods" in fault for fault in found)


@settings(max_examples=25, deadline=None)
@given(low=st.integers(1, 100), more=st.integers(0, 99), cpu=st.integers(1, 500))
def test_any_legal_bounds_make_a_valid_object(low: int, more: int, cpu: int) -> None:
    """What composing lets through, rendering makes and validation takes."""
    policy = ScalingPolicy(min=low, max=min(low + more, 100), cpu=cpu)
    environment = scaled(policy, values={"replicas": low})
    manifests = rendered(WEB, environment=environment)
    assert validate(manifests) == ()
    spec = find(manifests, "HorizontalPodAutoscaler", "hello").object["spec"]
    assert spec["minReplicas"] <= spec["maxReplicas"]
