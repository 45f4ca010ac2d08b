"""What a cluster can do, and how we know."""

from __future__ import annotations

from attrs import field, frozen, validators

__all__ = ("CAPABILITIES", "CAPABILITY_STATES", "Capability")

CAPABILITIES = {
    "default_storage_class": "a claim that names no StorageClass gets a volume",
    "encrypted_transport": "traffic between nodes is encrypted by the network",
    "host_ports": "ports of this machine lead to pods",
    "load_balancer": "a Service of type LoadBalancer gets an address",
    "metrics": "the cluster measures cpu and memory of pods, for autoscaling",
    "multi_node": "two nodes or more take pods",
    "network_policy_enforced": "a NetworkPolicy blocks what it forbids",
    "pods_run": "containers really run",
    "volume_expansion": "volumes can grow",
}
"""Every capability that the SDK knows, with its meaning; a platform may name others."""

CAPABILITY_STATES = ("proved", "declared", "unknown", "absent")


@frozen(kw_only=True)
class Capability:
    """One capability of one cluster.

    Attributes:
        name: such as ``load_balancer``; see :data:`CAPABILITIES`.
        state: ``proved`` (seen on this very cluster), ``declared`` (the platform says so),
            ``unknown``, or ``absent`` (the platform says no, or it was tried in vain).
        detail: how we know, or what went wrong.
        at: when it was proved, in seconds since 1970; 0 where it was not.

    """

    name: str
    state: str = field(validator=validators.in_(CAPABILITY_STATES))
    detail: str = ""
    at: float = 0.0
