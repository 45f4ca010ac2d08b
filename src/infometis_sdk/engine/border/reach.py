"""Reach: the addresses at which this machine finds what a border publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.border.render_border import ZONE
from infometis_sdk.engine.objects import podspec
from infometis_sdk.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_sdk.model.run import Run
    from infometis_sdk.model.stack import ManifestSet
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("published_ports",)


def published_ports(
    cluster: Cluster, manifests: ManifestSet, host_ports: Mapping[int, int], run: Run
) -> dict[int, tuple[str, int]]:
    """Return published port to the address and port at which this machine finds it.

    Args:
        cluster: the API, for the addresses of load balancers and nodes.
        manifests: the stack, whose border's Services and pods are looked at.
        host_ports: TCP ports of this machine to ports of the nodes.
        run: deadline and cancel token.

    """
    back = {node: here for here, node in host_ports.items()}
    there = {back.get(port, port): port for port in _ports_of_nodes(manifests)}
    found: dict[int, tuple[str, int]] = {}
    for manifest in manifests.manifests:
        obj = manifest.object
        if manifest.zone != ZONE or obj["kind"] != "Service":
            continue
        live = cluster.get(manifest.ref, run)
        if live is None:
            continue
        kind = live["spec"].get("type")
        if kind == "LoadBalancer":
            address = _balancer(live)
            ports = {p["port"]: p["port"] for p in live["spec"]["ports"]} if address else {}
        else:
            ports = {p["port"]: p["nodePort"] for p in live["spec"]["ports"] if p.get("nodePort")}
            there |= ports
            address = ""
        found |= {port: (address, near) for port, near in ports.items() if address}
    for port, node_port in there.items():
        if node_port in back:
            found.setdefault(port, ("127.0.0.1", back[node_port]))
    rest = {port: node for port, node in there.items() if port not in found}
    if rest and (address := _node(cluster, run)):
        found |= {port: (address, node) for port, node in rest.items()}
    return found


def _ports_of_nodes(manifests: ManifestSet) -> Iterator[int]:
    """Yield the host ports of the border's pods: what clients see, if no machine maps them."""
    for manifest in manifests.manifests:
        if manifest.zone != ZONE:
            continue
        for _, container in podspec.containers(podspec.pod_spec(manifest.object) or {}):
            for port in container.get("ports") or ():
                if port.get("hostPort"):
                    yield port["hostPort"]


def _balancer(service: Mapping[str, Any]) -> str:
    places = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return next((str(p.get("ip") or p.get("hostname")) for p in places), "")


def _node(cluster: Cluster, run: Run) -> str:
    """Return the address of a node; a guest may not look at nodes, and then there is none."""
    try:
        nodes = cluster.list("v1", "Node", run)
    except ClusterError as error:
        if error.status == 0:
            raise
        return ""
    for kind in ("ExternalIP", "InternalIP"):
        for node in nodes:
            for address in (node.get("status") or {}).get("addresses") or ():
                if address.get("type") == kind:
                    return str(address["address"])
    return ""
