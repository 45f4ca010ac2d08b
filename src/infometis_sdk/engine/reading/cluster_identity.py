"""Which cluster it is that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infometis_sdk.errors import ForbiddenError
from infometis_sdk.model.reference import ObjectRef

if TYPE_CHECKING:
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("cluster_uid", "differ")

_GUEST = "service/"


def cluster_uid(cluster: Cluster, run: Run) -> str:
    """Return the UID of the cluster: that of its ``kube-system`` namespace.

    A guest may not read that; then it is ``service/`` and the UID of the Service
    ``default/kubernetes``, and where that is forbidden too, nothing is known.

    Raises:
        ClusterError: the API server does not answer.

    """
    for ref, prefix in (
        (ObjectRef(api_version="v1", kind="Namespace", name="kube-system"), ""),
        (
            ObjectRef(api_version="v1", kind="Service", namespace="default", name="kubernetes"),
            _GUEST,
        ),
    ):
        try:
            obj = cluster.get(ref, run)
        except ForbiddenError:
            continue
        if obj:
            return prefix + str(obj["metadata"]["uid"])
    return ""


def differ(known: str, actual: str) -> bool:
    """Whether two UIDs surely are those of two clusters; what cannot be compared does not tell.

    Example:
        >>> differ("a", "b"), differ("a", ""), differ("a", "service/b")
        (True, False, False)

    """
    comparable = known.startswith(_GUEST) == actual.startswith(_GUEST)
    return bool(known and actual) and comparable and known != actual
