"""What a cluster is made of: its record on disk and the command lines of its parts."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import asdict, evolve, field, frozen

from infometis_platform_embedded.layout import Layout, read_json, write_json
from infometis_platform_embedded.settings import Embedded

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ("PARTS", "PORTS", "Plan", "commands", "free_ports", "is_free")

FORMAT = "infometis.io/embedded/v1"
PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
PORTS = ("api", "etcd", "etcd-peer", "refusal")
SERVICE_RANGE = "10.96.0.0/16"
POD_RANGE = "10.50.0.0/16"
MANAGED = "kwok.x-k8s.io/node"


@frozen(kw_only=True)
class Plan:
    """The record of one cluster.

    Attributes:
        cluster: its name.
        settings: what the user asked for when it was made or last changed.
        ports: number of each port in :data:`PORTS`.
        binaries: path of each binary in :data:`PARTS`.
        wanted: ``running`` or ``stopped``.
        data: where etcd keeps its data.
        seeded: digest of the nodes and classes that are in the cluster.
        owner: the process that started it, with which an ephemeral cluster dies.

    """

    cluster: str
    settings: Embedded
    ports: Mapping[str, int]
    binaries: Mapping[str, str]
    wanted: str = "running"
    data: str = ""
    seeded: str = ""
    owner: Mapping[str, Any] = field(factory=dict)
    format: str = field(default=FORMAT)

    @property
    def ephemeral(self) -> bool:
        """Whether the cluster dies with the process that made it."""
        return self.settings.lifetime == "ephemeral"

    def evolve(self, **changes: Any) -> Plan:  # noqa: ANN401
        """Return a changed copy."""
        return evolve(self, **changes)

    def write(self, layout: Layout) -> None:
        """Write the record and, for the supervisor, the command lines."""
        value = asdict(self)
        value["commands"] = commands(self, layout)
        write_json(layout.plan, value)

    @classmethod
    def read(cls, layout: Layout) -> Plan | None:
        """Read the record; ``None`` where there is none or it is torn."""
        value = read_json(layout.plan)
        value.pop("commands", None)
        if value.get("format") != FORMAT:
            return None
        try:
            return cls(**{**value, "settings": Embedded(**value["settings"])})
        except (TypeError, ValueError, KeyError):
            return None


def is_free(port: int) -> bool:
    """Whether nobody listens on that port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(api: int) -> dict[str, int]:
    """Return a free port for each name; ``api`` is taken as it is unless it is 0."""
    names = [name for name in PORTS if name != "api" or not api]
    probes = [socket.socket() for _ in names]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        ports = {
            name: int(probe.getsockname()[1]) for name, probe in zip(names, probes, strict=True)
        }
    finally:
        for probe in probes:
            probe.close()
    return {"api": api, **ports} if api else ports


def commands(plan: Plan, layout: Layout) -> dict[str, list[str]]:
    """Return the command line of each part; secrets are in files, never here."""
    return {
        "etcd": [plan.binaries["etcd"], *_etcd(plan, layout.pki)],
        "kube-apiserver": [plan.binaries["kube-apiserver"], *_apiserver(plan, layout)],
        "kube-controller-manager": [
            plan.binaries["kube-controller-manager"],
            *_controller_manager(layout),
        ],
        "kube-scheduler": [plan.binaries["kube-scheduler"], *_scheduler(layout)],
        "kwok": [plan.binaries["kwok"], *_kwok(layout)],
    }


def _etcd(plan: Plan, pki: Path) -> list[str]:
    client = f"https://127.0.0.1:{plan.ports['etcd']}"
    peer = f"https://127.0.0.1:{plan.ports['etcd-peer']}"
    arguments = [
        "--name=embedded",
        f"--data-dir={plan.data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=embedded={peer}",
        "--client-cert-auth=true",
        f"--trusted-ca-file={pki / 'etcd-ca.crt'}",
        f"--cert-file={pki / 'etcd.crt'}",
        f"--key-file={pki / 'etcd.key'}",
        "--peer-client-cert-auth=true",
        f"--peer-trusted-ca-file={pki / 'etcd-ca.crt'}",
        f"--peer-cert-file={pki / 'etcd.crt'}",
        f"--peer-key-file={pki / 'etcd.key'}",
        "--auto-compaction-retention=1h",
        "--logger=zap",
        "--log-level=warn",
    ]
    if plan.ephemeral:
        arguments.append("--unsafe-no-fsync=true")
    return arguments


def _apiserver(plan: Plan, layout: Layout) -> list[str]:
    pki = layout.pki
    return [
        f"--etcd-servers=https://127.0.0.1:{plan.ports['etcd']}",
        f"--etcd-cafile={pki / 'etcd-ca.crt'}",
        f"--etcd-certfile={pki / 'apiserver-etcd-client.crt'}",
        f"--etcd-keyfile={pki / 'apiserver-etcd-client.key'}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        # a loopback address is no legal endpoint, and nothing in the cluster could use one
        "--endpoint-reconciler-type=none",
        f"--secure-port={plan.ports['api']}",
        f"--cert-dir={layout.config}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
        f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'service-account.pub'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--egress-selector-config-file={layout.config / 'egress.json'}",
        "--profiling=false",
    ]


def _controller_manager(layout: Layout) -> list[str]:
    kubeconfig = layout.config / "controller-manager.kubeconfig"
    pki = layout.pki
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--secure-port=0",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki / 'service-account.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--profiling=false",
    ]


def _scheduler(layout: Layout) -> list[str]:
    kubeconfig = layout.config / "scheduler.kubeconfig"
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--profiling=false",
    ]


def _kwok(layout: Layout) -> list[str]:
    return [
        f"--config={layout.config / 'stages.yaml'}",
        f"--kubeconfig={layout.config / 'kwok.kubeconfig'}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={MANAGED}=fake",
        "--node-lease-duration-seconds=40",
        f"--cidr={POD_RANGE}",
        "--node-ip=127.0.0.1",
    ]
