"""Checks of single objects that no schema makes: names, labels, quantities, enums, selectors."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.objects import podspec, quantity
from infometis_sdk.engine.objects.loose import mapping, maps
from infometis_sdk.engine.objects.normalise import quantities
from infometis_sdk.engine.objects.selectors import Selector
from infometis_sdk.engine.validation.findings import (
    LABEL,
    SUBDOMAIN,
    Findings,
    label_key,
    label_value,
)
from infometis_sdk.engine.validation.pods import check_pod

if TYPE_CHECKING:
    from infometis_sdk.model.stack import Manifest

__all__ = ("check_object",)

# Kinds whose names may hold anything that fits into a URL path segment.
_LOOSE_NAMES = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
_LABEL_NAMES = ("Namespace", "Service")
# A StatefulSet's pods carry its name, an ordinal and a hash in a label of 63 characters;
# the Jobs of a CronJob carry its name and a time.
_SHORT_NAMES = {"StatefulSet": 52, "CronJob": 52}
_SELECTED = ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet")
_SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_ACCESS = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_PORT_MAX = 65535
_CONFIG_MAX = 1024 * 1024
_ANNOTATIONS_MAX = 256 * 1024

# Group, version and kind that Kubernetes 1.32 and later no longer serve, with what to write.
# Source: https://kubernetes.io/docs/reference/using-api/deprecation-guide/
_REMOVED = {
    ("extensions/v1beta1", "Ingress"): "networking.k8s.io/v1",
    ("networking.k8s.io/v1beta1", "Ingress"): "networking.k8s.io/v1",
    ("networking.k8s.io/v1beta1", "IngressClass"): "networking.k8s.io/v1",
    ("extensions/v1beta1", "Deployment"): "apps/v1",
    ("extensions/v1beta1", "DaemonSet"): "apps/v1",
    ("extensions/v1beta1", "NetworkPolicy"): "networking.k8s.io/v1",
    ("apps/v1beta1", "Deployment"): "apps/v1",
    ("apps/v1beta1", "StatefulSet"): "apps/v1",
    ("apps/v1beta2", "Deployment"): "apps/v1",
    ("apps/v1beta2", "StatefulSet"): "apps/v1",
    ("apps/v1beta2", "DaemonSet"): "apps/v1",
    ("policy/v1beta1", "PodDisruptionBudget"): "policy/v1",
    ("policy/v1beta1", "PodSecurityPolicy"): "the labels of Pod Security admission",
    ("batch/v1beta1", "CronJob"): "batch/v1",
    ("autoscaling/v2beta1", "HorizontalPodAutoscaler"): "autoscaling/v2",
    ("autoscaling/v2beta2", "HorizontalPodAutoscaler"): "autoscaling/v2",
    ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition"): "apiextensions.k8s.io/v1",
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRole"): "rbac.authorization.k8s.io/v1",
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRoleBinding"): "rbac.authorization.k8s.io/v1",
    ("rbac.authorization.k8s.io/v1beta1", "Role"): "rbac.authorization.k8s.io/v1",
    ("rbac.authorization.k8s.io/v1beta1", "RoleBinding"): "rbac.authorization.k8s.io/v1",
    ("scheduling.k8s.io/v1beta1", "PriorityClass"): "scheduling.k8s.io/v1",
    ("storage.k8s.io/v1beta1", "StorageClass"): "storage.k8s.io/v1",
    ("storage.k8s.io/v1beta1", "CSIDriver"): "storage.k8s.io/v1",
    ("coordination.k8s.io/v1beta1", "Lease"): "coordination.k8s.io/v1",
    ("discovery.k8s.io/v1beta1", "EndpointSlice"): "discovery.k8s.io/v1",
    (
        "admissionregistration.k8s.io/v1beta1",
        "MutatingWebhookConfiguration",
    ): "admissionregistration.k8s.io/v1",
    (
        "admissionregistration.k8s.io/v1beta1",
        "ValidatingWebhookConfiguration",
    ): "admissionregistration.k8s.io/v1",
    ("apiregistration.k8s.io/v1beta1", "APIService"): "apiregistration.k8s.io/v1",
    ("flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema"): "flowcontrol.apiserver.k8s.io/v1",
    (
        "flowcontrol.apiserver.k8s.io/v1beta3",
        "PriorityLevelConfiguration",
    ): "flowcontrol.apiserver.k8s.io/v1",
}


def check_object(manifest: Manifest, out: Findings) -> None:
    """Check one object by itself."""
    obj, kind = manifest.object, manifest.ref.kind
    if instead := _REMOVED.get((manifest.ref.api_version, kind)):
        out.error(
            manifest,
            "apiVersion",
            "no cluster of today serves this version",
            found=manifest.ref.api_version,
            legal=instead,
        )
    _name(manifest, out)
    _labels(manifest, "metadata", mapping(obj.get("metadata")), out)
    _quantities(manifest, out)
    if kind in ("ConfigMap", "Secret"):
        _config(manifest, out)
    elif kind == "Service":
        _service(manifest, mapping(obj.get("spec")), out)
    elif kind == "PodDisruptionBudget":
        spec = mapping(obj.get("spec"))
        if "minAvailable" in spec and "maxUnavailable" in spec:
            out.error(
                manifest, "spec", "has both minAvailable and maxUnavailable", legal="one of them"
            )
    elif kind == "HorizontalPodAutoscaler":
        spec = mapping(obj.get("spec"))
        low, high = spec.get("minReplicas", 1), spec.get("maxReplicas")
        if not isinstance(high, int) or not isinstance(low, int) or low > high:
            out.error(
                manifest,
                "spec.maxReplicas",
                "smaller than minReplicas, or missing",
                found=high,
                legal=f"{low} or more",
            )
    elif kind == "PersistentVolumeClaim":
        _claim(manifest, "spec", mapping(obj.get("spec")), out)
    if kind in _SELECTED:
        _workload(manifest, mapping(obj.get("spec")), out)
    pod = podspec.pod_spec(obj)
    if pod is not None:
        check_pod(manifest, pod, out)


def _name(manifest: Manifest, out: Findings) -> None:
    kind, name = manifest.ref.kind, manifest.ref.name
    if kind in _LOOSE_NAMES:
        if not name or name in (".", "..") or "/" in name or "%" in name:
            out.error(manifest, "metadata.name", "not a name", found=name, legal="no / and no %")
        return
    legal = LABEL if kind in _LABEL_NAMES else SUBDOMAIN
    if not legal.fullmatch(name) or (kind == "Service" and not name[:1].isalpha()):
        what = "DNS label" if legal is LABEL else "DNS name"
        first = ", first a letter" if kind == "Service" else ""
        out.error(
            manifest,
            "metadata.name",
            f"not a {what}",
            found=name,
            legal=f"lower-case letters, digits and hyphens{first}",
        )
    elif len(name) > _SHORT_NAMES.get(kind, 253):
        out.error(
            manifest,
            "metadata.name",
            f"too long for a {kind}, whose pods carry it in a label",
            found=name,
            legal=f"at most {_SHORT_NAMES[kind]} characters",
        )


def _labels(manifest: Manifest, path: str, metadata: Mapping[str, Any], out: Findings) -> None:
    for field in ("labels", "annotations"):
        for key, value in mapping(metadata.get(field)).items():
            where = f"{path}.{field}[{key}]"
            if not label_key(key):
                out.error(
                    manifest,
                    where,
                    "not a key",
                    found=key,
                    legal="prefix/name, the name at most 63 letters, digits, - _ .",
                )
            if not isinstance(value, str):
                out.error(
                    manifest,
                    where,
                    "a value that is not text",
                    found=value,
                    legal="text; print it with {{ … | string }}",
                )
            elif field == "labels" and not label_value(value):
                out.error(
                    manifest,
                    where,
                    "not the value of a label",
                    found=value,
                    legal="at most 63 letters, digits, - _ . between letters or digits",
                )
    size = sum(len(str(k)) + len(str(v)) for k, v in mapping(metadata.get("annotations")).items())
    if size > _ANNOTATIONS_MAX:
        out.error(
            manifest,
            f"{path}.annotations",
            f"{size} characters of annotations",
            legal="at most 256 KiB",
        )


def _quantities(manifest: Manifest, out: Findings) -> None:
    for holder, key in quantities(manifest.object):
        try:
            amount = quantity.parse(holder[key])
        except (TypeError, ValueError):
            out.error(manifest, key, "not a quantity", found=holder[key], legal="500m, 2 or 1.5Gi")
            continue
        if amount.value < 0:
            out.error(manifest, key, "a negative amount", found=holder[key], legal="0 or more")


def _config(manifest: Manifest, out: Findings) -> None:
    size = 0
    seen: set[str] = set()
    for field in ("data", "binaryData"):
        for key, value in mapping(manifest.object.get(field)).items():
            where = f"{field}[{key}]"
            if not _CONFIG_KEY.fullmatch(key):
                out.error(manifest, where, "not a key", found=key, legal="letters, digits, - _ .")
            if key in seen:
                out.error(manifest, where, "in data and in binaryData", legal="one of them")
            seen.add(key)
            if not isinstance(value, str):
                out.error(
                    manifest,
                    where,
                    "a value that is not text",
                    found=type(value).__name__,
                    legal="text; print it with {{ … | string }}",
                )
                continue
            size += len(value.encode("utf-8", "surrogatepass"))
            if manifest.ref.kind == "Secret" or field == "binaryData":
                try:
                    base64.b64decode(value, validate=True)
                except (binascii.Error, ValueError):
                    out.error(manifest, where, "not base64", legal="stringData for plain text")
    if size > _CONFIG_MAX:
        out.error(manifest, "data", f"{size} bytes", legal="at most 1 MiB; use a volume for more")


def _service(manifest: Manifest, spec: Mapping[str, Any], out: Findings) -> None:
    out.choice(manifest, "spec.type", spec.get("type"), _SERVICE_TYPES)
    ports = maps(spec.get("ports"))
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        out.error(manifest, "spec.ports", "a Service without ports", legal="one or more")
    for port in ports:
        where = f"spec.ports[{port.get('name') or port.get('port')}]"
        for key in ("port", "nodePort", "targetPort"):
            value = port.get(key)
            if isinstance(value, str) and key == "targetPort":
                continue
            if (value is not None or key == "port") and not (
                isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _PORT_MAX
            ):
                out.error(manifest, f"{where}.{key}", "not a port", found=value, legal="1 to 65535")
        out.choice(manifest, f"{where}.protocol", port.get("protocol"), ("SCTP", "TCP", "UDP"))
    names = [port.get("name") for port in ports]
    if len(ports) > 1 and None in names:
        out.error(
            manifest,
            "spec.ports",
            "several ports, and one of them has no name",
            legal="names for all",
        )
    for name in {n for n in names if n is not None and names.count(n) > 1}:
        out.error(
            manifest, "spec.ports", "two ports with one name", found=name, legal="unique names"
        )


def _claim(manifest: Manifest, path: str, spec: Mapping[str, Any], out: Findings) -> None:
    modes = spec.get("accessModes")
    if not modes:
        out.error(
            manifest,
            f"{path}.accessModes",
            "a claim without access modes",
            legal=", ".join(_ACCESS),
        )
    for mode in modes if isinstance(modes, list) else ():
        out.choice(manifest, f"{path}.accessModes", mode, _ACCESS)
    if "storage" not in mapping(mapping(spec.get("resources")).get("requests")):
        out.error(
            manifest, f"{path}.resources.requests.storage", "a claim without a size", legal="10Gi"
        )


def _workload(manifest: Manifest, spec: Mapping[str, Any], out: Findings) -> None:
    replicas = spec.get("replicas")
    if replicas is not None and (
        not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0
    ):
        out.error(
            manifest, "spec.replicas", "not a number of pods", found=replicas, legal="0 or more"
        )
    template = mapping(mapping(spec.get("template")).get("metadata"))
    _labels(manifest, "spec.template.metadata", template, out)
    selector = spec.get("selector")
    if not isinstance(selector, Mapping) or not selector:
        out.error(
            manifest,
            "spec.selector",
            "no selector, and it can never be added later",
            legal="matchLabels with labels of the pod template",
        )
    elif not Selector.of(selector).matches(mapping(template.get("labels"))):
        out.error(
            manifest,
            "spec.selector",
            "does not match the labels of the pod template",
            found=dict(mapping(template.get("labels"))),
        )
    names: list[str] = []
    for claim in maps(spec.get("volumeClaimTemplates")):
        name = str(mapping(claim.get("metadata")).get("name"))
        _claim(manifest, f"spec.volumeClaimTemplates[{name}].spec", mapping(claim.get("spec")), out)
        if name in names:
            out.error(manifest, "spec.volumeClaimTemplates", "two claims with one name", found=name)
        names.append(name)
