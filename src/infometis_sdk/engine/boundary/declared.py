"""What may pass the boundary: exactly what services and environment declare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING

from attrs import field, frozen

from infometis_sdk.engine.boundary.addresses import api_address
from infometis_sdk.engine.boundary.pods import PodGroup
from infometis_sdk.engine.inputs.check_externals import used_externals
from infometis_sdk.model.environment import Peer

if TYPE_CHECKING:
    from infometis_sdk.engine.boundary.pods import Pods
    from infometis_sdk.model.environment import Environment
    from infometis_sdk.model.service import Service

__all__ = ("Allow", "Neighbours", "allows")

_TCP = "TCP"
_CROWD = 10
"""Workloads of one service beyond which its own pods are told apart no more among themselves."""


@frozen(kw_only=True)
class Neighbours:
    """What only the border and the cluster can tell about those outside the stack.

    Attributes:
        border: the pods through which the border lets traffic in.
        routed: ``service.endpoint`` that the border routes.
        egress: the pods of the border's egress proxy.
        proxied: external system to the ports on which these pods take connections for it.
        api_server: ``ADDRESS:PORT`` of the Kubernetes API, as the cluster says.

    """

    border: tuple[Peer, ...] = field(default=(), converter=tuple[Peer, ...])
    routed: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    egress: tuple[Peer, ...] = field(default=(), converter=tuple[Peer, ...])
    proxied: Mapping[str, tuple[int, ...]] = field(factory=dict)
    api_server: tuple[str, ...] = field(default=(), converter=tuple[str, ...])


@frozen(kw_only=True)
class Allow:
    """One pair that may speak, on one port.

    Attributes:
        source: who opens the connection: pods of the stack, or of others.
        target: who takes it: pods of the stack, of others, or an IP address.
        port: at the target, behind every Kubernetes Service.
        protocol: ``TCP``, ``UDP`` or ``SCTP``.
        why: what declares it.

    """

    source: PodGroup | Peer
    target: PodGroup | Peer | str
    port: int
    protocol: str = _TCP
    why: str


def allows(
    pods: Pods,
    services: Mapping[str, Service],
    environment: Environment,
    neighbours: Neighbours,
) -> tuple[Allow, ...]:
    """Return every pair that may speak; what is not here may not.

    Args:
        pods: of the stack.
        services: descriptors by name.
        environment: its policies and external systems.
        neighbours: those outside the stack.

    """
    found = [*_names(pods, environment)]
    for name, service in services.items():
        own = pods.of(name)
        found += _within(pods, name)
        found += _used(pods, service, services)
        for external in used_externals(service.uses):
            found += _outside(own, external, environment, neighbours)
        if service.kubernetes_api:
            addresses = environment.policies.network.api_server or neighbours.api_server
            found += _api(own, addresses, f"{name} needs the Kubernetes API")
        if service.metrics:
            readers = environment.policies.network.metrics
            found += _into(pods, service, service.metrics.endpoint, readers, "metrics of")
    for routed in neighbours.routed:
        name, _, endpoint = routed.partition(".")
        found += _into(pods, services[name], endpoint, neighbours.border, "the border routes")
    return tuple(found)


def _names(pods: Pods, environment: Environment) -> Iterator[Allow]:
    """Let every pod ask for names."""
    network = environment.policies.network
    for group in pods.groups:
        for protocol in ("UDP", _TCP):
            yield Allow(
                source=group,
                target=network.dns,
                port=network.dns_port,
                protocol=protocol,
                why="every pod asks for names",
            )


def _within(pods: Pods, name: str) -> Iterator[Allow]:
    """Let the replicas of one service find each other under the names that it gives them.

    Pairs grow with the square of the workloads: where there are many, as in a large bundle of raw
    manifests, all of them may reach each other on every port that any of them is found on.
    """
    own = pods.of(name)
    if len(own) > _CROWD and (crowd := pods.crowd(name)) is not None:
        for port, protocol in sorted({(p, kind) for _, p, kind in pods.among(name)}):
            why = f"pods of {name} find each other"
            yield Allow(source=crowd, target=crowd, port=port, protocol=protocol, why=why)
        return
    if len(own) > 1 or any(group.many for group in own):
        for target, port, protocol in pods.among(name):
            for source in own:
                yield Allow(
                    source=source,
                    target=target,
                    port=port,
                    protocol=protocol,
                    why=f"pods of {name} find each other",
                )


def _used(pods: Pods, service: Service, services: Mapping[str, Service]) -> Iterator[Allow]:
    for use in service.uses:
        name, _, endpoint = use.partition(".")
        if name not in services:
            continue  # an external system
        for target, port, protocol in pods.behind(name, services[name].endpoints[endpoint]):
            for source in pods.of(service.name):
                yield Allow(
                    source=source,
                    target=target,
                    port=port,
                    protocol=protocol,
                    why=f"{service.name} uses {use}",
                )


def _outside(
    sources: Sequence[PodGroup], name: str, environment: Environment, neighbours: Neighbours
) -> Iterator[Allow]:
    external = environment.external[name]
    direct: list[tuple[Peer | str, int]] = [
        (address, external.reached_port) for address in external.addresses
    ]
    proxied = [*product(neighbours.egress, neighbours.proxied.get(name, ()))]
    for source in sources:
        for target, port in (*direct, *proxied):
            yield Allow(
                source=source,
                target=target,
                port=port,
                why=f"{source.service} uses external.{name}",
            )


def _api(sources: Sequence[PodGroup], addresses: tuple[str, ...], why: str) -> Iterator[Allow]:
    """Let pods with a token reach the Kubernetes API; without one there is nothing to do there."""
    for source in sources:
        if source.token:
            for text in addresses:
                address, port = api_address(text)
                yield Allow(source=source, target=address, port=port, why=why)


def _into(
    pods: Pods, service: Service, endpoint: str, sources: tuple[Peer, ...], why: str
) -> Iterator[Allow]:
    for target, port, protocol in pods.behind(service.name, service.endpoints[endpoint]):
        for source in sources:
            yield Allow(
                source=source,
                target=target,
                port=port,
                protocol=protocol,
                why=f"{why} {service.name}.{endpoint}",
            )
