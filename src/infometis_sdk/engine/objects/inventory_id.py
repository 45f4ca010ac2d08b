"""Identity of an ApplySet, as KEP-3659 computes it and kubectl ships it."""

from __future__ import annotations

import base64
import hashlib

__all__ = (
    "CLUSTER_NAMESPACE",
    "CLUSTER_PARENT",
    "applyset_id",
    "cluster_applyset_id",
    "parent_name",
    "stack_applyset_id",
)

CLUSTER_PARENT = "infometis-cluster"
CLUSTER_NAMESPACE = "infometis-system"


def applyset_id(name: str, namespace: str, kind: str, group: str) -> str:
    """Return the id of the ApplySet whose parent object is named so.

    Source: https://github.com/kubernetes/enhancements/tree/master/keps/sig-cli/3659-kubectl-apply-prune

    Example:
        >>> applyset_id("test-foo", "test-ns", "Foo", "foo.bar")
        'applyset-f9Rk5tKHoB72oV1tU2iFKxDwL8MBZTjMHFQ8V9WNNlA-v1'

    """
    digest = hashlib.sha256(f"{name}.{namespace}.{kind}.{group}".encode()).digest()
    return f"applyset-{base64.urlsafe_b64encode(digest).decode().rstrip('=')}-v1"


def parent_name(stack_id: str) -> str:
    """Return the name of the ConfigMap that is the parent of a stack's inventory."""
    return f"infometis-{stack_id}"


def stack_applyset_id(stack_id: str, namespace: str) -> str:
    """Return the ApplySet id of a stack; its parent lives in the stack's home namespace."""
    return applyset_id(parent_name(stack_id), namespace, "ConfigMap", "")


def cluster_applyset_id() -> str:
    """Return the ApplySet id of a cluster's inventory of singletons."""
    return applyset_id(CLUSTER_PARENT, CLUSTER_NAMESPACE, "ConfigMap", "")
