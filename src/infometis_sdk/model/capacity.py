"""How much an environment lets its services take: autoscalers, limits of containers, quotas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

__all__ = ("QUOTA_SCOPES", "LimitsPolicy", "QuotaPolicy", "ScalingPolicy")

QUOTA_SCOPES = (
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
)
"""Scopes of a ResourceQuota, as Kubernetes calls them (``pkg/apis/core/types.go``)."""


@frozen(kw_only=True)
class ScalingPolicy:
    """Leave the number of pods of one service to a HorizontalPodAutoscaler.

    Legal only where the service's descriptor says that it may scale out.
    Where it may not scale in, no pod is ever taken away again.
    Without a policy the service's parameter counts.

    Attributes:
        min: fewest pods, at least 1.
        max: most pods.
        cpu: cpu that pods should use on average, in per cent of what they request.
        memory: the same of memory; one of both is needed.
        behavior: how fast it scales, as ``spec.behavior`` of Kubernetes has it.

    Example:
        >>> ScalingPolicy(min=2, max=6, cpu=70).max
        6

    """

    min: int
    max: int
    cpu: int | None = None
    memory: int | None = None
    behavior: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class LimitsPolicy:
    """What each container of the namespace gets and may ask for: a LimitRange.

    Each maps a resource, such as ``cpu`` or ``memory``, to a quantity.

    Attributes:
        default_request: request of a container that names none.
        default: limit of a container that names none.
        max: the largest limit; a container that names no limit gets it, unless ``default`` is set.
        min: the smallest request.

    """

    default_request: Mapping[str, str | int | float] = field(factory=dict)
    default: Mapping[str, str | int | float] = field(factory=dict)
    max: Mapping[str, str | int | float] = field(factory=dict)
    min: Mapping[str, str | int | float] = field(factory=dict)


@frozen(kw_only=True)
class QuotaPolicy:
    """A ResourceQuota of the namespace that counts only some of its objects.

    Attributes:
        hard: resource to quantity.
        scopes: what is counted must match all of them.
        priority_classes: count only pods of these priority classes.

    """

    hard: Mapping[str, str | int | float]
    scopes: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    priority_classes: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
