"""Probes: small objects that show, by what becomes of them, what a cluster can do; pure.

All of them live in one namespace of their own, and their pods end by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from infometis_sdk.model.capability import Capability

__all__ = ("IMAGE", "PORT", "PROBED", "Seen", "client_objects", "judge", "probe_objects")

IMAGE = "docker.io/library/busybox:1.37"
"""The image of the probes' pods: a small HTTP server and a client, in two megabytes."""

PORT = 8080
_LIFE = 600  # seconds after which the pods end, whatever happens to us
_MARK = "infometis-probe"
_NOBODY = 65_534

# Reaches one server first, so that a network that carries nothing does not look like a policy.
_CLIENT = """\
until wget -T 2 -q -O /dev/null http://{open}:{port}/; do sleep 1; done
for attempt in 1 2 3; do
  wget -T 3 -q -O /dev/null http://{closed}:{port}/ && exit 1
  sleep 1
done
exit 0
"""


@frozen(kw_only=True)
class Seen:
    """What became of the probes so far.

    Attributes:
        pods, claims, services: live objects by name.
        answers: whether the probe answered on a port of this machine; ``None`` if not asked yet.

    """

    pods: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    claims: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    services: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    answers: bool | None = None


def probe_objects(names: Sequence[str], *, image: str, node_port: int = 0) -> list[dict[str, Any]]:
    """Return the objects that prove these capabilities.

    Args:
        names: of capabilities; those that take no probe are left out.
        image: of the pods.
        node_port: port of the nodes that a port of this machine leads to.

    """
    objects: list[dict[str, Any]] = []
    if "default_storage_class" in names:
        objects += [_claim("volume"), _pod("volume", image, claim="volume")]
    if {"pods_run", "network_policy_enforced", "load_balancer"} & set(names):
        objects.append(_pod("open", image))
    if "network_policy_enforced" in names:
        objects += [_pod("closed", image), _deny("closed")]
    if "load_balancer" in names:
        objects.append(_balancer("balancer", "open"))
    if "host_ports" in names and node_port:
        objects.append(_pod("port", image, host_port=node_port))
    return objects


def client_objects(seen: Seen, image: str) -> list[dict[str, Any]]:
    """Return the client that tries the policy, once both servers can be reached; else nothing."""
    ready = [seen.pods.get(name, {}) for name in ("open", "closed")]
    if not all(_ready(pod) for pod in ready):
        return []
    addresses = [str(pod["status"]["podIP"]) for pod in ready]
    # In a URL an IPv6 address stands in brackets.
    first, second = (f"[{each}]" if ":" in each else each for each in addresses)
    script = _CLIENT.format(open=first, closed=second, port=PORT)
    return [_pod("client", image, script=script)]


def judge(names: Sequence[str], seen: Seen, now: float, *, last: bool) -> tuple[Capability, ...]:
    """Return what is decided so far; with ``last``, everything.

    Args:
        names: of the capabilities that are tried.
        seen: what became of the probes.
        now: seconds since 1970, for the record.
        last: there is no more time: what was not seen is absent, with what was seen instead.

    """
    decided = []
    for name in names:
        proved, detail = _JUDGES[name](seen)
        if proved:
            decided.append(Capability(name=name, state="proved", detail=detail, at=now))
        elif last or proved is False:
            decided.append(Capability(name=name, state="absent", detail=detail, at=now))
    return tuple(decided)


# --- judges: true where it is proved, false where it is disproved, None while it is open -------


def _volume(seen: Seen) -> tuple[bool | None, str]:
    claim = seen.claims.get("volume", {})
    if (claim.get("status") or {}).get("phase") == "Bound":
        return True, f"a claim was bound by {claim['spec'].get('storageClassName')}"
    return None, f"a claim stayed {(claim.get('status') or {}).get('phase', 'absent')}"


def _runs(seen: Seen) -> tuple[bool | None, str]:
    pod = seen.pods.get("open", {})
    return (True, "a pod answered its probe") if _ready(pod) else (None, _state(pod))


def _policy(seen: Seen) -> tuple[bool | None, str]:
    client = seen.pods.get("client", {})
    phase = (client.get("status") or {}).get("phase")
    if phase == "Succeeded":
        return True, "a policy blocked one server while another could be reached"
    if phase == "Failed":
        return False, "a server could be reached though a policy forbids it"
    waiting = next((name for name in ("open", "closed") if not _ready(seen.pods.get(name, {}))), "")
    return None, _state(seen.pods.get(waiting or "client", {}))


def _balanced(seen: Seen) -> tuple[bool | None, str]:
    service = seen.services.get("balancer", {})
    given = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    if given:
        return True, f"a Service got {given[0].get('ip') or given[0].get('hostname')}"
    return None, "a Service got no address"


def _reached(seen: Seen) -> tuple[bool | None, str]:
    if seen.answers:
        return True, "a pod answered on a port of this machine"
    return None, "no pod answered on a port of this machine"


_JUDGES = {
    "default_storage_class": _volume,
    "host_ports": _reached,
    "load_balancer": _balanced,
    "network_policy_enforced": _policy,
    "pods_run": _runs,
}
PROBED = tuple(_JUDGES)
"""Capabilities that a probe can show."""


def _ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _state(pod: Mapping[str, Any]) -> str:
    """Say why a pod does not run, in the words of Kubernetes."""
    status = pod.get("status") or {}
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            return f"a pod does not run: {waiting['reason']}"
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            return f"a pod is not scheduled: {condition.get('message', '')}"
    return f"a pod is {status.get('phase', 'absent')}, not ready"


# --- objects ------------------------------------------------------------------------------------


def _pod(
    name: str, image: str, *, claim: str = "", host_port: int = 0, script: str = ""
) -> dict[str, Any]:
    """Return a pod that serves HTTP, or runs a script once; nothing in it needs a privilege."""
    port: dict[str, Any] = {"containerPort": PORT}
    if host_port:
        port["hostPort"] = host_port
    serve = f"echo {_MARK} > /www/index.html && exec httpd -f -p {PORT} -h /www"
    container: dict[str, Any] = {
        "name": "probe",
        "image": image,
        "command": ["sh", "-c", script or serve],
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"memory": "32Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "www", "mountPath": "/www"}],
    }
    if not script:
        container["ports"] = [port]
        container["readinessProbe"] = {
            "httpGet": {"path": "/", "port": PORT},
            "periodSeconds": 1,
        }
    volumes: list[dict[str, Any]] = [{"name": "www", "emptyDir": {}}]
    if claim:
        volumes.append({"name": "claim", "persistentVolumeClaim": {"claimName": claim}})
        container["volumeMounts"].append({"name": "claim", "mountPath": "/claim"})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"probe": name}},
        "spec": {
            "activeDeadlineSeconds": _LIFE,
            "automountServiceAccountToken": False,
            "containers": [container],
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _NOBODY,
                "runAsGroup": _NOBODY,
                "fsGroup": _NOBODY,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "terminationGracePeriodSeconds": 0,
            "volumes": volumes,
        },
    }


def _claim(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def _deny(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {"matchLabels": {"probe": name}}, "policyTypes": ["Ingress"]},
    }


def _balancer(name: str, target: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "type": "LoadBalancer",
            "selector": {"probe": target},
            "ports": [{"name": "http", "port": PORT, "targetPort": PORT}],
        },
    }
