from __future__ import annotations

import re
from typing import Any

import pytest
from tests.unit.border_traefik.scenes import (
    ACME,
    HOME,
    arguments,
    objects,
    pods,
    rendered,
    spec,
)

from infometis_border_traefik import Traefik
from infometis_sdk.model import (
    BorderTls,
    CertIssuer,
)


def test_pods_may_do_nothing_that_they_need_not() -> None:
    """Not root, nothing written, no capability, no token that nobody needs, nothing insecure."""
    pod = pods(rendered())
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert not [
        each for each in container["args"] if re.search("insecure(?!skipverify=false)", each)
    ]
    kinds = {each["kind"] for each in rendered().objects}
    assert not {"ClusterRole", "ClusterRoleBinding"} & kinds


def test_each_traefik_sees_its_own_stack_only() -> None:
    """Two environments of one cluster do not take each other's routes, nor read their Secrets."""
    told = arguments(rendered())
    assert f"--providers.kubernetescrd.namespaces={HOME},{HOME}-border" in told
    assert "--providers.kubernetescrd.ingressclass=infometis" in told
    assert f"--providers.kubernetescrd.crossprovidernamespaces={HOME}-border" in told
    roles = objects(rendered(), "Role")
    assert {f"{HOME}/border-traefik", f"{HOME}-border/border-traefik"} == set(roles)


def test_guests_have_one_namespace_and_bring_nothing_of_the_cluster() -> None:
    """In shared mode no definition, no class, no namespace."""
    made = rendered(around={"mode": "shared"})
    kinds = {each["kind"] for each in made.objects}
    assert not {"CustomResourceDefinition", "IngressClass", "Namespace"} & kinds
    assert {None, HOME} == {each["metadata"].get("namespace") for each in made.objects}
    assert tuple(peer.namespace for peer in made.peers) == (HOME,)


@pytest.mark.parametrize(
    ("around", "way"),
    [
        ({"capabilities": {"load_balancer": "declared"}}, "LoadBalancer"),
        (
            {"capabilities": {"host_ports": "declared"}, "host_ports": {80: 30080, 443: 30443}},
            "NodePort",
        ),
        ({"capabilities": {"host_ports": "absent"}}, "ClusterIP"),
    ],
)
def test_what_can_roll_without_loss_publishes(around: dict[str, Any], way: str) -> None:
    """A new pod is there before an old one goes."""
    made = rendered(around=around)
    service = spec(made, "Service", f"{HOME}-border/border-traefik")
    assert way == service["type"]
    strategy = spec(made, "Deployment", f"{HOME}-border/border-traefik")["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    if way == "NodePort":
        assert [port["nodePort"] for port in service["ports"]] == [30080, 30443]


def test_ports_of_nodes_are_held_by_one_pod_each() -> None:
    """Where a pod holds a port of its node, the namespace permits that, and no other one does."""
    around = {"capabilities": {"host_ports": "declared"}, "host_ports": {80: 8000, 443: 8443}}
    made = rendered(around=around)
    (container,) = pods(made, kind="DaemonSet")["containers"]
    found = {port["name"]: port.get("hostPort") for port in container["ports"]}
    assert found == {"web": 8000, "websecure": 8443, "metrics": None, "traefik": None}
    labels = objects(made, "Namespace")[f"{HOME}-border"]["metadata"]["labels"]
    assert {"privileged"} == set(labels.values())


def test_the_border_scales_too_where_it_may() -> None:
    """It holds nothing, so an autoscaler may add pods and take them away again."""
    made = rendered(settings=Traefik(replicas=2, max_replicas=5, cpu=60))
    found = spec(made, "HorizontalPodAutoscaler", f"{HOME}-border/border-traefik")
    assert (found["minReplicas"], found["maxReplicas"]) == (2, 5)
    assert found["metrics"][0]["resource"]["target"]["averageUtilization"] == 60
    assert found["scaleTargetRef"]["name"] == "border-traefik"
    assert not objects(rendered(), "HorizontalPodAutoscaler")


def test_acme_has_one_pod_and_a_volume() -> None:
    """Certificates are on a volume that a second pod would spoil."""
    made = rendered(tls=ACME)
    workload = spec(made, "Deployment", f"{HOME}-border/border-traefik")
    assert (workload["replicas"], workload["strategy"]) == (1, {"type": "Recreate"})
    assert f"{HOME}-border/border-acme" in objects(made, "PersistentVolumeClaim")
    assert "--certificatesresolvers.acme.acme.tlschallenge=true" in arguments(made)
    tls = spec(made, "IngressRoute", "web-http")["tls"]
    assert tls == {"certResolver": "acme", "options": {"name": "border-tls"}}
    assert made.secrets == ()


def test_cert_manager_is_asked_for_all_names() -> None:
    """One certificate holds the name of every route."""
    made = rendered(
        "web", "nifi", tls=BorderTls(source="cert-manager", issuer=CertIssuer(name="ours"))
    )
    found = spec(made, "Certificate", "border-tls")
    assert found["dnsNames"] == ["nifi.localhost", "web.localhost"]
    assert found["issuerRef"] == {
        "group": "cert-manager.io",
        "kind": "ClusterIssuer",
        "name": "ours",
    }


def test_an_existing_traefik_gets_routes_only() -> None:
    """Nothing is installed where the cluster has a Traefik."""
    settings = Traefik(use_existing=True, namespace="kube-system", ingress_class="traefik")
    made = rendered(settings=settings)
    kinds = {each["kind"] for each in made.objects}
    assert {"IngressRoute", "Middleware", "TLSOption"} == kinds
    assert "default" not in objects(made, "TLSOption")
    assert spec(made, "IngressRoute", "web-http")["ingressClassName"] == "traefik"


def test_a_class_is_named_where_two_could_take_a_route() -> None:
    """Ours unless said otherwise; none for an existing Traefik, whose class its owner knows."""
    existing = Traefik(use_existing=True, namespace="kube-system")
    assert "ingressClassName" not in spec(rendered(settings=existing), "IngressRoute", "web-http")
    assert list(objects(rendered(), "IngressClass")) == ["infometis"]
    named = rendered(settings=Traefik(ingress_class="edge"))
    assert list(objects(named, "IngressClass")) == ["edge"]
    assert "--providers.kubernetescrd.ingressclass=edge" in arguments(named)


def test_metrics_and_logs_name_the_stack_and_hold_no_secret() -> None:
    """Refusals are counted by route and code; no header and no query is written down."""
    told = arguments(rendered())
    assert "--metrics.prometheus.addrouterslabels=true" in told
    assert "--accesslog.fields.headers.defaultmode=drop" in told
    assert "--accesslog.fields.queryparameters.defaultmode=drop" in told
    kept = [word for word in told if word.endswith("=keep") and ".headers." in word]
    assert kept == ["--accesslog.fields.headers.names.User-Agent=keep"]
