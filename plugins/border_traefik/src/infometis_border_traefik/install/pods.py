"""Pods of Traefik: what holds for all of them, whatever they are told."""

from __future__ import annotations

from typing import Any

from infometis_border_traefik.routing.route import READY_PATH

__all__ = ("USER", "container", "probes", "security", "volume")

USER = 65532
"""User and group without a name and without rights, as in the official images of Traefik."""


def security() -> dict[str, Any]:
    """Return what no pod of ours may do."""
    return {
        "fsGroup": USER,
        # Otherwise each start would open the certificates of ACME to the group, and Traefik
        # refuses such a file.
        "fsGroupChangePolicy": "OnRootMismatch",
        "runAsGroup": USER,
        "runAsNonRoot": True,
        "runAsUser": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container(image: str, arguments: list[str], resources: dict[str, Any]) -> dict[str, Any]:
    """Return Traefik's container, without ports, probes and volumes."""
    return {
        "name": "traefik",
        "image": image,
        "args": arguments,
        "resources": resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }


def probes(port: str) -> dict[str, Any]:
    """Return the probes: ready once routes are loaded, alive as long as it answers at all."""
    ping = {"httpGet": {"path": "/ping", "port": port}, "timeoutSeconds": 2}
    ready = {"httpGet": {"path": READY_PATH, "port": port}, "timeoutSeconds": 2}
    return {
        "startupProbe": {**ping, "periodSeconds": 2, "failureThreshold": 60},
        "readinessProbe": {**ready, "periodSeconds": 3, "failureThreshold": 2},
        "livenessProbe": {**ping, "periodSeconds": 10, "failureThreshold": 6},
    }


def volume(
    name: str, path: str, source: dict[str, Any], *, writable: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a volume and where it is mounted."""
    mount: dict[str, Any] = {"name": name, "mountPath": path}
    if not writable:
        mount["readOnly"] = True
    return {"name": name, **source}, mount
