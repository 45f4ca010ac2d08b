"""What can be read from a cluster about its abilities; writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_sdk.errors import ForbiddenError, UnknownKindError
from infometis_sdk.model.reference import ObjectRef

if TYPE_CHECKING:
    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("Facts", "read_facts")

_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_ARCHITECTURE = "kubernetes.io/arch"
_WIREGUARD = "projectcalico.org/WireguardPublicKey"
_SIMULATED = "kwok.x-k8s.io/node"
_METRICS = ObjectRef(
    api_version="apiregistration.k8s.io/v1", kind="APIService", name="v1beta1.metrics.k8s.io"
)


@frozen(kw_only=True)
class Facts:
    """What was read; ``None`` for what we may not read.

    Attributes:
        nodes: how many nodes are ready and take pods without a special toleration.
        architectures: of these nodes, such as ``amd64``.
        classes: name of each StorageClass, and whether it is the default.
        expandable: whether the default class lets volumes grow.
        encrypted: whether every node has a WireGuard key of the network (Calico).
        metrics: whether the API for cpu and memory answers.
        simulated: whether a node is one of KWOK's, on which containers do not run.

    """

    nodes: int | None = None
    architectures: tuple[str, ...] = field(default=(), converter=tuple[str, ...])
    classes: Mapping[str, bool] | None = None
    expandable: bool = False
    encrypted: bool = False
    metrics: bool | None = None
    simulated: bool = False

    @property
    def default_class(self) -> str:
        """Name of the default StorageClass; empty where there is none, or we may not look."""
        return next((name for name, default in (self.classes or {}).items() if default), "")


def read_facts(cluster: Cluster, run: Run) -> Facts:
    """Read what a guest may read too; what is forbidden stays unknown.

    Three requests, whatever the size of the cluster.
    """
    nodes = _list(cluster, "v1", "Node", run)
    taking = [node for node in nodes or () if _takes_pods(node)]
    classes = _list(cluster, "storage.k8s.io/v1", "StorageClass", run)
    defaults = {
        str(each["metadata"]["name"]): _annotation(each, _DEFAULT) == "true"
        for each in classes or ()
    }
    labels = [(node["metadata"].get("labels") or {}).get(_ARCHITECTURE, "") for node in taking]
    return Facts(
        nodes=None if nodes is None else len(taking),
        architectures=sorted({label for label in labels if label}),
        classes=None if classes is None else defaults,
        expandable=any(
            each.get("allowVolumeExpansion") and defaults[each["metadata"]["name"]]
            for each in classes or ()
        ),
        encrypted=bool(nodes) and all(_annotation(node, _WIREGUARD) for node in nodes or ()),
        metrics=_metrics(cluster, run),
        simulated=any(_annotation(node, _SIMULATED) for node in nodes or ()),
    )


def _list(
    cluster: Cluster, api_version: str, kind: str, run: Run
) -> tuple[Mapping[str, Any], ...] | None:
    try:
        return cluster.list(api_version, kind, run)
    except ForbiddenError:
        return None


def _metrics(cluster: Cluster, run: Run) -> bool | None:
    try:
        found = cluster.get(_METRICS, run)
    except (ForbiddenError, UnknownKindError):
        return None
    conditions = ((found or {}).get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Available" and each["status"] == "True" for each in conditions)


def _takes_pods(node: Mapping[str, Any]) -> bool:
    spec, status = node.get("spec") or {}, node.get("status") or {}
    barred = any(
        taint.get("effect") in ("NoSchedule", "NoExecute") for taint in spec.get("taints") or ()
    )
    ready = any(
        each["type"] == "Ready" and each["status"] == "True"
        for each in status.get("conditions") or ()
    )
    return ready and not barred and not spec.get("unschedulable")


def _annotation(obj: Mapping[str, Any], name: str) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(name, ""))
