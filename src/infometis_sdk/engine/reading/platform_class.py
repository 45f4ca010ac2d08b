"""What kind of cluster it is, as far as we may look."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from infometis_sdk.engine.promoting.target import PlatformClass
from infometis_sdk.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infometis_sdk.model.run import Run
    from infometis_sdk.ports.cluster import Cluster

__all__ = ("platform_class",)

_PLUGINS = {
    "antrea-agent": "antrea",
    "aws-node": "aws-vpc",
    "calico-node": "calico",
    "cilium": "cilium",
    "kindnet": "kindnet",
    "kube-flannel-ds": "flannel",
    "kube-router": "kube-router",
    "weave-net": "weave",
}
"""DaemonSets by which network plugins are known; the names are those of their own manifests."""

_DEFAULT = "storageclass.kubernetes.io/is-default-class"


def platform_class(cluster: Cluster, capabilities: Mapping[str, str], run: Run) -> PlatformClass:
    """Look at a cluster; what may not be looked at stays empty.

    Raises:
        UnreachableError: the API server does not answer.

    """
    version = json.loads(cluster.read("/version", run))
    minor = "".join(c for c in str(version.get("minor", "")) if c.isdigit())
    daemons = {o["metadata"]["name"] for o in _list(cluster, "apps/v1", "DaemonSet", run)}
    plugins = sorted({plugin for name, plugin in _PLUGINS.items() if name in daemons})
    return PlatformClass(
        kubernetes=f"{version.get('major', '1')}.{minor}" if minor else "",
        cni="+".join(plugins),
        storage=_storage(_list(cluster, "storage.k8s.io/v1", "StorageClass", run)),
        encryption=capabilities.get("encrypted_transport", ""),
        capabilities=capabilities,
    )


def _list(cluster: Cluster, version: str, kind: str, run: Run) -> Sequence[Mapping[str, Any]]:
    try:
        return cluster.list(version, kind, run)
    except ClusterError as error:
        if error.status == 0:
            raise
        return ()  # a guest may not look there


def _storage(classes: Sequence[Mapping[str, Any]]) -> str:
    return next(
        (
            str(obj.get("provisioner", ""))
            for obj in classes
            if (obj["metadata"].get("annotations") or {}).get(_DEFAULT) == "true"
        ),
        "",
    )
