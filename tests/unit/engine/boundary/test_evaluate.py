"""The evaluator against the rules of NetworkPolicies, each written down as a case."""

from __future__ import annotations

from typing import Any

import pytest

from infometis_sdk.engine.boundary.evaluate import Party, decide

A = Party(
    name="a", namespace="here", labels={"app": "a"}, namespace_labels={"team": "x"},
    ports={"web": 8080},
)  # fmt: skip
B = Party(
    name="b", namespace="there", labels={"app": "b", "tier": "db"}, namespace_labels={"team": "y"}
)
WORLD = Party(name="world", address="203.0.113.9")


def policy(namespace: str = "here", name: str = "p", **spec: Any) -> dict[str, Any]:
    """Return a policy that picks all pods of a namespace, unless the spec says otherwise."""
    return {
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"podSelector": {}, **spec},
    }


def into(*peers: dict[str, Any], ports: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return a policy with one rule for what comes in."""
    rule: dict[str, Any] = {"from": list(peers)}
    return policy(ingress=[{**rule, **({"ports": ports} if ports else {})}])


LABELS = {"matchLabels": {"app": "b"}}


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        pytest.param([], True, id="no policy at all"),
        pytest.param([policy()], False, id="types default to ingress, and no rule denies"),
        pytest.param([policy("there")], True, id="a policy is about its own namespace"),
        pytest.param(
            [policy(podSelector={"matchLabels": {"app": "z"}})], True, id="another pod is picked"
        ),
        pytest.param([policy("there", policyTypes=["Egress"])], False, id="egress of the source"),
        pytest.param([policy(policyTypes=["Egress"])], True, id="egress of the target"),
        pytest.param([policy("there", egress=[])], False, id="egress is implied by its key"),
        pytest.param([policy(ingress=[{}])], True, id="an empty rule allows all"),
        pytest.param([into({"podSelector": LABELS})], False, id="pods of the same namespace"),
        pytest.param(
            [into({"namespaceSelector": {"matchLabels": {"team": "y"}}})], True, id="a namespace"
        ),
        pytest.param(
            [into({"namespaceSelector": {}, "podSelector": LABELS})], True, id="pods of any"
        ),
        pytest.param(
            [into({"namespaceSelector": {"matchLabels": {"team": "z"}}, "podSelector": LABELS})],
            False,
            id="both must pick",
        ),
        pytest.param(
            [into({"podSelector": LABELS}, {"namespaceSelector": {}})], True, id="peers are a union"
        ),
        pytest.param([policy(), into({"namespaceSelector": {}})], True, id="policies are a union"),
        pytest.param([into({"namespaceSelector": {}}, ports=[{"port": 8080}])], True, id="a port"),
        pytest.param([into(ports=[{"port": 80}])], False, id="another port"),
        pytest.param([into(ports=[{"port": "web"}])], True, id="a named port of the target"),
        pytest.param([into(ports=[{"port": "wub"}])], False, id="a name that it has not"),
        pytest.param([into(ports=[{"port": 8000, "endPort": 8080}])], True, id="end of a range"),
        pytest.param([into(ports=[{"port": 8000, "endPort": 8079}])], False, id="past a range"),
        pytest.param([into(ports=[{"protocol": "TCP"}])], True, id="all ports of a protocol"),
        pytest.param([into(ports=[{"protocol": "UDP"}])], False, id="another protocol"),
        pytest.param(
            [into({"ipBlock": {"cidr": "0.0.0.0/0"}})], False, id="a pod whose address is unknown"
        ),
        pytest.param(
            [
                into(
                    {
                        "namespaceSelector": {
                            "matchExpressions": [
                                {"key": "team", "operator": "NotIn", "values": ["y"]}
                            ]
                        }
                    }
                )
            ],
            False,
            id="expressions",
        ),
    ],
)
def test_a_connection_between_pods(policies: list[dict[str, Any]], expected: bool) -> None:  # noqa: FBT001
    """From pod b in another namespace to port 8080 of pod a."""
    assert expected == decide(policies, B, A, 8080).allowed


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"cidr": "203.0.113.0/24"}, True),
        ({"cidr": "203.0.113.9/32"}, True),
        ({"cidr": "203.0.113.8/32"}, False),
        ({"cidr": "203.0.113.0/24", "except": ["203.0.113.8/30"]}, False),
        ({"cidr": "203.0.113.0/24", "except": ["203.0.113.0/30"]}, True),
        ({"cidr": "2001:db8::/32"}, False),
    ],
)
def test_an_address_outside(block: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    """Blocks hold addresses but for their exceptions; in and out alike."""
    assert expected == decide([into({"ipBlock": block})], WORLD, A, 80).allowed
    out = policy(egress=[{"to": [{"ipBlock": block}]}], policyTypes=["Egress"])
    assert expected == decide([out], A, WORLD, 80).allowed


def test_selectors_pick_no_address() -> None:
    """An empty selector picks all pods, and nothing outside the cluster."""
    everybody = into({"namespaceSelector": {}, "podSelector": {}})
    assert not decide([everybody], WORLD, A, 80).allowed


def test_the_rule_that_decides_is_told() -> None:
    """Allowed: by which rule; denied: by the lack of one, in which policies."""
    first, second = policy(name="deny"), into({"namespaceSelector": {}}, ports=[{"port": 80}])
    verdict = decide([first, second], B, A, 80)
    assert (
        verdict.ingress.rule,
        verdict.egress.rule,
    ) == ("NetworkPolicy/p ingress[0]", "no policy is about the egress of b")
    assert (
        decide([first, second], B, A, 81).ingress.rule
    ) == "no rule of NetworkPolicy/deny, NetworkPolicy/p"
    assert decide([first], A, WORLD, 80).ingress.rule == "world is outside the cluster"
