"""``policy explain``: may A talk to B, by the policies that the environment renders?"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from attrs import field, frozen

from infometis_sdk.engine.border.render_border import render_border
from infometis_sdk.engine.boundary.addresses import api_address
from infometis_sdk.engine.boundary.declared import allows
from infometis_sdk.engine.boundary.evaluate import Party, decide
from infometis_sdk.engine.boundary.neighbours import neighbours_of
from infometis_sdk.engine.boundary.pods import PodGroup, Pods
from infometis_sdk.engine.inputs.names import nearest
from infometis_sdk.engine.objects.loose import mapping
from infometis_sdk.errors import ProjectError
from infometis_sdk.model.environment import Peer
from infometis_sdk.model.external import EXTERNAL
from infometis_sdk.model.fault import Fault
from infometis_sdk.model.policy_report import PolicyReport, PolicyRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infometis_sdk.engine.boundary.declared import Neighbours
    from infometis_sdk.model.environment import Environment
    from infometis_sdk.model.stack import ComposedStack, ManifestSet

__all__ = ("explain_policy",)

_HTTPS = ((443, "TCP"),)
_SPACE = "kubernetes.io/metadata.name"
_DOCUMENTATION = ipaddress.IPv4Network("203.0.113.0/24")
"""Addresses that belong to nobody (RFC 5737): any of them stands for the world."""

Port = tuple[int, str]


def explain_policy(
    stack: ComposedStack,
    manifests: ManifestSet,
    source: str,
    target: str,
    *,
    port: int = 0,
    protocol: str = "TCP",
    api_server: Sequence[str] = (),
) -> PolicyReport:
    """Tell whether one may talk to the other, with the rules that decide.

    Args:
        stack: composed.
        manifests: what it renders to; its NetworkPolicies alone decide, those that services bring
            themselves too.
        source: a service, ``external.NAME``, ``border``, ``dns``, ``metrics``, ``kubernetes`` or
            ``world``.
        target: the same.
        port: of the target's pods, or of a Kubernetes Service that leads to them; 0 for every
            port that the target is known to have.
        protocol: of that port.
        api_server: ``ADDRESS:PORT`` of the Kubernetes API.

    Raises:
        ProjectError: there is nobody of that name; the nearest one is told.

    """
    known = _Known.of(stack, manifests, api_server)
    ends = [known.parties(name) for name in (source, target)]
    policies = [m.object for m in manifests.manifests if m.ref.kind == "NetworkPolicy"]
    rows = []
    for one in ends[0]:
        for other in ends[1]:
            for number, kind in other.asked(port, protocol):
                verdict = decide(policies, one.party, other.party, number, kind)
                rows.append(
                    PolicyRow(
                        source=one.party.name,
                        target=other.party.name,
                        port=number,
                        protocol=kind,
                        allowed=verdict.allowed,
                        egress=verdict.egress.rule,
                        ingress=verdict.ingress.rule,
                        why=known.why(one, other, number, kind),
                    )
                )
    return PolicyReport(source=source, target=target, rows=rows)


@frozen(kw_only=True)
class _End:
    """A party, what the declared graph calls it, and its ports."""

    party: Party
    end: PodGroup | Peer | str
    ports: tuple[Port, ...] = _HTTPS
    doors: Mapping[int, tuple[Port, ...]] = field(factory=dict)

    def asked(self, port: int, protocol: str) -> tuple[Port, ...]:
        """Return the ports to ask about; a Kubernetes Service's are those behind it."""
        if not port:
            return self.ports
        if port in (number for number, _ in self.ports):
            return ((port, protocol),)
        return self.doors.get(port, ((port, protocol),))


@frozen(kw_only=True)
class _Known:
    """Everybody who has a name on either side of the boundary."""

    table: Mapping[str, Callable[[], Iterable[_End]]]
    reasons: Mapping[tuple[object, object, int, str], str]

    @classmethod
    def of(cls, stack: ComposedStack, manifests: ManifestSet, api_server: Sequence[str]) -> _Known:
        environment = stack.environment
        services = {composed.name: composed.service for composed in stack.services}
        pods = Pods(
            ((m.service, m.object) for m in manifests.manifests if m.service),
            stack.namespace,
            services,
        )
        neighbours = neighbours_of(stack, render_border(stack), api_server)
        network = environment.policies.network
        spaces = {
            m.ref.name: mapping(m.object["metadata"].get("labels"))
            for m in manifests.manifests
            if m.ref.kind == "Namespace"
        }
        dns = ((network.dns_port, "UDP"), (network.dns_port, "TCP"))
        apis = network.api_server or neighbours.api_server
        table: dict[str, Callable[[], Iterable[_End]]] = {
            "border": lambda: _peers("border", neighbours.border),
            "dns": lambda: _peers("dns", (network.dns,), dns),
            "kubernetes": lambda: _apis(apis),
            "metrics": lambda: _peers("metrics", network.metrics),
            "world": lambda: [_world()],
        }
        for name in environment.external:
            table[f"{EXTERNAL}.{name}"] = partial(_external, name, environment, neighbours)
        for name in services:
            table[name] = partial(_pods, name, pods, spaces)
        reasons = {
            (_key(allow.source), _key(allow.target), allow.port, allow.protocol): allow.why
            for allow in reversed(allows(pods, services, environment, neighbours))
        }
        return cls(table=table, reasons=reasons if environment.isolated else {})

    def parties(self, name: str) -> list[_End]:
        """Return who goes by a name."""
        if name not in self.table:
            fault = Fault(
                message=f"there is nobody called {name!r}",
                legal=", ".join(sorted(self.table)),
                nearest=nearest(name, self.table),
            )
            raise ProjectError((fault,))
        found = list(self.table[name]())
        if not found:
            why = {
                "border": "the environment has no border, or one without pods",
                "kubernetes": "the address of the Kubernetes API is not known; "
                "policies.network.api_server may say it",
                "metrics": "policies.network.metrics names no pods",
            }.get(name, f"{name} has no pods and no address")
            raise ProjectError((Fault(message=why),))
        return found

    def why(self, source: _End, target: _End, port: int, protocol: str) -> str:
        """Return what declares that they may speak."""
        one, other = source.end, target.end
        known = self.reasons.get((_key(one), _key(other), port, protocol), "")
        if not known and isinstance(one, PodGroup) and isinstance(other, PodGroup):
            crowds = [(end.namespace, f"*/{end.service}") for end in (one, other)]
            known = self.reasons.get((crowds[0], crowds[1], port, protocol), "")
        return known


def _key(end: PodGroup | Peer | str) -> object:
    if isinstance(end, PodGroup):
        return end.key
    if isinstance(end, Peer):
        return end.namespace, tuple(sorted(end.pods.items()))
    return end


def _pods(name: str, pods: Pods, spaces: Mapping[str, Mapping[str, str]]) -> Iterator[_End]:
    groups = pods.of(name)
    for group in groups:
        labels = {**spaces.get(group.namespace, {}), _SPACE: group.namespace}
        behind = pods.doors(name, group)
        ports = {*group.ports, *(port for found in behind.values() for port in found)}
        yield _End(
            party=Party(
                name=name if len(groups) == 1 else f"{name} ({group.workload})",
                namespace=group.namespace,
                namespace_labels=labels,
                labels=group.labels,
                ports=group.named,
            ),
            end=group,
            ports=tuple(sorted(ports)) or _HTTPS,
            doors=behind,
        )


def _peers(name: str, peers: Iterable[Peer], ports: tuple[Port, ...] = _HTTPS) -> Iterator[_End]:
    for peer in peers:
        party = Party(
            name=name,
            namespace=peer.namespace,
            namespace_labels={_SPACE: peer.namespace},
            labels=peer.pods,
        )
        yield _End(party=party, end=peer, ports=ports)


def _addresses(name: str, addresses: Iterable[str], ports: tuple[Port, ...]) -> Iterator[_End]:
    for address in addresses:
        party = Party(name=f"{name} at {address}", address=address)
        yield _End(party=party, end=address, ports=ports)


def _external(name: str, environment: Environment, neighbours: Neighbours) -> Iterator[_End]:
    external, named = environment.external[name], f"{EXTERNAL}.{name}"
    yield from _addresses(named, external.addresses, ((external.reached_port, "TCP"),))
    ports = tuple((port, "TCP") for port in neighbours.proxied.get(name, ()))
    if ports:
        yield from _peers(f"{named} by the egress proxy", neighbours.egress, ports)


def _apis(texts: Iterable[str]) -> Iterator[_End]:
    for text in texts:
        address, port = api_address(text)
        yield from _addresses("kubernetes", (address,), ((port, "TCP"),))


def _world() -> _End:
    address = str(_DOCUMENTATION[1])
    return _End(party=Party(name="world", address=address), end=address)
