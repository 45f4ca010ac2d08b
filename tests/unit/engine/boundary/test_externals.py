"""External systems under stable internal names."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from infometis_sdk.engine.boundary.externals import external_objects, proxied_externals
from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.render import render
from infometis_sdk.engine.validate import validate
from infometis_sdk.engine.writing.credentials import make
from infometis_sdk.errors import ProjectError
from infometis_sdk.model import (
    Border,
    Environment,
    External,
    ExternalService,
    ExternalTls,
    ManifestSet,
    Project,
    Secret,
    SecretRef,
    Service,
)

DB = External(addresses=["192.0.2.10", "192.0.2.11"], port=5432, target_port=6432)
TEMPLATE = """
apiVersion: v1
kind: Pod
metadata:
  name: {{ name }}
  labels: {{ selector }}
spec:
  automountServiceAccountToken: false
  containers:
    - name: main
      image: {{ images.main }}
      env:
        - name: DB
          value: {{ endpoint("external.orders-db").host }}
        - name: PASSWORD
          valueFrom:
            secretKeyRef:
              name: {{ secret("external.orders-db") }}
              key: password
"""


def _service() -> Service:
    web = Service.web("orders", image="example/orders:1.0", port=8080)
    return attrs.evolve(
        web,
        templates={"pod.yaml.j2": TEMPLATE},
        endpoints={},
        uses=("external.orders-db",),
        parameters={},
        scaling=None,
    )


def _rendered(external: External, name: str = "dev") -> ManifestSet:
    project = Project(name="demo", services={"orders": _service()})
    environment = Environment(name, external={"orders-db": external})
    return render(compose(project, environment))


def _by_kind(manifests: ManifestSet, kind: str) -> list[dict[str, Any]]:
    return [dict(m.object) for m in manifests.manifests if m.ref.kind == kind]


def test_known_addresses_get_a_name() -> None:
    """A Service without selector and a slice of the addresses, named alike everywhere."""
    made = _rendered(DB)
    (service,) = _by_kind(made, "Service")
    (slice_,) = _by_kind(made, "EndpointSlice")
    port = {"name": "tcp", "port": 5432, "protocol": "TCP", "targetPort": 6432}
    assert {"ports": [port]} == service["spec"]
    assert service["metadata"]["name"] == "orders-db"
    labels = slice_["metadata"]["labels"]
    assert labels["kubernetes.io/service-name"] == "orders-db"
    assert labels["endpointslice.kubernetes.io/managed-by"] == "infometis.io"
    assert [e["addresses"] for e in slice_["endpoints"]] == [["192.0.2.10"], ["192.0.2.11"]]
    assert slice_["ports"] == [{"name": "tcp", "port": 6432, "protocol": "TCP"}]
    zones = {m.ref.kind: m.zone for m in made.manifests if m.ref.name.startswith("orders-db")}
    assert zones == {"Service": "border", "EndpointSlice": "border"}


def test_families_of_addresses_stand_apart() -> None:
    """The API takes one family a slice, and a Service must be told of the second one."""
    dev = Environment("dev", external={"db": External(addresses=["2001:db8::1"], port=1)})
    service, slice_ = external_objects(dev)
    assert service["spec"]["ipFamilies"] == ["IPv6"]
    assert (slice_["metadata"]["name"], slice_["addressType"]) == ("db-ipv6", "IPv6")
    both = External(addresses=["2001:db8::1", "192.0.2.1"], port=1)
    service, first, second = external_objects(Environment("dev", external={"db": both}))
    assert service["spec"]["ipFamilyPolicy"] == "RequireDualStack"
    assert [first["metadata"]["name"], second["metadata"]["name"]] == ["db-ipv4", "db-ipv6"]


def test_the_core_is_the_same_wherever_the_system_is() -> None:
    """Address, port and credentials of the outside reach neither the core nor its digest."""
    other = External(addresses=["198.51.100.7"], port=5432, protocol="tls")
    here, there = _rendered(DB), _rendered(other, "prod")
    assert here.digest == there.digest
    (pod,), (twin,) = _by_kind(here, "Pod"), _by_kind(there, "Pod")
    assert pod["spec"] == twin["spec"]
    assert pod["spec"]["containers"][0]["env"][0]["value"] == "orders-db"


def test_credentials_come_from_a_secret_that_is_never_rendered() -> None:
    """The declared keys become one Secret, made at apply; pods that read it restart by it."""
    given = {"password": SecretRef.parse("env:PASSWORD")}
    ca = SecretRef.parse("file:ca.pem")
    made = _rendered(attrs.evolve(DB, credentials=given, tls=ExternalTls(ca=ca)))
    (bound,) = made.credentials
    assert bound.secret == "external-orders-db"
    data = make(bound, "ns", lambda ref: Secret(f"of {ref}"))
    assert data == {"password": b"of env:PASSWORD", "ca.crt": b"of file:ca.pem"}
    assert not _by_kind(made, "Secret")
    (pod,) = [m for m in made.manifests if m.ref.kind == "Pod"]
    assert pod.reads == ("external-orders-db",)
    assert [f.message for f in validate(made) if f.level == "error"] == []


def test_a_secret_without_the_key_that_is_read_is_refused() -> None:
    """A pod that reads a key that the environment does not give would never start."""
    wrong = {"passwort": SecretRef.parse("env:PASSWORD")}
    found = [f for f in validate(_rendered(attrs.evolve(DB, credentials=wrong))) if f.nearest]
    assert [f.nearest for f in found if f.level == "error"] == ["passwort"]


def test_what_is_known_by_name_is_left_to_the_border() -> None:
    """Nothing is rendered for a name; the adapter gets all that its proxy must know."""
    named = External(
        host="db.corp.example",
        port=5432,
        tls=ExternalTls(originate=True, ca=SecretRef.parse("file:ca.pem")),
    )
    environment = Environment(
        "dev", border=Border(type="traefik"), external={"db": named, "other": DB}
    )
    assert [o["metadata"]["name"] for o in external_objects(environment)] == ["other", "other-ipv4"]
    expected = ExternalService(
        name="db",
        host="db.corp.example",
        port=5432,
        target_port=5432,
        protocol="tcp",
        originate=True,
        server_name="db.corp.example",
        secret="external-db",
        ca_key="ca.crt",
    )
    assert (expected,) == proxied_externals(environment)


def test_another_object_of_the_same_name_is_refused() -> None:
    """A Service of a service's own that is called as the external system takes its name away."""
    service = attrs.evolve(
        _service(),
        templates={
            "pod.yaml.j2": TEMPLATE,
            "service.yaml.j2": "apiVersion: v1\nkind: Service\nmetadata:\n  name: orders-db\n"
            "spec:\n  selector: {{ selector }}\n  ports: [{port: 1}]\n",
        },
    )
    project = Project(name="demo", services={"orders": service})
    with pytest.raises(ProjectError, match="both make Service/orders-db"):
        render(compose(project, Environment("dev", external={"orders-db": DB})))
