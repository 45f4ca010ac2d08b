"""Creations that cannot be judged yet, since they rest on what the plan itself brings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from infometis_sdk.errors import ClusterError, ForbiddenError, NotFoundError

__all__ = ("Object", "lacking", "rests_on")

Object = Mapping[str, Any]


def lacking(error: ClusterError) -> bool:
    """Whether a refusal says that something which the object names is not there.

    A binding wants its role where its author may not give away every right (404);
    a pod wants its service account, its runtime class and its priority class (403).
    Source of the words: the admission plugins of k8s.io/kubernetes ``plugin/pkg/admission``.
    """
    if isinstance(error, ForbiddenError):
        return "not found" in error.message or "was found" in error.message
    return isinstance(error, NotFoundError)


def rests_on(obj: Object, coming: Collection[str]) -> bool:
    """Whether an object names, anywhere but in its metadata, something that is still to be made.

    Example:
        >>> rests_on({"kind": "Pod", "spec": {"serviceAccountName": "late"}}, {"late"})
        True

    """
    body = {key: value for key, value in obj.items() if key not in {"kind", "metadata"}}
    return any(text in coming for text in _texts(body))


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
