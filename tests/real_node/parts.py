"""What the node is made of: its files and the command line of each part.

The control plane is the embedded platform's, told to listen where pods and tests reach it;
kubelet, kube-proxy and containerd are told what machines of continuous integration need:
control groups of either version, no CAP_SYS_RESOURCE, swap, and nothing set for the whole machine.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from infometis_platform_embedded import Embedded
from infometis_platform_embedded.files import write_files
from infometis_platform_embedded.layout import Layout, write_private
from infometis_platform_embedded.pki import LEAVES, Leaf, _issue, ensure_pki
from infometis_platform_embedded.plan import SERVICE_RANGE, Plan, commands

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ("DNS_ADDRESS", "PAUSE", "PROVISIONER", "Addresses", "write_spec")

NODE = "node-1"
PAUSE = "registry.k8s.io/pause:3.10"
PROVISIONER = "tests.infometis.io/folder"
DNS_ADDRESS = "10.96.0.10"
_POD_RANGE = "10.244.0.0/24"
_API_PORT = 6443
_DOMAIN = "cluster.local"
_SOCKET = "unix:///run/containerd/containerd.sock"
_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_CNI_PLUGINS = "/usr/lib/cni"


@frozen
class Addresses:
    """The two ends of the cable between this machine and the node."""

    gateway: str
    node: str


def write_spec(folder: Path, name: str, addresses: Addresses, programs: Mapping[str, Path]) -> Path:
    """Write every file that the node needs; return the kubeconfig of its administrator.

    Args:
        folder: gets all files, readable by this user only.
        name: of the node's control group and of this machine's end of the cable.
        addresses: of the two ends of the cable.
        programs: path of each program.

    """
    layout = Layout(folder)
    layout.make()
    (folder / "disk").mkdir()
    _write_pki(layout, addresses.node)
    plan = Plan(
        cluster=name,
        settings=Embedded(lifetime="ephemeral"),
        ports={"api": _API_PORT, "etcd": 2379, "etcd-peer": 2380, "refusal": 9},
        binaries={key: str(path) for key, path in programs.items()},
        data=str(folder / "disk" / "etcd"),
    )
    write_files(plan, layout)
    _write_clients(layout, addresses.node)
    plane = commands(plan, layout)
    plane["kube-apiserver"] += _apiserver(layout, addresses.node)
    parts: dict[str, dict[str, Any]] = {part: {"command": plane[part]} for part in _PLANE}
    parts |= {
        "containerd": _containerd(layout, programs),
        "kubelet": _kubelet(layout, name, addresses.node, programs),
        "kube-proxy": _kube_proxy(layout, programs),
        "provisioner": _provisioner(layout, programs),
    }
    for part, value in parts.items():
        value["log"] = str(layout.log(part))
    spec = {
        "folder": str(folder),
        "name": name,
        "gateway": addresses.gateway,
        "address": addresses.node,
        "services": SERVICE_RANGE,
        "parts": list(parts.values()),
    }
    _write(folder / "spec.json", spec)
    return layout.kubeconfig


def _write(path: Path, value: Any) -> Path:
    """Write JSON, which is YAML too."""
    write_private(path, json.dumps(value, indent=1))
    return path


# ----------------------------------------------------------------------------------- the plane


def _write_pki(layout: Layout, address: str) -> None:
    """Make the certificates; the API server's and the kubelet's serve the node's address too."""
    ensure_pki(layout.pki)
    server = next(leaf for leaf in LEAVES if leaf.name == "apiserver")
    node = (f"system:node:{NODE}", ("system:nodes",))
    for leaf in (
        evolve(server, addresses=(*server.addresses, address)),
        Leaf(name="kubelet", authority="ca", user=node[0], groups=node[1], addresses=(address,)),
        Leaf(name="kube-proxy", authority="ca", user="system:kube-proxy"),
    ):
        _issue(layout.pki, leaf)


def _write_clients(layout: Layout, address: str) -> None:
    """Write the kubeconfigs of the node's own parts, and lead the administrator's to the node."""
    text = layout.kubeconfig.read_text().replace("127.0.0.1", address)
    write_private(layout.kubeconfig, text)
    admin = json.loads(text)
    for user in ("kubelet", "kube-proxy", "provisioner"):
        files = {
            "client-certificate": str(layout.pki / f"{user}.crt"),
            "client-key": str(layout.pki / f"{user}.key"),
        }
        users = [{"name": admin["users"][0]["name"], "user": files}]
        _write(layout.config / f"{user}.kubeconfig", admin | {"users": users})


def _apiserver(layout: Layout, address: str) -> list[str]:
    """Return what differs from the embedded platform; the last of two equal flags counts."""
    return [
        "--bind-address=0.0.0.0",  # of the node, which nothing but this machine reaches
        f"--advertise-address={address}",
        "--endpoint-reconciler-type=lease",
        "--egress-selector-config-file=",
        f"--kubelet-certificate-authority={layout.pki / 'ca.crt'}",
        "--kubelet-preferred-address-types=InternalIP",
    ]


# ------------------------------------------------------------------------------------ the node


def _containerd(layout: Layout, programs: Mapping[str, Path]) -> dict[str, Any]:
    networks = layout.config / "cni"
    networks.mkdir(mode=0o700)
    # Routed, not bridged: so every packet passes the rules of kube-proxy, in any kernel.
    pods = {
        "type": "ptp",
        "ipam": {
            "type": "host-local",
            "dataDir": "/run/cni",
            "ranges": [[{"subnet": _POD_RANGE}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    plugins = [pods, ports]
    _write(
        networks / "10-node.conflist", {"cniVersion": "1.0.0", "name": "node", "plugins": plugins}
    )
    config = layout.config / "containerd.toml"
    config.write_text(
        f"""\
version = 3

[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
disable_apparmor = true
netns_mounts_under_state_dir = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['{_CNI_PLUGINS}']
conf_dir = '{networks}'

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '{PAUSE}'
"""
    )
    return {
        "command": [str(programs["containerd"]), "--config", str(config)],
        # It looks for its shim on PATH.
        "env": {"PATH": f"{programs['containerd'].parent}:/usr/sbin:/usr/bin:/sbin:/bin"},
    }


def _kubelet(
    layout: Layout, group: str, address: str, programs: Mapping[str, Path]
) -> dict[str, Any]:
    resolver = layout.config / "resolv.conf"
    resolver.write_text("")
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(layout.pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(layout.pki / "kubelet.key"),
        "containerRuntimeEndpoint": _SOCKET,
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": _DOMAIN,
        "resolvConf": str(resolver),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{group}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "localStorageCapacityIsolation": False,
        "makeIPTablesUtilChains": False,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%"},
        "healthzPort": 0,
        # Tests wait for pods: what happens to one is seen at once.
        "syncFrequency": "10s",
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "shutdownGracePeriod": "0s",
    }
    file = _write(layout.config / "kubelet.yaml", config)
    return {
        "command": [
            *(str(programs["kube"]), "kubelet", f"--config={file}"),
            f"--kubeconfig={layout.config / 'kubelet.kubeconfig'}",
            f"--hostname-override={NODE}",
            f"--node-ip={address}",
            "--node-labels=topology.kubernetes.io/zone=zone-a",
        ]
    }


def _kube_proxy(layout: Layout, programs: Mapping[str, Path]) -> dict[str, Any]:
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "hostnameOverride": NODE,
        "clusterCIDR": _POD_RANGE,
        "clientConnection": {"kubeconfig": str(layout.config / "kube-proxy.kubeconfig")},
        # 0: left as they are, which is all that a namespace of the network may do.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s"}
        | {"tcpCloseWaitTimeout": "0s"},
        "iptables": {"minSyncPeriod": "100ms"},
    }
    file = _write(layout.config / "kube-proxy.yaml", config)
    return {"command": [str(programs["kube"]), "kube-proxy", f"--config={file}"]}


def _provisioner(layout: Layout, programs: Mapping[str, Path]) -> dict[str, Any]:
    return {
        "command": [
            str(programs["provisioner"]),
            f"-kubeconfig={layout.config / 'provisioner.kubeconfig'}",
            f"-name={PROVISIONER}",
            f"-root={layout.state_dir / 'disk' / 'volumes'}",
        ]
    }
