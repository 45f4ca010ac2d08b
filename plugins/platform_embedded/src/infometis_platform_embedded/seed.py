"""What has to be in the cluster before it is of use: nodes and a default StorageClass."""

from __future__ import annotations

import hashlib
import http.client
import json
import platform
from typing import TYPE_CHECKING, Any

from infometis_platform_embedded.api import Api, ApiError
from infometis_platform_embedded.daemon.provisioner import PROVISIONER
from infometis_platform_embedded.plan import MANAGED

if TYPE_CHECKING:
    from infometis_platform_embedded.settings import Embedded

__all__ = ("STORAGE_CLASS", "digest", "missing", "node", "seed")

STORAGE_CLASS = "standard"
_OURS = "embedded.infometis.io/node"
_NODES = "/api/v1/nodes"
_ZONES = "abc"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def digest(settings: Embedded) -> str:
    """Return what changes when :func:`seed` would write something else."""
    objects = [node(settings, number) for number in range(1, settings.nodes + 1)]
    return hashlib.sha256(json.dumps([objects, _storage_class()]).encode()).hexdigest()


def seed(api: Api, settings: Embedded) -> None:
    """Make the nodes and the class as the settings say; remove nodes that are too many."""
    api.apply(f"/apis/storage.k8s.io/v1/storageclasses/{STORAGE_CLASS}", _storage_class())
    wanted = {f"node-{number}": node(settings, number) for number in range(1, settings.nodes + 1)}
    live = {each["metadata"]["name"]: each for each in api.get(_NODES)["items"]}
    for name, body in wanted.items():
        if name not in live:
            _create(api, body)
        elif live[name].get("status", {}).get("capacity") != body["status"]["capacity"]:
            sizes = {key: body["status"][key] for key in ("capacity", "allocatable")}
            api.patch(f"{_NODES}/{name}/status", {"status": sizes})
    for name, found in live.items():
        if name not in wanted and _OURS in found["metadata"].get("labels", {}):
            api.delete(f"{_NODES}/{name}")


def _create(api: Api, body: dict[str, Any]) -> None:
    try:
        api.create(_NODES, body)
    except ApiError as error:
        if not error.conflict:
            raise


def missing(api: Api, settings: Embedded) -> str:
    """Return what is not ready yet, or nothing when the cluster can be used."""
    try:
        nodes = api.get(_NODES)["items"]
        ready = sum(_is_ready(each) for each in nodes)
        if ready < settings.nodes:
            return f"{ready} of {settings.nodes} nodes ready"
        try:
            api.get("/api/v1/namespaces/default/serviceaccounts/default")
        except ApiError as error:
            if error.not_found:
                return "service account 'default' is not there yet"
            raise
    except (ApiError, OSError, http.client.HTTPException) as error:
        return str(error)
    return ""


def _is_ready(found: dict[str, Any]) -> bool:
    conditions = found.get("status", {}).get("conditions", ())
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    taints = found["spec"].get("taints", ())
    return ready and not any(each["key"] == "node.kubernetes.io/not-ready" for each in taints)


def node(settings: Embedded, number: int) -> dict[str, Any]:
    """Return the node of that number; zones take turns, so that spreading has something to do."""
    name = f"node-{number}"
    machine = platform.machine()
    architecture = _ARCHITECTURES.get(machine, machine)
    sizes = {
        "cpu": settings.node_cpu,
        "memory": settings.node_memory,
        "ephemeral-storage": "1Ti",
        "pods": str(settings.node_pods),
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {MANAGED: "fake", "node.alpha.kubernetes.io/ttl": "0"},
            "labels": {
                _OURS: "simulated",
                "kubernetes.io/arch": architecture,
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": "simulated",
                "topology.kubernetes.io/region": "embedded",
                "topology.kubernetes.io/zone": f"zone-{_ZONES[(number - 1) % len(_ZONES)]}",
            },
        },
        "status": {
            "allocatable": sizes,
            "capacity": sizes,
            "nodeInfo": {
                "architecture": architecture,
                "bootID": "",
                "containerRuntimeVersion": "",
                "kernelVersion": "simulated",
                "kubeProxyVersion": settings.kubernetes,
                "kubeletVersion": settings.kubernetes,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "simulated",
                "systemUUID": "",
            },
        },
    }


def _storage_class() -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
    }
