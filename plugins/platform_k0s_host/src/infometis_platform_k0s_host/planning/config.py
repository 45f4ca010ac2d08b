"""The ClusterConfig of each controller, and the arguments that its service is installed with.

Fields are those of ``k0s.k0sproject.io/v1beta1`` (k0s' documentation, "Configuration options").
Both depend on the settings and on the host's own address only,
so that a host that is down changes nothing for the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from infometis_platform_k0s_host.planning import hardening

if TYPE_CHECKING:
    from infometis_platform_k0s_host.settings import Host, K0sHost

__all__ = (
    "CONFIG",
    "TOKEN",
    "cluster_config",
    "config_text",
    "digest",
    "install_arguments",
    "unit_of",
)

CONFIG = "/etc/k0s/k0s.yaml"
TOKEN = "/etc/k0s/infometis-token"  # noqa: S105 - a path


def cluster_config(settings: K0sHost, host: Host, address: str) -> dict[str, Any]:
    """Return what ``/etc/k0s/k0s.yaml`` of a controller says.

    Args:
        settings: of the cluster.
        host: the controller.
        address: by which the other hosts reach it.

    """
    names = [address, host.address, settings.external_address]
    names += [each.private_address or each.address for each in settings.controllers]
    api: dict[str, Any] = {
        "address": address,
        "port": settings.api_port,
        "sans": sorted({name for name in names if name} | {"localhost", "127.0.0.1"}),
    }
    if settings.external_address:
        api["externalAddress"] = settings.external_address
    if settings.hardening:
        api["extraArgs"] = hardening.api_arguments()
    spec: dict[str, Any] = {
        "api": api,
        "network": _network(settings),
        "telemetry": {"enabled": False},
    }
    if storage := _storage(settings, host, address):
        spec["storage"] = storage
    kubelet = hardening.kubelet_values() if settings.hardening else {}
    if settings.cgroup_v1:
        kubelet["failCgroupV1"] = False
    if kubelet:
        spec["workerProfiles"] = [{"name": "default", "values": kubelet}]
    if settings.images:
        spec["images"] = {"default_pull_policy": "IfNotPresent"}
    return {
        "apiVersion": "k0s.k0sproject.io/v1beta1",
        "kind": "ClusterConfig",
        "metadata": {"name": "k0s"},
        "spec": _merged(spec, settings.config),
    }


def _network(settings: K0sHost) -> dict[str, Any]:
    network: dict[str, Any] = {
        "provider": settings.network,
        "podCIDR": settings.pod_cidr,
        "serviceCIDR": settings.service_cidr,
    }
    if settings.network == "calico":
        network["calico"] = {"mode": "vxlan", "wireguard": settings.encrypted_transport}
    if len(settings.controllers) > 1 and not settings.external_address:
        # Without a load balancer each worker balances by itself, or it hangs on one controller.
        network["nodeLocalLoadBalancing"] = {"enabled": True, "type": "EnvoyProxy"}
    return network


def _storage(settings: K0sHost, host: Host, address: str) -> dict[str, Any]:
    if settings.storage == "kine" or (not settings.storage and host.role == "single"):
        return {"type": "kine"}
    return {"type": "etcd", "etcd": {"peerAddress": address}}


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Maps merge, all else is replaced, and null unsets."""
    result = dict(base)
    for key, value in over.items():
        mine = result.get(key)
        if isinstance(value, Mapping) and isinstance(mine, Mapping):
            result[key] = _merged(mine, value)
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


def config_text(config: Mapping[str, Any]) -> str:
    """Return YAML in an order that is always the same."""
    import yaml

    return yaml.safe_dump(dict(config), sort_keys=True, default_flow_style=False)


def digest(text: str) -> str:
    """Return the SHA-256 of a file's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def install_arguments(settings: K0sHost, host: Host) -> tuple[str, ...]:
    """Return what follows ``k0s install``, without the token of a host that joins.

    Example:
        >>> from infometis_platform_k0s_host import Host, K0sHost
        >>> one = Host(address="a", role="single")
        >>> install_arguments(K0sHost(hosts=(one,)), one)
        ('controller', '--data-dir=/var/lib/k0s', '--config=/etc/k0s/k0s.yaml', '--single')

    """
    words = ["controller" if host.controls else "worker", f"--data-dir={settings.data_dir}"]
    if host.controls:
        words.append(f"--config={CONFIG}")
    if host.role == "single":
        words.append("--single")
    elif host.role == "controller+worker":
        words += ["--enable-worker", "--no-taints"]
    if host.controls and not settings.metrics:
        words.append("--disable-components=metrics-server")
    if settings.cgroup_v1:
        words.append("--ignore-pre-flight-checks")
    return tuple(words)


def unit_of(host: Host) -> str:
    """Return the name of the service."""
    return "k0scontroller" if host.controls else "k0sworker"
