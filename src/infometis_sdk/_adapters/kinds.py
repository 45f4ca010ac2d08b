"""How kinds are served: a table of the built-in ones, discovery for the others."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from infometis_sdk.errors import UnknownKindError
from infometis_sdk.ports.cluster import Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ("BUILT_IN", "Kinds", "declared")

_NAMESPACED: Mapping[str, str] = {
    "v1": """
        Binding:bindings ConfigMap:configmaps Endpoints:endpoints Event:events
        LimitRange:limitranges PersistentVolumeClaim:persistentvolumeclaims Pod:pods
        PodTemplate:podtemplates
        ReplicationController:replicationcontrollers ResourceQuota:resourcequotas Secret:secrets
        Service:services ServiceAccount:serviceaccounts
    """,
    "apps/v1": """
        ControllerRevision:controllerrevisions DaemonSet:daemonsets Deployment:deployments
        ReplicaSet:replicasets StatefulSet:statefulsets
    """,
    "authorization.k8s.io/v1": "LocalSubjectAccessReview:localsubjectaccessreviews",
    "autoscaling/v1": "HorizontalPodAutoscaler:horizontalpodautoscalers",
    "autoscaling/v2": "HorizontalPodAutoscaler:horizontalpodautoscalers",
    "batch/v1": "CronJob:cronjobs Job:jobs",
    "coordination.k8s.io/v1": "Lease:leases",
    "discovery.k8s.io/v1": "EndpointSlice:endpointslices",
    "events.k8s.io/v1": "Event:events",
    "networking.k8s.io/v1": "Ingress:ingresses NetworkPolicy:networkpolicies",
    "policy/v1": "PodDisruptionBudget:poddisruptionbudgets",
    "rbac.authorization.k8s.io/v1": "Role:roles RoleBinding:rolebindings",
    "resource.k8s.io/v1": """
        ResourceClaim:resourceclaims ResourceClaimTemplate:resourceclaimtemplates
    """,
    "storage.k8s.io/v1": "CSIStorageCapacity:csistoragecapacities",
}

_CLUSTER_SCOPED: Mapping[str, str] = {
    "v1": """
        ComponentStatus:componentstatuses Namespace:namespaces Node:nodes
        PersistentVolume:persistentvolumes
    """,
    "admissionregistration.k8s.io/v1": """
        MutatingAdmissionPolicy:mutatingadmissionpolicies
        MutatingAdmissionPolicyBinding:mutatingadmissionpolicybindings
        MutatingWebhookConfiguration:mutatingwebhookconfigurations
        ValidatingAdmissionPolicy:validatingadmissionpolicies
        ValidatingAdmissionPolicyBinding:validatingadmissionpolicybindings
        ValidatingWebhookConfiguration:validatingwebhookconfigurations
    """,
    "apiextensions.k8s.io/v1": "CustomResourceDefinition:customresourcedefinitions",
    "apiregistration.k8s.io/v1": "APIService:apiservices",
    "authentication.k8s.io/v1": """
        SelfSubjectReview:selfsubjectreviews TokenReview:tokenreviews
    """,
    "authorization.k8s.io/v1": """
        SelfSubjectAccessReview:selfsubjectaccessreviews
        SelfSubjectRulesReview:selfsubjectrulesreviews SubjectAccessReview:subjectaccessreviews
    """,
    "certificates.k8s.io/v1": "CertificateSigningRequest:certificatesigningrequests",
    "flowcontrol.apiserver.k8s.io/v1": """
        FlowSchema:flowschemas PriorityLevelConfiguration:prioritylevelconfigurations
    """,
    "networking.k8s.io/v1": """
        IPAddress:ipaddresses IngressClass:ingressclasses ServiceCIDR:servicecidrs
    """,
    "node.k8s.io/v1": "RuntimeClass:runtimeclasses",
    "rbac.authorization.k8s.io/v1": """
        ClusterRole:clusterroles ClusterRoleBinding:clusterrolebindings
    """,
    "resource.k8s.io/v1": "DeviceClass:deviceclasses ResourceSlice:resourceslices",
    "scheduling.k8s.io/v1": "PriorityClass:priorityclasses",
    "storage.k8s.io/v1": """
        CSIDriver:csidrivers CSINode:csinodes StorageClass:storageclasses
        VolumeAttachment:volumeattachments VolumeAttributesClass:volumeattributesclasses
    """,
}


def _table() -> dict[tuple[str, str], Resource]:
    table = {}
    for namespaced, rows in ((True, _NAMESPACED), (False, _CLUSTER_SCOPED)):
        for api_version, text in rows.items():
            for entry in text.split():
                kind, _, plural = entry.partition(":")
                table[api_version, kind] = Resource(
                    api_version=api_version, kind=kind, plural=plural, namespaced=namespaced
                )
    return table


BUILT_IN: Mapping[tuple[str, str], Resource] = _table()
"""By API version and kind: what Kubernetes 1.30 to 1.37 serve in stable versions by default.

Compared with a genuine API server's discovery by a test.
A cluster that lacks one of them answers 404, which is reported as an unknown kind all the same.
"""


def declared(definition: Mapping[str, Any]) -> Iterable[Resource]:
    """Yield what a CustomResourceDefinition says about its kinds, one for each served version.

    Example:
        >>> names = {"kind": "Foo", "plural": "foos"}
        >>> spec = {"group": "x.io", "names": names, "scope": "Namespaced",
        ...         "versions": [{"name": "v1", "served": True}]}
        >>> [r.api_version for r in declared({"spec": spec})]
        ['x.io/v1']

    """
    spec = definition.get("spec") or {}
    names = spec.get("names") or {}
    for version in spec.get("versions") or ():
        if version.get("served") and names.get("kind") and names.get("plural"):
            yield Resource(
                api_version=f"{spec.get('group')}/{version.get('name')}",
                kind=names["kind"],
                plural=names["plural"],
                namespaced=spec.get("scope") == "Namespaced",
            )


class Kinds:
    """All kinds of one cluster, kept in memory and nowhere else; safe to share between threads.

    A kind that is not known is looked up in its own group version only, and each time anew, since a
    CustomResourceDefinition may have come since.
    """

    def __init__(self) -> None:
        self._learnt: dict[tuple[str, str], Resource] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def learn(self, resources: Iterable[Resource]) -> None:
        """Take note of kinds."""
        self._learnt.update({(r.api_version, r.kind): r for r in resources})

    def forget(self, api_version: str, kind: str) -> None:
        """Look a kind up anew when it is next needed."""
        self._learnt.pop((api_version, kind), None)

    def find(
        self,
        api_version: str,
        kind: str,
        discover: Callable[[str], Iterable[Resource] | None],
    ) -> Resource:
        """Return how a kind is served.

        Args:
            api_version: group and version.
            kind: the kind in it.
            discover: asks for the kinds of one group version; ``None`` where it is not served.

        Raises:
            UnknownKindError: the cluster serves no such kind.

        """
        key = (api_version, kind)
        known = BUILT_IN.get(key) or self._learnt.get(key)
        if known is not None:
            return known
        with self._lock:
            lock = self._locks.setdefault(api_version, threading.Lock())
        with lock:  # threads that miss the same kind at once cause one request
            if key not in self._learnt:
                found = discover(api_version)
                if found is None:
                    msg = f"the cluster serves no API {api_version}, so there is no kind {kind}"
                    hint = "install the CustomResourceDefinition, or correct apiVersion"
                    raise UnknownKindError(msg, status=404, hint=hint)
                self.learn(found)
        if key not in self._learnt:
            from difflib import get_close_matches

            served = sorted({k for v, k in (*self._learnt, *BUILT_IN) if v == api_version})
            near = get_close_matches(kind, served, n=1)
            hint = f"do you mean {near[0]}? " if near else ""
            hint += f"it serves {', '.join(served) or 'nothing'}"
            msg = f"the cluster serves no kind {kind} in {api_version}"
            raise UnknownKindError(msg, status=404, hint=hint)
        return self._learnt[key]
