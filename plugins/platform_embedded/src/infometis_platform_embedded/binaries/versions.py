"""Which versions belong together, and what this machine is called by their makers."""

from __future__ import annotations

import platform
import sys

__all__ = ("BUILDABLE", "ETCD", "KUBERNETES_PARTS", "KWOK", "PARTS", "target")

ETCD = "v3.6.8"
KWOK = "v0.8.0"
# The Go module is pinned, by go.sum, to this version of Kubernetes.
BUILDABLE = "v1.36.3"

KUBERNETES_PARTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
PARTS = ("etcd", *KUBERNETES_PARTS, "kwok")

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def target() -> tuple[str, str]:
    """Return operating system and architecture in Go's words."""
    machine = platform.machine().lower()
    return sys.platform, _ARCHITECTURES.get(machine, machine)
