"""Scaling, limits and quotas of an environment, as far as its words alone tell."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from infometis_sdk.engine.inputs.check_capacity import capacity_faults
from infometis_sdk.engine.inputs.descriptor import faults_of
from infometis_sdk.model import (
    Environment,
    LimitsPolicy,
    Policies,
    QuotaPolicy,
    Scaling,
    ScalingPolicy,
    Service,
)

WEB = Service.web("web", image="example/web:1", port=8080)
DB = Service.stateful("db", image="example/db:1", port=8080)
NEVER = attrs.evolve(DB, name="never", scaling=Scaling(why="there is one leader"))
OUT = attrs.evolve(DB, name="grows", scaling=Scaling(workload="StatefulSet/db", directions=["out"]))
SERVICES = {each.name: each for each in (WEB, DB, NEVER, OUT)}


def told(mode: str = "independent", **policies: Any) -> list[tuple[str, str]]:
    """Return path and message of each fault."""
    environment = Environment("uat", mode=mode, policies=Policies(**policies))
    return [(fault.path, fault.message) for fault in capacity_faults(SERVICES, environment)]


def scaling(name: str, low: int = 1, high: int = 3, **more: Any) -> list[tuple[str, str]]:
    """Return what is told of one scaling policy."""
    policy = ScalingPolicy(min=low, max=high, **{"cpu": 70, **more})
    prefix = f"policies.scaling.{name}"
    found = told(scaling={name: policy})
    assert all(path.startswith(prefix) for path, _ in found)
    return [(path.removeprefix(prefix).lstrip("."), message) for path, message in found]


def test_a_service_must_say_that_it_may_scale() -> None:
    """One that says nothing, and one that says no with its reason, are refused."""
    assert scaling("web") == []
    assert scaling("grows") == []
    assert scaling("db") == [
        ("", "service 'db' may not be scaled: its descriptor says nothing of scaling")
    ]
    assert scaling("never") == [("", "service 'never' may not be scaled: there is one leader")]
    assert scaling("wep") == [("", "there is no service 'wep'")]


@pytest.mark.parametrize(
    ("low", "high", "paths"),
    [
        (3, 2, ["min"]),
        (0, 2, ["min"]),
        (1, 101, ["max"]),
        (-1, 101, ["min", "min", "max"]),
        (2, 2, []),
    ],
)
def test_bounds(low: int, high: int, paths: list[str]) -> None:
    """In order, at least one pod, and within the bounds of the parameter."""
    assert [path for path, _ in scaling("web", low, high)] == paths


def test_choices_in_between() -> None:
    """A parameter that takes some numbers only cannot be left to what takes all."""
    replicas = attrs.evolve(DB.parameters["replicas"], choices=[1, 3, 5])
    odd = attrs.evolve(OUT, parameters={**OUT.parameters, "replicas": replicas})
    policies = Policies(scaling={"grows": ScalingPolicy(min=1, max=5, cpu=70)})
    (fault,) = capacity_faults({"grows": odd}, Environment("uat", policies=policies))
    assert "takes no value in between" in fault.message


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"cpu": None}, [("", "says nothing that pods are measured by")]),
        ({"cpu": None, "memory": 80}, []),
        ({"cpu": 0}, [("cpu", "is out of bounds")]),
        ({"memory": -5}, [("memory", "is out of bounds")]),
        ({"behavior": {"scaleup": {}}}, [("behavior.scaleup", "unknown key 'scaleup'")]),
        ({"behavior": {"scaleUp": 3}}, [("behavior.scaleUp", "has the wrong type")]),
        (
            {"behavior": {"scaleUp": {"window": 3}}},
            [("behavior.scaleUp.window", "unknown key 'window'")],
        ),
        (
            {"behavior": {"scaleDown": {"selectPolicy": "Off"}}},
            [("behavior.scaleDown.selectPolicy", "unknown word")],
        ),
        ({"behavior": {"scaleDown": {"policies": []}}}, []),
    ],
)
def test_measures_and_pace(more: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    """Something to measure by, and a pace that Kubernetes knows."""
    assert scaling("web", **more) == expected


def test_no_pace_for_what_may_not_happen() -> None:
    """How fast to scale in is refused where the service may not, with the reason."""
    ((path, message),) = scaling("grows", behavior={"scaleDown": {}})
    assert path == "behavior.scaleDown"
    assert "the data of the pods that go must be moved first" in message


def test_limits_rise() -> None:
    """min, default_request, default and max rise, and every one is a quantity."""
    good = LimitsPolicy(
        min={"cpu": "10m"}, default_request={"cpu": "50m"}, default={"cpu": "1"}, max={"cpu": "1"}
    )
    assert told(limits=good) == []
    wrong = attrs.evolve(good, default={"cpu": "2"})
    assert told(limits=wrong) == [("policies.limits.default.cpu", "is more than max")]
    bad = LimitsPolicy(max={"cpu": "lots", "memory": "-1"})
    assert [path for path, _ in told(limits=bad)] == [
        "policies.limits.max.cpu",
        "policies.limits.max.memory",
    ]


def test_scoped_quotas() -> None:
    """Scopes are those of Kubernetes, do not exclude each other, and are there at all."""

    def quota(**more: Any) -> list[tuple[str, str]]:
        return told(scoped_quotas={"q": QuotaPolicy(hard={"pods": "1"}, **more)})

    where = "policies.scoped_quotas.q"
    assert quota(scopes=["BestEffort"]) == []
    assert quota(priority_classes=["high"]) == []
    assert quota() == [(where, "counts everything")]
    assert quota(scopes=["BestEfort"]) == [(f"{where}.scopes", "unknown scope 'BestEfort'")]
    ((_, message),) = quota(scopes=["BestEffort", "NotBestEffort"])
    assert message == "BestEffort and NotBestEffort have nothing in common"
    amount = told(scoped_quotas={"q": QuotaPolicy(hard={"pods": "x"}, scopes=["BestEffort"])})
    assert amount == [(f"{where}.hard.pods", "is no quantity")]


def test_a_guest_sets_no_limits() -> None:
    """Quotas and limits of an assigned namespace are its owner's; autoscalers are not."""
    policies: dict[str, Any] = {
        "resource_quota": {"pods": "1"},
        "limits": LimitsPolicy(max={"cpu": "1"}),
        "scaling": {"web": ScalingPolicy(min=1, max=2, cpu=70)},
    }
    assert told(**policies) == []
    assert [path for path, _ in told("shared", **policies)] == [
        "policies.resource_quota",
        "policies.limits",
    ]


# --- the descriptor ---------------------------------------------------------------------------


def about(service: Service, **rule: Any) -> list[tuple[str, str]]:
    """Return what is told of a descriptor's word on scaling."""
    found = faults_of(attrs.evolve(service, scaling=Scaling(**rule)))
    return [(fault.path, fault.message) for fault in found]


def test_a_descriptor_that_is_right() -> None:
    """Both directions, one with the parameter's reason, or none with its own."""
    both = {"workload": "Deployment/web", "directions": ["out", "in"]}
    assert about(WEB, **both) == []
    assert about(DB, workload="StatefulSet/db", directions=["out"]) == []
    assert about(DB, why="it has one leader") == []


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"workload": "web"}, [("scaling.workload", "names no workload that can be scaled")]),
        ({"workload": "Pod/web"}, [("scaling.workload", "names no workload that can be scaled")]),
        (
            {"parameter": "pods"},
            [("scaling.parameter", "the service declares no parameter 'pods'")],
        ),
        ({"directions": ["up"]}, [("scaling.directions", "unknown word 'up'")]),
        ({"directions": ["in"], "why": "x"}, [("scaling.directions", "could never come back")]),
        ({"directions": ["out"]}, [("scaling.why", "says not why it may not scale")]),
        ({"directions": []}, [("scaling.why", "says not why it may not scale")]),
        (
            {"workload": "Deployment/wob"},
            [
                (
                    "scaling.parameter",
                    "'replicas' does not say that it sets the pods of Deployment/wob",
                )
            ],
        ),
    ],
)
def test_a_descriptor_that_is_wrong(rule: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    """Each fault names its place."""
    base = {"workload": "Deployment/web", "directions": ["out", "in"]}
    found = about(WEB, **{**base, **rule})
    assert found[: len(expected)] == expected or found[-1:] == expected
    assert set(expected) <= set(found)


def test_a_parameter_that_no_autoscaler_could_change() -> None:
    """It must be a whole number of scope scale that changes live, and may shrink if pods may go."""
    (fault,) = about(DB, workload="StatefulSet/db", directions=["out", "in"])
    assert fault == ("scaling.parameter", "what an autoscaler changes has shrink allow")
    slow = attrs.evolve(WEB.parameters["replicas"], mutability="restart")
    service = attrs.evolve(WEB, parameters={**WEB.parameters, "replicas": slow})
    assert about(service, workload="Deployment/web", directions=["out", "in"]) == [
        ("scaling.parameter", "what an autoscaler changes has mutability live")
    ]
