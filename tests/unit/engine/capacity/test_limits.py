"""Limits of a namespace: what they make of containers, and which pods they would refuse."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.unit.engine.bundles import find, rendered

from infometis_sdk.engine.capacity.limits import container_limits, effective, limit_range
from infometis_sdk.engine.validate import validate
from infometis_sdk.model import Environment, LimitsPolicy, Policies, Service

WEB = Service.web("hello", image="example/hello:1", port=8080, cpu="100m", memory="128Mi")


def errors(limits: LimitsPolicy, service: Service = WEB) -> list[tuple[str, str]]:
    """Return path and legal values of what validation refuses."""
    environment = Environment("uat", policies=Policies(limits=limits))
    found = validate(rendered(service, environment=environment))
    return [(fault.path, fault.legal) for fault in found if fault.level == "error"]


def test_the_object() -> None:
    """The words become those of Kubernetes, quantities are canonical; the zone is the border's."""
    policy = LimitsPolicy(default_request={"cpu": "0.1"}, default={"memory": "1024Mi"})
    environment = Environment("uat", policies=Policies(limits=policy))
    found = find(rendered(WEB, environment=environment), "LimitRange", "infometis")
    item = {"type": "Container", "defaultRequest": {"cpu": "100m"}, "default": {"memory": "1Gi"}}
    assert found.object["spec"] == {"limits": [item]}
    assert found.zone == "border"
    assert limit_range(LimitsPolicy()) is None


def test_a_container_gets_what_it_does_not_name() -> None:
    """A limit stands in for a request, then defaults; what a container says stays."""
    limits = container_limits([{"spec": {"limits": [
        {"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "100m"}},
        {"type": "Pod", "max": {"cpu": "9"}},
    ]}}])  # fmt: skip
    assert effective({}, limits) == ({"cpu": "100m"}, {"cpu": "1"})
    named = {"resources": {"limits": {"cpu": "2"}}}
    assert effective(named, limits) == ({"cpu": "2"}, {"cpu": "2"})
    asked = {"resources": {"requests": {"cpu": "50m", "memory": "1Gi"}}}
    assert effective(asked, limits) == ({"cpu": "50m", "memory": "1Gi"}, {"cpu": "1"})


def test_defaults_follow_the_bounds() -> None:
    """As the API server fills them in: a limit from max, a request from that, else from min."""
    item = {"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "10m", "memory": "1Mi"}}
    limits = container_limits([{"spec": {"limits": [item]}}])
    assert effective({}, limits) == ({"cpu": "2", "memory": "1Mi"}, {"cpu": "2"})


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (LimitsPolicy(max={"memory": "128Mi", "cpu": "1"}), []),
        (LimitsPolicy(max={"memory": "127Mi"}), [("limits.memory", "at most 127Mi")]),
        (LimitsPolicy(min={"cpu": "100m"}), []),
        (LimitsPolicy(min={"cpu": "101m"}), [("requests.cpu", "at least 101m")]),
        (LimitsPolicy(default={"cpu": "50m"}), [("requests.cpu", "at most the limit, 50m")]),
    ],
)
def test_pods_that_would_be_refused(limits: LimitsPolicy, expected: list[tuple[str, str]]) -> None:
    """A container beyond the bounds is named before the first write, with what is legal."""
    where = "Deployment/hello containers[name=main].resources"
    assert errors(limits) == [(f"{where}.{path}", legal) for path, legal in expected]


_CPU = st.integers(1, 3000)


@given(asked=st.none() | _CPU, limit=st.none() | _CPU, high=_CPU)
def test_whatever_passes_keeps_to_the_maximum(
    asked: int | None, limit: int | None, high: int
) -> None:
    """Nothing that the bounds allow ends above the maximum."""
    resources: dict[str, Any] = {}
    if asked:
        resources["requests"] = {"cpu": f"{asked}m"}
    if limit:
        resources["limits"] = {"cpu": f"{limit}m"}
    item = {"type": "Container", "max": {"cpu": f"{high}m"}}
    limits = container_limits([{"spec": {"limits": [item]}}])
    requests, most = effective({"resources": resources}, limits)
    assert int(most["cpu"][:-1]) == (limit or high)
    assert int(requests["cpu"][:-1]) == (asked or limit or high)
