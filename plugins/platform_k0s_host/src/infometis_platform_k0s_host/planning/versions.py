"""Versions of k0s, and which of them may follow which. Pure.

``v1.36.3+k0s.2`` is Kubernetes 1.36.3 in the third build of k0s, counted from 0.
Semantic versioning ignores what follows the plus sign, and we must not.
"""

from __future__ import annotations

import re

__all__ = ("refused",)

_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)\S*?\+k0s(?:\.(\d+))?")


def _parts(version: str) -> tuple[int, ...] | None:
    match = _VERSION.fullmatch(version)
    return tuple(int(part or 0) for part in match.groups()) if match else None


def refused(old: str, new: str) -> str:
    """Say why a cluster may not go from one version to another; empty where it may.

    The rules are Kubernetes' version skew policy: one minor version at a time, and never down.

    Example:
        >>> refused("v1.34.1+k0s.0", "v1.36.3+k0s.2")
        'v1.34.1+k0s.0 must become some v1.35 before it becomes v1.36.3+k0s.2'
        >>> refused("v1.36.3+k0s.2", "v1.36.3+k0s.0")
        'v1.36.3+k0s.2 cannot go down to v1.36.3+k0s.0'
        >>> refused("v1.36.3+k0s.0", "v1.36.3+k0s.2")
        ''

    """
    was, now = _parts(old), _parts(new)
    if was is None or now is None:
        return f"{old if was is None else new!r} is no version of k0s"
    if now < was:
        return f"{old} cannot go down to {new}"
    if now[0] != was[0] or now[1] > was[1] + 1:
        return f"{old} must become some v{was[0]}.{was[1] + 1} before it becomes {new}"
    return ""
