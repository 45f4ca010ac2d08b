"""The order of kinds inside a service, for apply and for delete.

Source: the orders of Helm, Argo CD, Flux and kapp, merged; where they disagree,
namespaces and CRDs come first in apply and last in delete, and custom resources go
before their CRDs and operators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infometis_sdk.model.reference import ObjectRef

__all__ = ("SINGLETONS", "apply_rank", "delete_rank", "early")

_STEPS: tuple[tuple[str, ...], ...] = (
    ("Namespace",),
    ("CustomResourceDefinition",),
    (
        "PriorityClass",
        "StorageClass",
        "IngressClass",
        "GatewayClass",
        "RuntimeClass",
        "CSIDriver",
        "VolumeSnapshotClass",
    ),
    ("ResourceQuota", "LimitRange", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount"),
    ("ClusterRole", "Role"),
    ("ClusterRoleBinding", "RoleBinding"),
    ("Secret", "ConfigMap", "PersistentVolume", "PersistentVolumeClaim"),
    ("Service",),
    ("EndpointSlice",),
    ("DaemonSet", "Pod", "ReplicaSet", "Deployment", "StatefulSet", "Job", "CronJob"),
    (),  # custom resources, and everything else that is not named here
    ("HorizontalPodAutoscaler",),
    # Before the routes that name them: a route through a middleware that is not there is none.
    (
        "Middleware",
        "MiddlewareTCP",
        "ServersTransport",
        "ServersTransportTCP",
        "TLSOption",
        "TLSStore",
        "TraefikService",
    ),
    ("Gateway", "HTTPRoute", "Ingress", "IngressRoute", "IngressRouteTCP", "IngressRouteUDP"),
    ("APIService",),
    ("MutatingWebhookConfiguration", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"),
    (
        "ValidatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ),
)
_RANK = {kind: rank for rank, kinds in enumerate(_STEPS) for kind in kinds}
_CUSTOM = _STEPS.index(())
_EARLY_KINDS = ("Namespace", "CustomResourceDefinition")

SINGLETONS = frozenset(
    {
        "CSIDriver",
        "CustomResourceDefinition",
        "GatewayClass",
        "IngressClass",
        "PriorityClass",
        "RuntimeClass",
        "StorageClass",
        "VolumeSnapshotClass",
    }
)
"""Kinds of which a cluster holds one object for everybody: they live in the cluster's inventory."""


def apply_rank(ref: ObjectRef) -> int:
    """Return the rank of an object in apply: smaller comes first.

    Example:
        >>> from infometis_sdk.model import ObjectRef
        >>> a = ObjectRef(api_version="v1", kind="Namespace", name="a")
        >>> b = ObjectRef(api_version="apps/v1", kind="Deployment", name="b")
        >>> apply_rank(a) < apply_rank(b)
        True

    """
    return _RANK.get(ref.kind, _CUSTOM)


def delete_rank(ref: ObjectRef) -> int:
    """Return the rank of an object in delete: smaller goes first.

    The reverse of apply, so that webhooks go first (validating before mutating), custom resources
    before workloads (their operators) and CRDs, and namespaces last.
    """
    return len(_STEPS) - apply_rank(ref)


def early(ref: ObjectRef) -> bool:
    """Tell whether an object comes before the first service: all namespaces and CRDs do."""
    return ref.kind in _EARLY_KINDS
