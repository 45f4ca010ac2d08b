"""NetworkPolicies that let pass exactly what is declared, and nothing else."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.boundary.addresses import block_of
from infometis_sdk.engine.boundary.declared import allows
from infometis_sdk.engine.boundary.pods import PodGroup
from infometis_sdk.model.canonical import canonical_json
from infometis_sdk.model.environment import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from infometis_sdk.engine.boundary.declared import Allow, Neighbours
    from infometis_sdk.engine.boundary.pods import Pods
    from infometis_sdk.model.environment import Environment
    from infometis_sdk.model.service import Service

__all__ = ("boundary_policies",)

_NAMESPACE = "kubernetes.io/metadata.name"
_NAME_MAX = 253


def boundary_policies(
    pods: Pods,
    services: Mapping[str, Service],
    environment: Environment,
    neighbours: Neighbours,
) -> list[dict[str, Any]]:
    """Return the NetworkPolicies of the home namespace.

    One policy for each workload, which denies what no rule of it allows,
    and one for the pods of a service with many workloads among themselves.
    In independent mode one more denies everything to whatever else may run in the namespace, but
    for the border's own pods, which are there to let pass; in shared mode others may live there,
    and only pods of the stack are touched.
    A stack without pods, or an environment that is open, needs none.

    Args:
        pods: of the stack.
        services: descriptors by name.
        environment: its policies and external systems.
        neighbours: those outside the stack.

    """
    home = [group for group in pods.groups if group.namespace == pods.home]
    if not home or not environment.isolated:
        return []
    declared = allows(pods, services, environment, neighbours)
    made: list[dict[str, Any]] = []
    if environment.mode == "independent":
        made += _for_the_rest(pods, neighbours, declared)
    return [*made, *_for_workloads(pods, home, declared)]


def _for_the_rest(
    pods: Pods, neighbours: Neighbours, declared: Sequence[Allow]
) -> Iterator[dict[str, Any]]:
    """Yield what denies everything to all pods of the namespace, the border's own excepted."""
    yield _policy("boundary", {}, [], [])
    # Without labels it would be every pod, and nothing would be denied any more.
    border = [p for p in neighbours.border if p.namespace == pods.home and p.pods]
    labels = dict.fromkeys(tuple(peer.pods.items()) for peer in border)
    for number, each in enumerate(labels, 1):
        selector = {"matchLabels": dict(each)}
        yield _policy(f"boundary-of-border-{number}", selector, [{}], [{}])
    proxies = [p for p in neighbours.egress if p.namespace == pods.home and p.pods]
    for number, proxy in enumerate(proxies, 1):
        # Who may use the proxy is who may reach what is behind it, and nobody else.
        users = _Rules(pods.home)
        for allow in declared:
            if allow.target == proxy:
                users.add(allow.source, allow)
        selector = {"matchLabels": dict(proxy.pods)}
        yield _policy(f"boundary-of-egress-{number}", selector, list(users.of("from")), [{}])


def _for_workloads(
    pods: Pods, home: Sequence[PodGroup], declared: Sequence[Allow]
) -> Iterator[dict[str, Any]]:
    """Yield what lets pass what is declared, a policy for each workload and each crowd."""
    into = {group.key: _Rules(pods.home) for group in pods.groups}
    out = {group.key: _Rules(pods.home) for group in pods.groups}
    crowds: dict[tuple[str, str], PodGroup] = {}
    for allow in declared:
        if isinstance(allow.target, PodGroup):
            into.setdefault(allow.target.key, _Rules(pods.home)).add(allow.source, allow)
        if isinstance(allow.source, PodGroup):
            out.setdefault(allow.source.key, _Rules(pods.home)).add(allow.target, allow)
            if allow.source.workload == f"*/{allow.source.service}":
                crowds[allow.source.key] = allow.source
    workloads = Counter(group.service for group in home)
    for group in home:
        name = f"boundary-{group.service}"
        if workloads[group.service] > 1:
            kind, _, workload = group.workload.partition("/")
            name = f"{name}-{kind.lower()}-{workload}"[:_NAME_MAX]
        ingress, egress = into[group.key].of("from"), out[group.key].of("to")
        yield _policy(name, group.selector, list(ingress), list(egress))
    for crowd in crowds.values():
        if crowd.namespace == pods.home:
            ingress, egress = into[crowd.key].of("from"), out[crowd.key].of("to")
            name = f"boundary-{crowd.service}-within"
            yield _policy(name, crowd.selector, list(ingress), list(egress))


def _policy(
    name: str, selector: Mapping[str, Any], into: list[dict[str, Any]], out: list[dict[str, Any]]
) -> dict[str, Any]:
    spec: dict[str, Any] = {"podSelector": dict(selector), "policyTypes": ["Ingress", "Egress"]}
    # Empty lists mean the same, and the API server leaves them out.
    spec |= {"ingress": into} if into else {}
    spec |= {"egress": out} if out else {}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


class _Rules:
    """The rules of one workload in one direction; peers that share their ports share a rule."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._ports: dict[str, set[tuple[int, str]]] = {}
        self._peers: dict[str, dict[str, Any]] = {}

    def add(self, other: PodGroup | Peer | str, allow: Allow) -> None:
        peer = self._peer(other)
        key = canonical_json(peer).decode()
        self._peers[key] = peer
        self._ports.setdefault(key, set()).add((allow.port, allow.protocol))

    def _peer(self, other: PodGroup | Peer | str) -> dict[str, Any]:
        if isinstance(other, str):
            return {"ipBlock": {"cidr": block_of(other)}}
        if isinstance(other, Peer):
            selector: dict[str, Any] = {"matchLabels": dict(other.pods)} if other.pods else {}
        else:
            selector = dict(other.selector)
            if other.namespace == self._home:
                return {"podSelector": selector}
        space = {"matchLabels": {_NAMESPACE: other.namespace}}
        return {"namespaceSelector": space, "podSelector": selector}

    def of(self, key: str) -> Iterator[dict[str, Any]]:
        """Yield the rules, in an order that does not hang on that of manifests in a file.

        A Bundle keeps manifests sorted, and what it renders must be what the project rendered.
        """
        merged: dict[tuple[tuple[int, str], ...], list[dict[str, Any]]] = {}
        for peer, ports in sorted(self._ports.items()):
            merged.setdefault(tuple(sorted(ports)), []).append(self._peers[peer])
        for shared, peers in merged.items():
            listed = [{"port": port, "protocol": protocol} for port, protocol in shared]
            yield {key: peers, "ports": listed}
