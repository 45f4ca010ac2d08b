"""Which kinds live in a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects.loose import mapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ("Scopes",)

# Cluster-scoped kinds of the API groups that every cluster serves.
# Source: `kubectl api-resources --namespaced=false` of Kubernetes 1.30 to 1.36.
_CLUSTER = frozenset(
    {
        ("", "ComponentStatus"),
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        ("certificates.k8s.io", "CertificateSigningRequest"),
        ("certificates.k8s.io", "ClusterTrustBundle"),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
        ("gateway.networking.k8s.io", "GatewayClass"),
        ("networking.k8s.io", "IPAddress"),
        ("networking.k8s.io", "IngressClass"),
        ("networking.k8s.io", "ServiceCIDR"),
        ("node.k8s.io", "RuntimeClass"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("resource.k8s.io", "DeviceClass"),
        ("resource.k8s.io", "DeviceTaintRule"),
        ("resource.k8s.io", "ResourceSlice"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("snapshot.storage.k8s.io", "VolumeSnapshotClass"),
        ("snapshot.storage.k8s.io", "VolumeSnapshotContent"),
        ("storage.k8s.io", "CSIDriver"),
        ("storage.k8s.io", "CSINode"),
        ("storage.k8s.io", "StorageClass"),
        ("storage.k8s.io", "VolumeAttachment"),
        ("storage.k8s.io", "VolumeAttributesClass"),
    }
)


class Scopes:
    """Answers for built-in kinds, and for the custom kinds whose CRDs are among the objects.

    A custom kind without its CRD counts as namespaced, as most are.
    """

    def __init__(self, objects: Iterable[Mapping[str, Any]] = ()) -> None:
        self._cluster = set(_CLUSTER)
        for obj in objects:
            if obj.get("kind") != "CustomResourceDefinition":
                continue
            spec = mapping(obj.get("spec"))
            if spec.get("scope") == "Cluster":
                kind = mapping(spec.get("names")).get("kind")
                self._cluster.add((str(spec.get("group")), str(kind)))

    def namespaced(self, obj: Mapping[str, Any]) -> bool:
        """Tell whether an object lives in a namespace."""
        group = str(obj["apiVersion"]).rpartition("/")[0]
        return (group, str(obj["kind"])) not in self._cluster
