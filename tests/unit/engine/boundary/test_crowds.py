"""A service of many workloads, as a large bundle of raw manifests is."""

from __future__ import annotations

from typing import Any

from infometis_sdk.engine.boundary.evaluate import Party, decide
from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.render import render
from infometis_sdk.model import Environment, ManifestSet, Project, Service

HOME = "demo-dev"


def workload(number: int, **labels: str) -> list[dict[str, Any]]:
    """Return a Deployment and the Service that leads to it."""
    labels = labels or {"app": f"app-{number}"}
    container = {"name": "main", "image": "example/app:1", "ports": [{"containerPort": 8080}]}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": f"app-{number}"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"app-{number}"},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    ]


def rendered(many: int, *more: Service) -> ManifestSet:
    """Render a stack whose service ``bundle`` has so many workloads."""
    manifests = [obj for number in range(many) for obj in workload(number)]
    bundle = Service(name="bundle", manifests=manifests)
    services = {each.name: each for each in (bundle, *more)}
    return render(compose(Project(name="demo", services=services), Environment("dev")))


def policies(made: ManifestSet) -> list[dict[str, Any]]:
    """Return the NetworkPolicies among the manifests."""
    return [dict(m.object) for m in made.manifests if m.ref.kind == "NetworkPolicy"]


def party(name: str, **labels: str) -> Party:
    """Return a pod of the home namespace."""
    space = {"kubernetes.io/metadata.name": HOME}
    return Party(name=name, namespace=HOME, namespace_labels=space, labels=labels)


def peers(made: list[dict[str, Any]]) -> int:
    """Count the peers in all rules."""
    return sum(
        len(rule.get(key) or ())
        for each in made
        for key, rules in (("from", "ingress"), ("to", "egress"))
        for rule in each["spec"].get(rules) or ()
    )


def test_policies_grow_with_the_workloads_and_not_with_their_pairs() -> None:
    """Twice the workloads, twice the rules."""
    few, many = (policies(rendered(count)) for count in (20, 40))
    assert (len(few), len(many)) == (22, 42)
    assert peers(many) <= 2 * peers(few) + 2


def test_its_pods_find_each_other_and_nobody_else_finds_them() -> None:
    """On the port that they are found on, and on no other."""
    other = Service.web("other", image="example/other:1", port=8080)
    made = policies(rendered(12, other))
    one, two = party("one", app="app-1"), party("two", app="app-2")
    stranger = party("stranger", app="app-99")
    foreign = party("other", **{"app.kubernetes.io/name": "other"})
    assert decide(made, one, two, 8080, "TCP").allowed
    assert not decide(made, one, two, 9090, "TCP").allowed
    for outsider in (stranger, foreign):
        assert not decide(made, outsider, one, 8080, "TCP").allowed
        assert not decide(made, one, outsider, 8080, "TCP").allowed
