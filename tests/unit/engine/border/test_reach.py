from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from infometis_sdk.engine.border.reach import published_ports
from infometis_sdk.errors import ForbiddenError
from infometis_sdk.model import Environment, Manifest, ManifestSet, ObjectRef, Run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infometis_sdk.ports.cluster import Cluster


class Seen:
    """A cluster of which only Services and nodes are looked at."""

    def __init__(self, service: Mapping[str, Any] | None, nodes: list[Any] | None) -> None:
        self._service = service
        self._nodes = nodes

    def get(self, ref: ObjectRef, run: Run) -> Mapping[str, Any] | None:
        """Return the one Service."""
        del run
        return self._service if ref.kind == "Service" else None

    def list(self, api_version: str, kind: str, run: Run) -> list[Any]:
        """Return the nodes, or refuse."""
        del api_version, kind, run
        if self._nodes is None:
            msg = "nodes is forbidden"
            raise ForbiddenError(msg, status=403)
        return self._nodes


NODE = {"status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}}
PORTS = [{"port": 443, "nodePort": 30443}, {"port": 80}]


def ports(
    live: Mapping[str, Any] | None,
    nodes: list[Any] | None,
    host_ports: Mapping[int, int],
    *objects: Mapping[str, Any],
) -> dict[int, tuple[str, int]]:
    """Return the reach of a border that has such objects, on such a cluster."""
    manifests = ManifestSet(
        stack_id="s",
        environment=Environment("dev"),
        namespace="demo",
        manifests=[Manifest(object=obj, zone="border") for obj in objects],
    )
    return published_ports(cast("Cluster", Seen(live, nodes)), manifests, host_ports, Run())


def service(kind: str, **status: Any) -> dict[str, Any]:
    """Return a live Service."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "traefik"},
        "spec": {"type": kind, "ports": PORTS},
        "status": status,
    }


def pod(*host_ports: int) -> dict[str, Any]:
    """Return a DaemonSet with host ports."""
    container = {"name": "t", "ports": [{"containerPort": 1, "hostPort": p} for p in host_ports]}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "traefik"},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }


def test_a_load_balancer_is_reached_at_its_address() -> None:
    """Once it has one; until then nothing is reached."""
    given = service("LoadBalancer", loadBalancer={"ingress": [{"ip": "192.0.2.9"}]})
    expected = {443: ("192.0.2.9", 443), 80: ("192.0.2.9", 80)}
    assert ports(given, [], {}, given) == expected
    waiting = service("LoadBalancer")
    assert ports(waiting, [], {}, waiting) == {}


def test_node_ports_are_reached_at_a_node() -> None:
    """Only those that were given out."""
    found = service("NodePort")
    assert ports(found, [NODE], {}, found) == {443: ("192.0.2.1", 30443)}


def test_ports_of_this_machine_come_first() -> None:
    """A platform in containers leads them to its nodes, whose own addresses may lead nowhere.

    What is published is then the port of this machine, as clients see it.
    """
    assert ports(None, [NODE], {8443: 443}, pod(443, 80)) == {
        8443: ("127.0.0.1", 8443),
        80: ("192.0.2.1", 80),
    }


def test_an_address_inside_the_cluster_leads_nowhere_from_here() -> None:
    """ClusterIP has no port of a node."""
    inside = {**service("ClusterIP"), "spec": {"type": "ClusterIP", "ports": [{"port": 443}]}}
    assert ports(inside, [NODE], {}, inside) == {}


def test_a_guest_who_may_not_look_at_nodes_reaches_none() -> None:
    """But an API server that does not answer is told."""
    found = service("NodePort")
    assert ports(found, None, {}, found) == {}


@pytest.mark.parametrize("live", [None])
def test_what_is_not_there_yet_is_not_reached(live: None) -> None:
    """Before the first apply there is no Service."""
    assert ports(live, [NODE], {}, service("NodePort")) == {}
