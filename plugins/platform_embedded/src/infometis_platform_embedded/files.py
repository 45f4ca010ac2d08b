"""The files that the parts read: kubeconfigs, egress rules, stages of the simulation."""

from __future__ import annotations

import base64
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from infometis_platform_embedded.layout import Layout, write_private

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_platform_embedded.plan import Plan

__all__ = ("write_files",)

_CLIENTS = ("controller-manager", "scheduler", "kwok")


def write_files(plan: Plan, layout: Layout) -> None:
    """Write every file that depends on ports and certificates."""
    for user in _CLIENTS:
        path = layout.config / f"{user}.kubeconfig"
        write_private(path, _text(_kubeconfig(plan, layout.pki, user)))
    write_private(layout.config / "egress.json", _text(_egress(plan.ports["refusal"], layout.pki)))
    stages = resources.files(__package__).joinpath("data/stages.yaml").read_bytes()
    write_private(layout.config / "stages.yaml", stages)
    write_private(layout.kubeconfig, _text(_kubeconfig(plan, layout.pki, "admin")))


def _text(value: dict[str, Any]) -> str:
    """Return JSON, which is YAML too and needs no care with quotes."""
    return json.dumps(value, indent=2) + "\n"


def _kubeconfig(plan: Plan, pki: Path, user: str) -> dict[str, Any]:
    def data(name: str) -> str:
        return base64.b64encode((pki / name).read_bytes()).decode()

    cluster = {
        "server": f"https://127.0.0.1:{plan.ports['api']}",
        "certificate-authority-data": data("ca.crt"),
    }
    credentials = {
        "client-certificate-data": data(f"{user}.crt"),
        "client-key-data": data(f"{user}.key"),
    }
    name = f"{plan.cluster}-{user}"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": plan.cluster, "cluster": cluster}],
        "users": [{"name": name, "user": credentials}],
        "contexts": [{"name": plan.cluster, "context": {"cluster": plan.cluster, "user": name}}],
        "current-context": plan.cluster,
    }


def _egress(port: int, pki: Path) -> dict[str, Any]:
    """Send what goes to nodes, pods and services to the proxy that refuses it with a reason."""
    tls = {
        "caBundle": str(pki / "front-proxy-ca.crt"),
        "clientCert": str(pki / "front-proxy-client.crt"),
        "clientKey": str(pki / "front-proxy-client.key"),
    }
    proxy = {"url": f"https://127.0.0.1:{port}", "tlsConfig": tls}
    connection = {"proxyProtocol": "HTTPConnect", "transport": {"tcp": proxy}}
    return {
        "apiVersion": "apiserver.k8s.io/v1beta1",
        "kind": "EgressSelectorConfiguration",
        "egressSelections": [{"name": "cluster", "connection": connection}],
    }
