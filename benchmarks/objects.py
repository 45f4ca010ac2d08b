"""Mixed objects of the same size for every tool: config, services, workloads, accounts."""

from __future__ import annotations

from typing import Any

__all__ = ("mixed",)


def mixed(count: int) -> list[dict[str, Any]]:
    """Return that many objects: two fifths ConfigMaps, a fifth each of three other kinds."""
    return [_MAKERS[number % len(_MAKERS)](number) for number in range(count)]


def _config(number: int) -> dict[str, Any]:
    data = {f"key{key}": f"value {key} of object {number}" for key in range(20)}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"config-{number}"},
        "data": data,
    }


def _service(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"service-{number}"},
        "spec": {
            "selector": {"app": f"app-{number + 1}"},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}],
        },
    }


def _deployment(number: int) -> dict[str, Any]:
    labels = {"app": f"app-{number}"}
    container = {
        "name": "main",
        "image": "example.invalid/app:1.0",
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "16Mi"}},
        "env": [{"name": f"VARIABLE_{key}", "value": str(key)} for key in range(5)],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"deployment-{number}"},
        # No replicas: pods would measure the control plane and not the tools.
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _account(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": f"account-{number}"},
        "automountServiceAccountToken": False,
    }


_MAKERS = (_config, _config, _service, _deployment, _account)
