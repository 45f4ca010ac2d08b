"""The stamp: namespace, unique cluster-scoped names, ownership labels and the object's own digest.

Templates know nothing of all this, so the same template serves every environment.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from infometis_sdk.engine.objects.inventory_id import cluster_applyset_id, stack_applyset_id
from infometis_sdk.engine.objects.loose import mapping, maps
from infometis_sdk.engine.objects.marks import DIGEST, PART_OF, SERVICE, STACK
from infometis_sdk.engine.objects.order import SINGLETONS
from infometis_sdk.engine.objects.scope import Scopes

__all__ = ("MANAGED_BY", "Stamp", "content_digest", "foreign_marks", "reserved")

MANAGED_BY = "infometis"
"""Value of the label ``app.kubernetes.io/managed-by``."""

# Cluster-scoped kinds that are renamed: those whose every reference we know and rewrite.
# Others keep their names: singletons are shared on purpose, an APIService is named by its API,
# and who refers to a custom resource nobody can know.
_RENAMED = frozenset(
    {
        "ClusterRole",
        "ClusterRoleBinding",
        "MutatingWebhookConfiguration",
        "PersistentVolume",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    }
)


def reserved(key: str) -> bool:
    """Tell whether a label or annotation key is ours to write, and no template's."""
    prefix = key.partition("/")[0]
    return prefix in ("infometis.io", "applyset.kubernetes.io")


def foreign_marks(obj: Mapping[str, Any]) -> list[str]:
    """Return the reserved keys that an object brings along."""
    metadata = obj.get("metadata") or {}
    return [
        f"metadata.{field}[{key}]"
        for field in ("labels", "annotations")
        for key in mapping(metadata.get(field))
        if reserved(str(key)) and key != "infometis.io/prune"
    ]


def content_digest(obj: Mapping[str, Any]) -> str:
    """Return the digest of an object's content, its own digest annotation left out.

    Example:
        >>> marked = {"metadata": {"annotations": {"infometis.io/digest": "x"}}}
        >>> content_digest(marked) == content_digest({"metadata": {"annotations": {}}})
        True

    """
    metadata = obj.get("metadata") or {}
    annotations = {k: v for k, v in mapping(metadata.get("annotations")).items() if k != DIGEST}
    bare = {**obj, "metadata": {**metadata, "annotations": annotations}}
    text = json.dumps(
        bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


@frozen(kw_only=True)
class Stamp:
    """What is written on every object of one stack.

    Attributes:
        renamed: ``(kind, name)`` of cluster-scoped objects to their unique names.

    """

    stack_id: str
    namespace: str
    project: str
    scopes: Scopes
    renamed: Mapping[tuple[str, str], str]

    @staticmethod
    def unique_name(obj: Mapping[str, Any], stack_id: str) -> str | None:
        """Return the unique name of an object that is renamed, or ``None``."""
        if obj["kind"] not in _RENAMED:
            return None
        return f"{obj['metadata']['name']}-{stack_id}"

    def place(self, obj: dict[str, Any], *, raw: bool) -> None:
        """Write names and namespaces in place; raw manifests keep what they say themselves."""
        metadata = obj["metadata"]
        namespaced = self.scopes.namespaced(obj)
        if namespaced:
            metadata.setdefault("namespace", self.namespace)
        else:
            metadata.pop("namespace", None)
        if not raw and (name := self.renamed.get((obj["kind"], metadata["name"]))):
            metadata["name"] = name
        self._references(obj, raw=raw)

    def mark(self, obj: dict[str, Any], *, service: str, raw: bool) -> None:
        """Write labels and the digest in place; the object must not change afterwards."""
        metadata = obj["metadata"]
        own = mapping(metadata.get("labels"))
        marks = {"app.kubernetes.io/managed-by": MANAGED_BY}
        if obj["kind"] in SINGLETONS:
            # Shared by all stacks of the cluster, so nothing of one stack stands on it.
            marks[PART_OF] = cluster_applyset_id()
        else:
            marks |= {
                "app.kubernetes.io/instance": self.stack_id,
                STACK: self.stack_id,
                PART_OF: stack_applyset_id(self.stack_id, self.namespace),
            }
            names = {"app.kubernetes.io/part-of": self.project}
            if service:
                names["app.kubernetes.io/name"] = service
                marks[SERVICE] = service
            # What a raw manifest calls itself, others may select it by.
            marks = {**marks, **{k: v for k, v in names.items() if not raw or k not in own}}
        metadata["labels"] = {**own, **marks}
        annotations = dict(mapping(metadata.get("annotations")))
        metadata["annotations"] = annotations
        annotations[DIGEST] = content_digest(obj)

    def _references(self, obj: dict[str, Any], *, raw: bool) -> None:
        kind = obj["kind"]
        if kind in ("RoleBinding", "ClusterRoleBinding"):
            home = obj["metadata"].get("namespace", self.namespace)
            for subject in maps(obj.get("subjects")):
                if subject.get("kind") == "ServiceAccount":
                    subject.setdefault("namespace", home)
            role = mapping(obj.get("roleRef"))
            if not raw and role.get("kind") == "ClusterRole" and "name" in role:
                role["name"] = self.renamed.get(("ClusterRole", str(role["name"])), role["name"])
        for config in _client_configs(obj):
            service = mapping(config.get("service"))
            if service:
                service.setdefault("namespace", self.namespace)
        spec = mapping(obj.get("spec"))
        if raw:
            return
        for key, target, of in (
            ("policyName", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
            ("volumeName", "PersistentVolume", "PersistentVolumeClaim"),
        ):
            if kind == of and spec.get(key):
                spec[key] = self.renamed.get((target, str(spec[key])), spec[key])


def _client_configs(obj: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what holds a ``service`` reference: webhooks, CRD conversion, and an APIService."""
    kind, spec = obj["kind"], mapping(obj.get("spec"))
    if kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        return [mapping(hook.get("clientConfig")) for hook in maps(obj.get("webhooks"))]
    if kind == "APIService":
        return [spec]
    if kind == "CustomResourceDefinition":
        webhook = mapping(mapping(spec.get("conversion")).get("webhook"))
        return [mapping(webhook.get("clientConfig"))]
    return []
