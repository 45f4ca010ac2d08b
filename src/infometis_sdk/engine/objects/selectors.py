"""Label selectors: which pods one picks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from infometis_sdk.engine.objects.loose import mapping, maps

__all__ = ("Selector", "without_set_labels")

_SET_LABELS = frozenset({"apps.kubernetes.io/pod-index", "statefulset.kubernetes.io/pod-name"})
"""What the StatefulSet controller writes on each pod, and no template can."""


def without_set_labels(labels: Mapping[str, Any]) -> dict[str, Any]:
    """Return labels without those that only the pods of a StatefulSet have, each its own.

    Example:
        >>> without_set_labels({"app": "a", "statefulset.kubernetes.io/pod-name": "a-0"})
        {'app': 'a'}

    """
    return {key: value for key, value in labels.items() if key not in _SET_LABELS}


@frozen(kw_only=True)
class Selector:
    """A label selector with its labels and expressions."""

    labels: Mapping[str, Any]
    expressions: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, selector: Mapping[str, Any]) -> Selector:
        """Read ``matchLabels`` and ``matchExpressions``."""
        return cls(
            labels=mapping(selector.get("matchLabels")),
            expressions=tuple(maps(selector.get("matchExpressions"))),
        )

    def matches(self, labels: Mapping[str, Any]) -> bool:
        """Tell whether an object with these labels is picked; an empty selector picks all.

        Example:
            >>> Selector(labels={"a": "b"}).matches({"a": "b", "c": "d"})
            True

        """
        return all(labels.get(key) == value for key, value in self.labels.items()) and all(
            _holds(expression, labels) for expression in self.expressions
        )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    key, values = expression.get("key"), expression.get("values")
    if not isinstance(values, list):
        values = []
    match expression.get("operator"):
        case "In":
            return labels.get(str(key)) in values
        case "NotIn":
            return labels.get(str(key)) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False
