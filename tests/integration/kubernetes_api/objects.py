"""Objects that the tests write."""

from __future__ import annotations

from typing import Any

from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Write


def config_map(namespace: str, name: str = "a", **data: str) -> dict[str, Any]:
    """Return a ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def apply(body: dict[str, Any], **more: Any) -> Write:
    """Return a server-side apply of an object."""
    return Write(verb="apply", ref=ObjectRef.of(body), body=body, **{"manager": "t", **more})


def write(verb: str, body: dict[str, Any], **more: Any) -> Write:
    """Return another write of an object."""
    payload = None if verb == "delete" else body
    return Write(verb=verb, ref=ObjectRef.of(body), **{"body": payload, "manager": "t", **more})


def definition(group: str, kind: str = "Foo") -> dict[str, Any]:
    """Return a CustomResourceDefinition."""
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }
