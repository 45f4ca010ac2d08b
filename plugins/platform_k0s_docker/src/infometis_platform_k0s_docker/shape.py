"""What a cluster is made of in Docker: names, labels, command lines, options. Pure.

The options are those of k0s' own page on k0s in Docker, and of its compose files;
where one of them is missed, the comment says what happens.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
import yaml
from attrs import field, frozen

if TYPE_CHECKING:
    from infometis_platform_k0s_docker.plan import Plan
    from infometis_platform_k0s_docker.settings import K0sDocker

__all__ = (
    "API",
    "CONFIG",
    "DATA",
    "LABEL",
    "SPEC",
    "TOKEN",
    "NodeShape",
    "address_of",
    "labels",
    "network_name",
    "node_names",
    "node_shape",
    "ranges",
    "volume_names",
)

LABEL = "io.infometis."
SPEC = LABEL + "spec"
API = 6443
CONFIG = "etc/k0s/k0s.yaml"  # where k0s reads it; what K0S_CONFIG names is read by nobody
TOKEN = "etc/k0s/join-token"  # noqa: S105 - a path
DATA = "/var/lib/k0s"
_LOGS = "/var/log/pods"
# Apart from the rest, so that a restore of the control plane leaves what pods wrote.
_VOLUMES = "/var/lib/local-path"
_PODS, _SERVICES = "10.244.0.0/16", "10.96.0.0/12"
_LONGEST = 56  # of a host name there may be 63 letters, and the number of the node is one more part
# All that k0s documents for a node that runs pods without --privileged.
_CAPABILITIES = ("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "SYS_RESOURCE", "SYSLOG")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@frozen(kw_only=True)
class NodeShape:
    """One node: a container, its volumes, and the files that it is given.

    Attributes:
        number: 0 for the one with the control plane.
        name: of the container, its host name, and so of the node in Kubernetes, for ever.
        address: in the cluster's network, for ever: etcd and certificates hold it.
        volumes: name of each volume, and where it is mounted.
        command: what the image is told; with bare flags, since its entry point knows no others.
        environment: variables.
        ports: port and protocol in the container, and the port on the host.
        options: the rest, in the words of Docker's API.
        files: path in the container, without the leading slash, and content.
        spec: digest of all this but the environment, which differs between a user's shells;
            a container with another one is made anew around its volumes.

    """

    number: int
    name: str
    address: str
    volumes: Mapping[str, str]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ports: Mapping[str, int]
    options: Mapping[str, Any]
    files: Mapping[str, bytes] = field(repr=False)
    spec: str = ""

    @property
    def controls(self) -> bool:
        """Whether it holds the control plane."""
        return self.number == 0


def stem(cluster: str) -> str:
    """Return what all names of a cluster begin with.

    Example:
        >>> stem("shop-dev")
        'infometis-shop-dev'
        >>> len(stem("x" * 63))
        56

    """
    name = f"infometis-{cluster}"
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def network_name(cluster: str) -> str:
    """Return the name of a cluster's network."""
    return stem(cluster)


def node_names(cluster: str, count: int) -> tuple[str, ...]:
    """Return the name of each node; the first holds the control plane."""
    return tuple(f"{stem(cluster)}-{number}" for number in range(count))


def volume_names(plan: Plan, number: int) -> Mapping[str, str]:
    """Return the name of each volume of a node, and where it is mounted."""
    name = f"{stem(plan.cluster)}-{number}"
    data = f"{name}-data" + (f"-{plan.data}" if number == 0 and plan.data else "")
    return {data: DATA, f"{name}-logs": _LOGS, f"{name}-volumes": _VOLUMES}


def address_of(subnet: str, number: int) -> str:
    """Return the address of a node; the first of a network is Docker's own.

    Example:
        >>> address_of("172.30.9.0/24", 0)
        '172.30.9.10'

    """
    return str(ipaddress.IPv4Network(subnet)[10 + number])


def labels(plan: Plan, **more: str) -> dict[str, str]:
    """Return the labels of an object of a cluster."""
    own = {"platform": "k0s-docker", "cluster": plan.cluster, "id": plan.id, **more}
    return {LABEL + key: value for key, value in own.items()}


def ranges(settings: K0sDocker) -> tuple[str, str]:
    """Return the ranges of addresses of pods and of services.

    Example:
        >>> from infometis_platform_k0s_docker import K0sDocker
        >>> ranges(K0sDocker())
        ('10.244.0.0/16', '10.96.0.0/12')

    """
    network: Mapping[str, Any] = settings.config.get("network") or {}
    return str(network.get("podCIDR", _PODS)), str(network.get("serviceCIDR", _SERVICES))


def node_shape(
    settings: K0sDocker,
    plan: Plan,
    number: int,
    *,
    environ: Mapping[str, str],
    authorities: Mapping[str, bytes],
    apparmor: bool,
) -> NodeShape:
    """Return what a node has to be.

    Args:
        settings: what the user set.
        plan: what was drawn and found: ports, subnet, image.
        number: of the node.
        environ: our own environment, for proxies.
        authorities: content of each file in ``settings.ca_files``.
        apparmor: whether Docker confines containers by AppArmor.

    """
    files = {
        f"etc/ssl/certs/infometis-{index}.pem": content
        for index, content in enumerate(authorities.values())
    }
    if number == 0:
        files[CONFIG] = cluster_config(settings, plan).encode()
    shape = NodeShape(
        number=number,
        name=f"{stem(plan.cluster)}-{number}",
        address=address_of(plan.subnet, number),
        volumes=volume_names(plan, number),
        command=_command(settings, plan, number),
        environment=_proxies(settings, plan, environ) if settings.proxy else {},
        ports=_ports(settings, plan) if number == 0 else {},
        options=_options(settings, apparmor=apparmor),
        files=files,
    )
    return _sealed(shape, settings.listen)


def cluster_config(settings: K0sDocker, plan: Plan) -> str:
    """Return the configuration of k0s, as YAML."""
    address = address_of(plan.subnet, 0)
    spec: dict[str, Any] = {
        # k0s guesses at every start; an address that moved leaves etcd without its member
        "api": {"address": address, "sans": _names(settings)},
        "storage": {"type": "kine"}
        if plan.single
        else {"type": "etcd", "etcd": {"peerAddress": address}},
        "network": {"podCIDR": _PODS, "serviceCIDR": _SERVICES},
        "telemetry": {"enabled": False},
    }
    if settings.mirror:
        spec["images"] = {"repository": settings.mirror}
    if settings.cgroup_v1:
        spec["workerProfiles"] = [{"name": "default", "values": {"failCgroupV1": False}}]
    document = {
        "apiVersion": "k0s.k0sproject.io/v1beta1",
        "kind": "ClusterConfig",
        "metadata": {"name": "k0s"},
        "spec": _merged(spec, settings.config),
    }
    return yaml.safe_dump(document, sort_keys=False)


def _names(settings: K0sDocker) -> list[str]:
    host = settings.listen
    return ["127.0.0.1", "localhost", *([host] if host not in ("127.0.0.1", "0.0.0.0") else [])]  # noqa: S104 - compared, not bound


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(old, value)
        else:
            result[key] = _plain(value)
    return result


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Return a value of built-in types, which the writer of YAML wants."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value


def _command(settings: K0sDocker, plan: Plan, number: int) -> tuple[str, ...]:
    # The entry point takes the role from these very words: --enable-worker=true is not one of them,
    # and without the role it mends neither cgroups nor DNS. --no-taints lets the first node run
    # pods, which --single does by itself.
    if number:
        words = ["k0s", "worker", "--token-file", f"/{TOKEN}"]
    elif plan.single:
        words = ["k0s", "controller", "--single"]
    else:
        words = ["k0s", "controller", "--enable-worker", "--no-taints"]
    if settings.cgroup_v1:
        words.append("--ignore-pre-flight-checks")
    return tuple(words)


def _proxies(settings: K0sDocker, plan: Plan, environ: Mapping[str, str]) -> dict[str, str]:
    found = {name: environ.get(name) or environ.get(name.lower()) or "" for name in _PROXIES}
    if not (found["HTTP_PROXY"] or found["HTTPS_PROXY"]):
        return {}
    own = (
        "localhost",
        "127.0.0.1",
        plan.subnet,
        *ranges(settings),
        ".svc",
        ".cluster.local",
    )
    exempt = [each for each in found["NO_PROXY"].split(",") if each]
    found["NO_PROXY"] = ",".join(dict.fromkeys([*exempt, *own]))
    both = {**found, **{name.lower(): value for name, value in found.items()}}
    return {name: value for name, value in sorted(both.items()) if value}


def _ports(settings: K0sDocker, plan: Plan) -> dict[str, int]:
    found = {f"{each.node}/{each.protocol}": each.host for each in settings.mappings}
    return {f"{API}/tcp": plan.api_port, **found}


def _options(settings: K0sDocker, *, apparmor: bool) -> dict[str, Any]:
    common: dict[str, Any] = {
        "tmpfs": {"/run": ""},
        "cgroupns": "private",
        "restart_policy": {"Name": "unless-stopped"},
    }
    if settings.privileged:
        return {**common, "privileged": True}
    security = ["seccomp=unconfined"]  # runc needs a session keyring
    if apparmor:
        security.append("apparmor=unconfined")  # docker-default forbids to mount
    return {
        **common,
        # without SYS_PTRACE: RunContainerError; without SYS_RESOURCE: "can't get final child's PID"
        "cap_add": list(_CAPABILITIES),
        "security_opt": security,
        "devices": ["/dev/kmsg:/dev/kmsg:r"],  # kubelet watches it for the OOM killer
    }


def _sealed(shape: NodeShape, listen: str) -> NodeShape:
    value = attrs.asdict(shape)
    del value["environment"]
    value["files"] = {
        path: hashlib.sha256(content).hexdigest() for path, content in shape.files.items()
    }
    text = json.dumps([value, listen], sort_keys=True)
    return attrs.evolve(shape, spec=hashlib.sha256(text.encode()).hexdigest()[:32])
