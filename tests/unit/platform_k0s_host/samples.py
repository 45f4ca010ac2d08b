"""Facts of hosts, as tests need them."""

from __future__ import annotations

from typing import Any

from infometis_platform_k0s_host import Host, K0sHost
from infometis_platform_k0s_host.hosts.checks import private_address
from infometis_platform_k0s_host.hosts.facts import Facts
from infometis_platform_k0s_host.hosts.marker import Marker
from infometis_platform_k0s_host.planning.config import (
    cluster_config,
    config_text,
    digest,
    install_arguments,
    unit_of,
)

__all__ = ("CLUSTER", "blank", "healthy", "hosts")

CLUSTER = "prod"


def hosts(*roles: str, **more: Any) -> K0sHost:
    """Return settings with a host `h0`, `h1`, … for each role."""
    all_hosts = [Host(address=f"h{index}", role=role) for index, role in enumerate(roles)]
    return K0sHost(hosts=all_hosts, **more)


def blank(host: Host, **more: Any) -> Facts:
    """Return the facts of a host that will do and that nobody has used."""
    index = int(host.name[1:]) + 1
    values: dict[str, Any] = {
        "host": host.name,
        "node": host.name,
        "arch": "amd64",
        "init": "systemd",
        "memory": 8 << 20,
        "instances": 8192,
        "disk_size": 100 << 20,
        "disk_free": 90 << 20,
        "addresses": (f"10.0.0.{index}",),
        "machine": f"machine-{host.name}",
    }
    return Facts(**(values | more))


def healthy(host: Host, settings: K0sHost, **more: Any) -> Facts:
    """Return the facts of a host that does its part."""
    facts = blank(host)
    config = ""
    if host.controls:
        text = config_text(cluster_config(settings, host, private_address(host, facts)))
        config = digest(text)
    marker = Marker(
        cluster=CLUSTER,
        uid="1",
        role=host.role,
        address=facts.addresses[0],
        joined=True,
        arguments=install_arguments(settings, host),
        config=config,
        stamp="1:2:3",
        version=settings.version,
        labels=[f"{key}={value}" for key, value in host.labels.items()],
        taints=host.taints,
        data_dir=settings.data_dir,
    )
    values: dict[str, Any] = {
        "marker": marker,
        "stamp": "1:2:3",
        "version": settings.version,
        "config": config,
        "units": (unit_of(host),),
        "status": {"Role": "controller" if host.controls else "worker"},
        "data": ("pki/ca.crt", "etcd/member") if host.controls else ("kubelet.conf",),
    }
    return blank(host, **(values | more))
