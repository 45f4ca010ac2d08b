"""What the facts mean for a border: pure."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from attrs import frozen

from infometis_border_traefik.proving.inside import arguments_of
from infometis_sdk.machine import judge_certificate
from infometis_sdk.ports.platform import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from infometis_border_traefik.checking.facts import Facts
    from infometis_sdk.ports.border import Scene

__all__ = ("Claim", "claim_of", "judge")

CONTROLLER = "traefik.io/ingress-controller"
_STACK = "infometis.io/stack"
_PREFIX = "--providers.kubernetescrd"
_PUBLISHERS = ("docker-proxy", "rootlessport", "rootlesskit", "com.docker.backend", "traefik")
"""Programs that hold a published port for a cluster, which may be ours."""


@frozen(kw_only=True)
class Claim:
    """What a Traefik takes for itself.

    Attributes:
        ingress_class: the class that it looks for; empty for routes without one.
        namespaces: where it looks; empty for everywhere.

    """

    ingress_class: str = ""
    namespaces: frozenset[str] = frozenset()

    def meets(self, other: Claim) -> bool:
        """Whether both would take the same routes."""
        apart = self.namespaces and other.namespaces and not self.namespaces & other.namespaces
        return self.ingress_class == other.ingress_class and not apart


def claim_of(workload: Mapping[str, Any]) -> Claim | None:
    """Return what the Traefik of a workload takes; ``None`` where it reads no routes."""
    given: dict[str, str] = {}
    for argument in arguments_of(workload):
        name, _, value = argument.partition("=")
        given[name.lower()] = value
    if not any(name.startswith(_PREFIX) and value != "false" for name, value in given.items()):
        return None
    spaces = given.get(f"{_PREFIX}.namespaces", "")
    return Claim(
        ingress_class=given.get(f"{_PREFIX}.ingressclass", ""),
        namespaces=frozenset(each.strip() for each in spaces.split(",") if each.strip()),
    )


def judge(
    scene: Scene,
    objects: Sequence[Mapping[str, Any]],
    shipped: Mapping[str, Mapping[str, Any]],
    facts: Facts,
    now: datetime,
) -> tuple[Finding, ...]:
    """Return what cannot work, what will not for long, and what was found in order.

    Args:
        scene: what is to be published.
        objects: what it was rendered to.
        shipped: the CustomResourceDefinitions of this version of Traefik, by name.
        facts: what is there.
        now: what expiry is judged by.

    """
    return (
        *_definitions(scene, objects, shipped, facts),
        *_classes(scene, objects, facts),
        *_rights(facts),
        *_references(facts, scene),
        *_certificate(scene, facts, now),
        *_ports(scene, facts),
        *_unread(facts),
    )


def _definitions(
    scene: Scene,
    objects: Sequence[Mapping[str, Any]],
    shipped: Mapping[str, Mapping[str, Any]],
    facts: Facts,
) -> Iterator[Finding]:
    if "definitions" in facts.unread:
        return
    check = "custom resources of Traefik"
    used = {str(obj["kind"]) for obj in objects if str(obj["apiVersion"]).startswith("traefik.io/")}
    brought = {
        str(obj["metadata"]["name"]) for obj in objects if obj["kind"] == "CustomResourceDefinition"
    }
    for name, wanted in shipped.items():
        if wanted["spec"]["names"]["kind"] not in used and name not in brought:
            continue
        live = facts.definitions.get(name)
        if live is None:
            if name not in brought:
                cure = "ask for them to be installed, or set configuration: file"
                yield _error(check, f"{name} is not there", cure)
        elif difference := _difference(wanted, live):
            if _STACK in live["metadata"].get("labels", {}) or _is_ours(live):
                continue
            detail = f"{name} is another version's: {difference}"
            cure = "bring all of Traefik's definitions to one version, or set use_existing: true"
            level = "error" if name in brought else "warning"
            yield Finding(check=check, level=level, detail=detail, cure=cure)
    del scene


def _is_ours(obj: Mapping[str, Any]) -> bool:
    labels = obj["metadata"].get("labels", {})
    return bool(labels.get("app.kubernetes.io/managed-by") == "infometis-sdk")


def _difference(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> str:
    """Return the first field that our version knows and the live one does not."""
    served = {each["name"]: each for each in live["spec"]["versions"] if each.get("served")}
    for version in wanted["spec"]["versions"]:
        there = served.get(version["name"])
        if there is None:
            return f"it serves no {version['name']}"
        ours, theirs = (
            each.get("schema", {}).get("openAPIV3Schema", {}) for each in (version, there)
        )
        missing = next(_unknown(ours, theirs, ""), "")
        if missing:
            return f"it knows no {missing}"
    return ""


def _unknown(ours: Mapping[str, Any], theirs: Mapping[str, Any], path: str) -> Iterator[str]:
    if theirs.get("x-kubernetes-preserve-unknown-fields"):
        return
    others = theirs.get("properties", {})
    for name, schema in ours.get("properties", {}).items():
        here = f"{path}.{name}".lstrip(".")
        if name not in others:
            yield here
        else:
            yield from _unknown(schema, others[name], here)
    if isinstance(ours.get("items"), dict) and isinstance(theirs.get("items"), dict):
        yield from _unknown(ours["items"], theirs["items"], f"{path}[]")


def _classes(scene: Scene, objects: Sequence[Mapping[str, Any]], facts: Facts) -> Iterator[Finding]:
    for obj in objects:
        if obj["kind"] != "IngressClass":
            continue
        name = str(obj["metadata"]["name"])
        live = facts.classes.get(name)
        controller = live["spec"].get("controller", "") if live else CONTROLLER
        if controller != CONTROLLER:
            detail = f"it belongs to the controller {controller}"
            yield _error(f"IngressClass {name}", detail, "choose another ingress_class")
    mine = [claim for claim in map(claim_of, objects) if claim]
    for workload in facts.workloads:
        meta = workload["metadata"]
        theirs = claim_of(workload)
        if theirs is None or meta.get("labels", {}).get(_STACK) == scene.stack_id:
            continue
        if any(claim.meets(theirs) for claim in mine):
            known = theirs.ingress_class or "routes without a class"
            detail = (
                f"{workload['kind']} {meta['namespace']}/{meta['name']} runs a Traefik"
                f" that takes the same routes ({known})"
            )
            cure = "choose another ingress_class, or set use_existing: true"
            yield _error("another Traefik", detail, cure)


def _rights(facts: Facts) -> Iterator[Finding]:
    if facts.denied:
        detail = f"we may not {', '.join(facts.denied)}"
        cure = "ask an administrator for these rights, or use mode: shared with configuration: file"
        yield _error("rights", detail, cure)


def _references(facts: Facts, scene: Scene) -> Iterator[Finding]:
    for name, there in facts.middlewares.items():
        if not there:
            routes = [r.name for r in scene.routes if name in r.settings.middlewares]
            detail = f"it is not in {scene.namespace}: {', '.join(routes)} would be 404"
            cure = "apply it before, unless a service of this stack brings it"
            yield Finding(check=f"Middleware {name}", level="warning", detail=detail, cure=cure)
    issuer = scene.border.tls.issuer
    if facts.issuer is False and issuer is not None:
        detail = f"there is no {issuer.kind} of this name, or no cert-manager"
        yield _error(f"{issuer.kind} {issuer.name}", detail, "make it, or name another issuer")


def _certificate(scene: Scene, facts: Facts, now: datetime) -> Iterator[Finding]:
    hosts = sorted(
        {
            host
            for route in scene.routes
            if route.tls == "terminate"
            for host in (route.host, *(member.host for member in route.members))
            if host
        }
    )
    for name, secret in facts.secrets.items():
        where = f"Secret {name}"
        if secret is None:
            cure = "make it: kubectl create secret tls"
            yield _error(where, f"it is not in the namespace {scene.namespace}", cure)
            continue
        data = secret.get("data") or {}
        lacking = [key for key in ("tls.crt", "tls.key") if not data.get(key)]
        if lacking:
            yield _error(where, f"it has no {' and no '.join(lacking)}", "use kubernetes.io/tls")
            continue
        try:
            certificate, key = (
                base64.b64decode(data[each], validate=True) for each in ("tls.crt", "tls.key")
            )
        except binascii.Error:
            yield _error(where, "its data is no base64", "use kubernetes.io/tls")
            continue
        yield from judge_certificate(where, certificate, key, hosts, now)


def _ports(scene: Scene, facts: Facts) -> Iterator[Finding]:
    """Name who holds a port that nodes of this machine are to publish.

    Where a platform maps ports of this machine to its nodes, its own program holds them.
    """
    if scene.border.published_by == "cluster":
        return
    published = set(scene.host_ports)
    for listener in facts.listeners:
        if listener.port in published and listener.program not in _PUBLISHERS:
            detail = f"it is taken by {listener}"
            cure = "end that program, or choose another port"
            # Who may not look at the program cannot know whether it is the cluster's own.
            level = "error" if listener.pid else "warning"
            yield Finding(check=f"port {listener.port}", level=level, detail=detail, cure=cure)


def _unread(facts: Facts) -> Iterator[Finding]:
    for what, why in facts.unread.items():
        yield Finding(check=what, level="warning", detail=f"could not be looked at: {why}")


def _error(check: str, detail: str, cure: str) -> Finding:
    return Finding(check=check, level="error", detail=detail, cure=cure)
