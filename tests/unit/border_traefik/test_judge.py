"""What the facts of a cluster mean for a border."""

from __future__ import annotations

import base64
import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.border_traefik.scenes import scene

from infometis_border_traefik.border import TraefikBorder
from infometis_border_traefik.checking.facts import Facts
from infometis_border_traefik.checking.judge import Claim, claim_of, judge
from infometis_border_traefik.install.crds import crds
from infometis_sdk.machine import Listener
from infometis_sdk.model.border import BorderTls, CertIssuer, RouteSettings
from infometis_sdk.testing.throwaway import self_signed

NOW = datetime.now(UTC)
SHIPPED = {str(each["metadata"]["name"]): each for each in crds()}


def found(
    facts: Facts, around: dict[str, Any] | None = None, **border: Any
) -> list[tuple[str, str]]:
    """Return level and check of what is wrong."""
    made = scene("web", around=around, **border)
    objects = TraefikBorder().render(made).objects
    findings = judge(made, objects, SHIPPED, facts, NOW)
    return [(each.level, each.check) for each in findings if each.level != "ok"]


def traefik(*arguments: str, namespace: str = "other", stack: str = "") -> dict[str, Any]:
    """Return a workload that runs Traefik."""
    labels = {"infometis.io/stack": stack} if stack else {}
    given = ["--entrypoints.web.address=:80", *arguments]
    return {
        "kind": "DaemonSet",
        "metadata": {"name": "traefik", "namespace": namespace, "labels": labels},
        "spec": {"template": {"spec": {"containers": [{"name": "t", "args": given}]}}},
    }


CRD = "--providers.kubernetescrd"


def test_an_empty_cluster_is_in_order() -> None:
    """Where nothing is there yet, nothing is wrong: the border brings it all."""
    assert found(Facts()) == []


@pytest.mark.parametrize(
    ("arguments", "claim"),
    [
        ((), None),
        ((f"{CRD}=false",), None),
        ((f"{CRD}=true",), Claim()),
        ((f"{CRD}",), Claim()),
        ((f"{CRD}.ingressClass=x",), Claim(ingress_class="x")),
        (
            (f"{CRD}.namespaces=a, b", f"{CRD}.ingressclass=x"),
            Claim(ingress_class="x", namespaces=frozenset({"a", "b"})),
        ),
    ],
)
def test_what_a_traefik_takes(arguments: tuple[str, ...], claim: Claim | None) -> None:
    """Its arguments say which class it looks for, and where."""
    assert claim_of(traefik(*arguments)) == claim


def test_two_traefiks_of_one_class_collide_where_both_look() -> None:
    """Another Traefik is in the way only with the same class, in a namespace of ours."""
    mine = "--providers.kubernetescrd.ingressclass=infometis"
    apart = (mine, f"{CRD}.namespaces=elsewhere")

    assert found(Facts(workloads=(traefik(mine),))) == [("error", "another Traefik")]
    assert found(Facts(workloads=(traefik(*apart),))) == []
    assert found(Facts(workloads=(traefik(f"{CRD}.ingressclass=x"),))) == []
    assert found(Facts(workloads=(traefik(mine, stack="shop-dev"),))) == []


def test_definitions_of_another_version_are_told() -> None:
    """A definition that lacks a field of ours is an error, unless it is ours and is upgraded."""
    name = "ingressroutes.traefik.io"
    old = copy.deepcopy(SHIPPED[name])
    schema = old["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["ingressClassName"]
    ours = copy.deepcopy(old)
    ours["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "infometis-sdk"}
    none = copy.deepcopy(SHIPPED[name])
    none["spec"]["versions"][0]["name"] = "v1"
    wrong = ("error", "custom resources of Traefik")

    assert found(Facts(definitions={name: old})) == [wrong]
    assert found(Facts(definitions={name: none})) == [wrong]
    assert found(Facts(definitions={name: ours})) == []
    assert found(Facts(definitions=SHIPPED)) == []


def test_a_guest_without_definitions_is_told() -> None:
    """A guest brings no definitions, so those that its routes need must be there."""
    guest = {"mode": "shared"}

    levels = {level for level, _ in found(Facts(), around=guest)}

    assert levels == {"error"}
    assert found(Facts(definitions=SHIPPED), around=guest) == []


def test_a_class_of_another_controller_is_told() -> None:
    """An IngressClass of the same name that belongs to somebody else is an error."""
    theirs = {"infometis": {"spec": {"controller": "example.com/other"}}}
    ours = {"infometis": {"spec": {"controller": "traefik.io/ingress-controller"}}}

    assert found(Facts(classes=theirs)) == [("error", "IngressClass infometis")]
    assert found(Facts(classes=ours)) == []


def test_missing_rights_and_references_are_named() -> None:
    """Rights and an issuer that are not there are errors, a middleware may still come."""
    routes = {"web.http": RouteSettings(middlewares=("own",))}
    issuer = BorderTls(source="cert-manager", issuer=CertIssuer(name="lets"))

    assert found(Facts(denied=("create x",))) == [("error", "rights")]
    assert found(Facts(issuer=False), tls=issuer) == [("error", "ClusterIssuer lets")]
    assert found(Facts(middlewares={"own": False}), routes=routes) == [
        ("warning", "Middleware own")
    ]
    assert found(Facts(middlewares={"own": True}), routes=routes) == []
    assert found(Facts(unread={"classes": "forbidden"})) == [("warning", "classes")]


def test_a_secret_must_hold_what_is_needed() -> None:
    """The Secret of the certificate is there, has both keys, and they fit the hosts."""
    tls = BorderTls(source="secret", secret="mine")
    certificate, key = self_signed(("web.localhost",), days=90)
    other, _ = self_signed(("other.localhost",), days=90)

    def secret(**data: bytes) -> Facts:
        held = {
            name.replace("_", "."): base64.b64encode(each).decode() for name, each in data.items()
        }
        return Facts(secrets={"mine": {"data": held}})

    assert found(Facts(secrets={"mine": None}), tls=tls) == [("error", "Secret mine")]
    assert found(secret(tls_crt=certificate), tls=tls) == [("error", "Secret mine")]
    assert found(secret(tls_crt=certificate, tls_key=key), tls=tls) == []
    assert found(secret(tls_crt=other, tls_key=key), tls=tls) == [("error", "Secret mine")] * 2
    broken = Facts(secrets={"mine": {"data": {"tls.crt": "%", "tls.key": "%"}}})
    assert found(broken, tls=tls) == [("error", "Secret mine")]


def test_a_taken_port_is_an_error_unless_the_cluster_holds_it() -> None:
    """A program on a published port is in the way; the platform's own is what publishes it."""
    ports = {"host_ports": {80: 30080}}

    def held(program: str, pid: int = 7) -> Facts:
        listener = Listener(address="0.0.0.0", port=80, pid=pid, program=program)  # noqa: S104
        return Facts(listeners=(listener,))

    assert found(held("nginx"), around=ports) == [("error", "port 80")]
    assert found(held("", pid=0), around=ports) == [("warning", "port 80")]
    assert found(held("docker-proxy"), around=ports) == []
    assert found(held("nginx")) == []
