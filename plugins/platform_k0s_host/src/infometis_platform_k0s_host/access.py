"""Our own way to the API of a cluster: the kubeconfig, and what the API says of itself."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from infometis_platform_k0s_host.hosts.checks import private_address
from infometis_sdk.errors import ClusterError, InfometisError, PlatformError
from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infometis_platform_k0s_host.hosts.facts import Facts
    from infometis_platform_k0s_host.settings import K0sHost
    from infometis_sdk.ports.platform import Access

__all__ = ("Answer", "ask", "own_kubeconfig", "reachable")

_CONNECT = 1.0


@frozen(kw_only=True)
class Answer:
    """What the API says.

    Attributes:
        ready: whether it says that it is ready.
        why: why it does not.
        refused: whether it does not know us: another cluster answers there.
        version: of Kubernetes.
        nodes: whether each node is ready, by its name.

    """

    ready: bool = False
    why: str = ""
    refused: bool = False
    version: str = ""
    nodes: Mapping[str, bool] = field(factory=dict)


def own_kubeconfig(text: str, *, server: str, name: str) -> str:
    """Rewrite the admin's kubeconfig: another server, and the cluster's own name everywhere.

    Args:
        text: what ``k0s kubeconfig admin`` printed.
        server: URL of the API as this machine reaches it.
        name: of cluster and context.

    Raises:
        PlatformError: it is no kubeconfig.

    """
    import yaml

    try:
        found = yaml.safe_load(text)
        cluster = dict(found["clusters"][0]["cluster"], server=server)
        user = found["users"][0]["user"]
    except (yaml.YAMLError, KeyError, IndexError, TypeError):
        msg = "k0s printed no kubeconfig"
        raise PlatformError(msg) from None  # its text is a secret
    admin = f"{name}-admin"
    value = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": admin, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": admin}}],
        "current-context": name,
    }
    return json.dumps(value, indent=2) + "\n"


def reachable(settings: K0sHost, facts: Mapping[str, Facts], leader: str) -> str:
    """Return the address of the API that this machine reaches.

    Raises:
        PlatformError: it reaches none.

    """
    port = settings.api_port
    if settings.external_address:
        return f"https://{_bracketed(settings.external_address)}:{port}"
    hosts = sorted(settings.controllers, key=lambda host: host.name != leader)
    addresses = []
    for host in hosts:
        if host.connection == "ssh":
            addresses.append(host.address)
        if host.name in facts:
            addresses.append(private_address(host, facts[host.name]))
    for address in dict.fromkeys(addresses):
        with contextlib.suppress(OSError):
            socket.create_connection((address.strip("[]"), port), timeout=_CONNECT).close()
            return f"https://{_bracketed(address)}:{port}"
    tried = ", ".join(f"{address}:{port}" for address in dict.fromkeys(addresses))
    msg = f"this machine does not reach the API at {tried}"
    hint = "open that port to this machine, or set `external_address` to what forwards to it"
    raise PlatformError(msg, hint=hint)


def _bracketed(address: str) -> str:
    return f"[{address}]" if address.count(":") > 1 and not address.startswith("[") else address


def ask(access: Access, run: Run, *, seconds: float) -> Answer:
    """Ask the API whether it is ready, its version and its nodes, within some seconds."""
    from infometis_sdk import open_cluster

    limited = Run.within(run.remaining(seconds), cancel=run.cancel)
    try:
        cluster = open_cluster(access)
    except InfometisError as error:
        return Answer(why=error.message)
    try:
        if cluster.read("/readyz", limited).strip() != "ok":
            return Answer(why="the API is not ready")
        version = json.loads(cluster.read("/version", limited)).get("gitVersion", "")
        nodes = dict(_nodes(cluster.list("v1", "Node", limited)))
    except ClusterError as error:
        return Answer(why=error.message, refused=_is_stranger(error))
    except (InfometisError, ValueError) as error:
        run.check("asking the API")
        return Answer(why=str(error).splitlines()[0])
    finally:
        cluster.close()
    return Answer(ready=True, version=str(version), nodes=nodes)


def _is_stranger(error: ClusterError) -> bool:
    """Whether it is the API of a cluster that has other certificates than ours."""
    said = error.message.lower()
    return error.status in {401, 403} or "certificate" in said or "ssl" in said


def _nodes(found: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, bool]]:
    for node in found:
        conditions = node.get("status", {}).get("conditions") or ()
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
        yield str(node["metadata"]["name"]), ready
