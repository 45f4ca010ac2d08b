"""The marks by which our objects are known in a cluster: labels, annotations, field manager."""

from __future__ import annotations

__all__ = (
    "AUDIT_OF",
    "BUNDLE_OF",
    "CHECKSUM",
    "CREDENTIALS",
    "DIGEST",
    "EXPIRES",
    "KEEP",
    "PART_OF",
    "ROLE",
    "SERVICE",
    "STACK",
    "manager_of",
)

STACK = "infometis.io/stack"
"""Label: the stack that an object belongs to."""

SERVICE = "infometis.io/service"
"""Label: the service that an object belongs to; absent on what the stack as a whole needs."""

ROLE = "infometis.io/role"
"""Label on objects of our own bookkeeping.

``inventory``, ``release``, ``release-part``, ``bundle``, ``key``, ``credential`` or
``audit``.
"""

BUNDLE_OF = "infometis.io/bundle-of"
"""Label on parts of stored Bundles: their stack.

It is not :data:`STACK`, so that the LIST of every plan does not bring them along.
"""

AUDIT_OF = "infometis.io/audit-of"
"""Label on copies of audit records: their stack; not :data:`STACK`, for the same reason."""

DIGEST = "infometis.io/digest"
"""Annotation: digest of the object's own rendered content."""

CHECKSUM = "infometis.io/config-checksum"
"""Annotation on pod templates: digest over the ConfigMaps that the pods read."""

SOURCE = "infometis.io/source"
"""Annotation of a Secret that follows its sources: a keyed hash of what they said."""

CREDENTIALS = "infometis.io/credentials"
"""Annotation on pod templates: keyed hash over the credentials that the pods read."""

PART_OF = "applyset.kubernetes.io/part-of"
"""Label of KEP-3659: the inventory that an object belongs to."""

EXPIRES = "infometis.io/expires"
"""Annotation on the namespace of a preview: when it may be removed, UTC."""

KEEP = (
    ("infometis.io/prune", "keep"),
    ("helm.sh/resource-policy", "keep"),
    ("client.lifecycle.config.k8s.io/deletion", "detach"),
)
"""Annotations that forbid prune, ours and those of other tools."""


def manager_of(stack_id: str) -> str:
    """Return the field manager of a stack: stable for its life, without version or environment.

    Example:
        >>> manager_of("dev-7f3a9c")
        'infometis.dev-7f3a9c'

    """
    return f"infometis.{stack_id}"
