"""May A talk to B on port P? Answered from NetworkPolicies alone, as Kubernetes defines them.

Source: the API reference of ``networking.k8s.io/v1``, and
https://kubernetes.io/docs/concepts/services-networking/network-policies/.
A pod that no policy selects for a direction takes part in everything in that direction; one that
is selected only in what a rule of any of these policies allows. A connection needs both: the egress
of its source, and the ingress of its target.
What a network may never forbid is not asked about here: a pod to itself, and a node to its pods.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from infometis_sdk.engine.objects.loose import mapping, maps
from infometis_sdk.engine.objects.selectors import Selector

__all__ = ("Party", "Side", "Verdict", "decide")

Policy = Mapping[str, Any]
_DIRECTIONS = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}


@frozen(kw_only=True)
class Party:
    """One end of a connection: a pod, or an address outside the cluster.

    Attributes:
        name: for messages.
        namespace: of a pod; empty for an address.
        namespace_labels: of that namespace.
        labels: of the pod.
        ports: named ports of the pod's containers.
        address: IP address; a pod's own is seldom known, and then no ``ipBlock`` picks it.

    """

    name: str
    namespace: str = ""
    namespace_labels: Mapping[str, str] = field(factory=dict)
    labels: Mapping[str, str] = field(factory=dict)
    ports: Mapping[str, int] = field(factory=dict)
    address: str = ""


@frozen(kw_only=True)
class Side:
    """What the policies of one end say.

    Attributes:
        allowed: whether this end lets the connection pass.
        rule: the rule that decides, such as ``NetworkPolicy/boundary-kafka ingress[0]``, or why
            there is none.

    """

    allowed: bool
    rule: str


@frozen(kw_only=True)
class Verdict:
    """Whether a connection may be made, and what both ends say."""

    egress: Side
    ingress: Side

    @property
    def allowed(self) -> bool:
        """Whether both ends let it pass."""
        return self.egress.allowed and self.ingress.allowed


def decide(
    policies: Sequence[Policy], source: Party, target: Party, port: int, protocol: str = "TCP"
) -> Verdict:
    """Tell whether a connection may be made.

    Args:
        policies: NetworkPolicies as plain data, of any namespaces.
        source: who opens it.
        target: who takes it.
        port: at the target, behind every Kubernetes Service.
        protocol: ``TCP``, ``UDP`` or ``SCTP``.

    Example:
        >>> deny = {"kind": "NetworkPolicy", "metadata": {"name": "deny", "namespace": "a"},
        ...         "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}
        >>> pod, world = Party(name="pod", namespace="a"), Party(name="world", address="192.0.2.1")
        >>> decide([deny], world, pod, 80).ingress.rule
        'no rule of NetworkPolicy/deny'
        >>> decide([deny], pod, world, 80).allowed
        True

    """
    asked = _Asked(port=port, protocol=protocol, named=target.ports)
    return Verdict(
        egress=_side(policies, "Egress", source, target, asked),
        ingress=_side(policies, "Ingress", target, source, asked),
    )


@frozen(kw_only=True)
class _Asked:
    """A port of the target."""

    port: int
    protocol: str
    named: Mapping[str, int]

    def in_(self, ports: Any) -> bool:  # noqa: ANN401 - JSON
        """Tell whether a rule's ports hold it; no ports are all ports."""
        listed = maps(ports)
        return not listed or any(self._is(entry) for entry in listed)

    def _is(self, entry: Mapping[str, Any]) -> bool:
        if (entry.get("protocol") or "TCP") != self.protocol:
            return False
        wanted = entry.get("port")
        if wanted is None:
            return True
        if isinstance(wanted, str):
            wanted = self.named.get(wanted)
        if not isinstance(wanted, int):
            return False
        return wanted <= self.port <= int(entry.get("endPort") or wanted)


def _side(
    policies: Sequence[Policy], direction: str, own: Party, other: Party, asked: _Asked
) -> Side:
    """Look at one end: ``own`` is the one whose policies count."""
    if not own.namespace:
        return Side(allowed=True, rule=f"{own.name} is outside the cluster")
    key, peers = _DIRECTIONS[direction]
    chosen = [policy for policy in policies if _selects(policy, own, direction)]
    if not chosen:
        return Side(allowed=True, rule=f"no policy is about the {key} of {own.name}")
    for policy in chosen:
        for number, rule in enumerate(maps(mapping(policy.get("spec")).get(key))):
            listed = maps(rule.get(peers))
            picked = not listed or any(_is_peer(policy, peer, other) for peer in listed)
            if picked and asked.in_(rule.get("ports")):
                return Side(allowed=True, rule=f"{_called(policy)} {key}[{number}]")
    names = sorted(_called(policy) for policy in chosen)
    return Side(allowed=False, rule=f"no rule of {', '.join(names)}")


def _called(policy: Policy) -> str:
    return f"NetworkPolicy/{policy['metadata']['name']}"


def _selects(policy: Policy, pod: Party, direction: str) -> bool:
    spec = mapping(policy.get("spec"))
    if policy["metadata"].get("namespace") != pod.namespace:
        return False
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]
    return direction in types and _picks(spec.get("podSelector"), pod.labels)


def _picks(selector: Any, labels: Mapping[str, str]) -> bool:  # noqa: ANN401 - JSON
    return Selector.of(mapping(selector)).matches(labels)


def _is_peer(policy: Policy, peer: Mapping[str, Any], other: Party) -> bool:
    if "ipBlock" in peer:
        return _in_block(mapping(peer["ipBlock"]), other.address)
    if not other.namespace or not ("podSelector" in peer or "namespaceSelector" in peer):
        return False
    if "namespaceSelector" in peer:
        if not _picks(peer["namespaceSelector"], other.namespace_labels):
            return False
    elif other.namespace != policy["metadata"].get("namespace"):
        return False
    return _picks(peer.get("podSelector"), other.labels)


def _in_block(block: Mapping[str, Any], text: str) -> bool:
    if not text:
        return False
    address = ipaddress.ip_address(text)
    excepted = (ipaddress.ip_network(cidr) for cidr in _texts(block.get("except")))
    inside = any(address in ipaddress.ip_network(cidr) for cidr in _texts([block.get("cidr")]))
    return inside and not any(address in network for network in excepted)


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    return (item for item in value or () if isinstance(item, str))
