"""The catalogue's services get exactly the connections that they need."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import attrs
import pytest
from tests.unit.catalogue.stacks import DEV, PROD, Values, services

from infometis_sdk.engine.boundary.explain import explain_policy
from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.render import render
from infometis_sdk.errors import ProjectError
from infometis_sdk.model import Environment, External, IsolationPolicy, Peer, Policies, Project

if TYPE_CHECKING:
    from infometis_sdk.model.policy_report import PolicyReport

API = "198.51.100.1:6443"
NEEDED = {
    # Nodes of one service find each other: clients and quorum, clients and transport, cluster
    # protocol and load balancing. Grafana is always one pod.
    ("kafka", "kafka"): {9092, 9093, 9094},
    ("elasticsearch", "elasticsearch"): {9200, 9300},
    ("nifi", "nifi"): {8443, 10000, 11443, 6342},
    # Flows read and write both; dashboards read one.
    ("nifi", "kafka"): {9092},
    ("nifi", "elasticsearch"): {9200},
    ("grafana", "elasticsearch"): {9200},
}


def _explain(source: str, target: str, values: Values = DEV, *, port: int = 0) -> PolicyReport:
    made = Project(name="demo", services=services())
    network = IsolationPolicy(metrics=[Peer(namespace="monitoring")], api_server=[API])
    environment = Environment(
        "env",
        values=values,
        policies=Policies(network=network),
        external={"db": External(addresses=["192.0.2.1"], port=5432, target_port=6432)},
    )
    stack = compose(made, environment)
    return explain_policy(stack, render(stack), source, target, port=port)


@pytest.mark.parametrize("values", [DEV, PROD], ids=["dev", "prod"])
def test_exactly_what_the_four_services_need(values: Values) -> None:
    """Between each two of them, and to everybody outside, nothing else is open."""
    found = {
        (source, target): {row.port for row in report.rows if row.allowed}
        for source, target in itertools.product(services(), repeat=2)
        if (report := _explain(source, target, values)).allowed
    }
    assert found == NEEDED
    for name in services():
        assert {53} == {row.port for row in _explain(name, "dns", values).rows if row.allowed}
        for other in ("world", "external.db"):
            assert not _explain(name, other, values).allowed
        assert not _explain("world", name, values).allowed


@pytest.mark.parametrize(("values", "expected"), [(DEV, []), (PROD, ["nifi"])])
def test_only_who_elects_leaders_there_reaches_the_kubernetes_api(
    values: Values, expected: list[str]
) -> None:
    """A cluster of NiFi keeps leases there; without a token nobody has anything to do there."""
    assert expected == [name for name in services() if _explain(name, "kubernetes", values).allowed]


def test_metrics_are_open_to_who_reads_them() -> None:
    """The declared scrapers reach the metrics endpoint of Grafana, and no other port."""
    rows = {
        name: {row.port for row in _explain("metrics", name).rows if row.allowed}
        for name in services()
    }
    assert {"grafana": {3000}} == {name: ports for name, ports in rows.items() if ports}


def test_the_rule_and_its_reason_are_named() -> None:
    """Both ends name the rule that decides, and what declares it; the table says so."""
    report = _explain("nifi", "kafka", port=9092)
    (row,) = report.rows
    assert attrs.astuple(row) == (
        "nifi",
        "kafka",
        9092,
        "TCP",
        True,
        "NetworkPolicy/boundary-nifi egress[2]",
        "NetworkPolicy/boundary-kafka ingress[1]",
        "nifi uses kafka.client",
    )
    assert report.headline() == "nifi may talk to kafka on 9092/TCP"
    denied = _explain("kafka", "elasticsearch", port=9200)
    assert denied.headline() == "kafka may not talk to elasticsearch"
    assert "no rule of NetworkPolicy/boundary, NetworkPolicy/boundary-kafka" in str(denied)


def test_an_open_environment_says_that_nothing_decides() -> None:
    """Without policies all is allowed, and the answer says why."""
    stack = compose(
        Project(name="demo", services=services()),
        Environment("env", policies=Policies(network=IsolationPolicy(mode="open"))),
    )
    (row, *_) = explain_policy(stack, render(stack), "world", "kafka").rows
    assert (
        row.allowed,
        row.ingress,
        row.why,
    ) == (True, "no policy is about the ingress of kafka", "")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kafak", "did you mean 'kafka'"),
        ("external.dp", "did you mean 'external.db'"),
        ("border", "the environment has no border"),
    ],
)
def test_who_is_not_there_is_told(name: str, expected: str) -> None:
    """A misspelt name comes with the nearest one."""
    with pytest.raises(ProjectError, match=expected):
        _explain("nifi", name)
