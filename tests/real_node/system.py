"""What every cluster has before anybody uses it: DNS and a default StorageClass."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.real_node.images import Image
from tests.real_node.parts import DNS_ADDRESS, PAUSE, PROVISIONER

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("BUSYBOX", "busybox", "images", "objects")

BUSYBOX = "tests.invalid/busybox:1"
_COREDNS = "tests.invalid/coredns:1"
_LABELS = {"k8s-app": "kube-dns"}
_COREFILE = """\
.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 5
    }
    cache 5
}
"""
_APPLETS = ("cat", "env", "grep", "httpd", "ls", "mkdir", "nc", "nslookup", "printf", "sed", "sh")


def busybox(
    name: str = BUSYBOX, *, texts: Mapping[str, str] | None = None, command: tuple[str, ...] = ()
) -> Image:
    """Return an image of the machine's static busybox, with files of one's own.

    Args:
        name: of the image.
        texts: further files, by their path without a leading slash.
        command: what it runs where the pod says nothing.

    """
    program = Path(shutil.which("busybox") or "/bin/busybox")
    links = {f"bin/{each}": "busybox" for each in (*_APPLETS, "rm", "sleep", "touch")}
    return Image(
        name=name,
        files={"bin/busybox": program},
        texts=texts or {},
        links=links,
        command=command or ("sleep", "2147483647"),
        environ={"PATH": "/bin"},
    )


def images(coredns: Path) -> tuple[Image, ...]:
    """Return the images that the node needs before any pod can run."""
    return (
        # Whatever sleeps will do: it holds the namespaces of a pod.
        busybox(PAUSE, command=("/bin/sleep", "2147483647")),
        busybox(),
        Image(name=_COREDNS, files={"coredns": coredns}, entrypoint=("/coredns",)),
    )


def objects() -> list[dict[str, Any]]:
    """Return the objects of DNS, as kubeadm makes them, and the class of volumes."""
    system = {"namespace": "kube-system", "name": "coredns"}
    rules = [
        {"apiGroups": [""], "verbs": ["list", "watch"]}
        | {"resources": ["endpoints", "services", "pods", "namespaces"]},
        {"apiGroups": ["discovery.k8s.io"], "verbs": ["list", "watch"]}
        | {"resources": ["endpointslices"]},
    ]
    rbac = "rbac.authorization.k8s.io"
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "standard",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": PROVISIONER,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": system},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": rules,
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "system:coredns"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "system:coredns"},
            "subjects": [{"kind": "ServiceAccount", **system}],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": system,
            "data": {"Corefile": _COREFILE},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"namespace": "kube-system", "name": "kube-dns", "labels": _LABELS},
            "spec": {"clusterIP": DNS_ADDRESS, "selector": _LABELS, "ports": ports},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": system | {"labels": _LABELS},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": _LABELS},
                "template": {"metadata": {"labels": _LABELS}, "spec": _dns_pod(ports)},
            },
        },
    ]


def _dns_pod(ports: list[dict[str, Any]]) -> dict[str, Any]:
    container = {
        "name": "coredns",
        "image": _COREDNS,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": each["name"], "containerPort": 53, "protocol": each["protocol"]}
            for each in ports
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
    }
    return {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "priorityClassName": "system-cluster-critical",
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
