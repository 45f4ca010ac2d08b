"""Rendering: from a composed stack to stamped objects."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest
from tests.unit.engine.bundles import (
    KAFKA,
    changed,
    config_map,
    find,
    render_faults,
    rendered,
    stack_of,
    template_service,
)

from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.objects.inventory_id import (
    applyset_id,
    cluster_applyset_id,
    stack_applyset_id,
)
from infometis_sdk.engine.objects.order import apply_rank, delete_rank
from infometis_sdk.engine.objects.stamp import content_digest
from infometis_sdk.engine.render import render
from infometis_sdk.model import (
    Credential,
    Endpoint,
    Environment,
    Lock,
    ObjectRef,
    Origin,
    Policies,
    Project,
    RegistryPolicy,
    SecretRef,
    Service,
)

CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Cluster",
        "names": {"kind": "Widget", "plural": "widgets"},
        "versions": [],
    },
}


def test_order() -> None:
    """Namespaces and CRDs of all come first, then services by need, then kinds by rank."""
    crd_last = Service(name="zoo", manifests=[CRD])
    nifi = Service(name="alpha", needs=("kafka",), manifests=[config_map("alpha")])
    found = [str(m.ref) for m in rendered(crd_last, nifi, KAFKA).manifests]
    assert found == [
        "Namespace/demo-dev",
        "CustomResourceDefinition/widgets.example.com",
        "NetworkPolicy/boundary",
        "NetworkPolicy/boundary-kafka",
        "ConfigMap/kafka-config",
        "Service/kafka-headless",
        "StatefulSet/kafka",
        "ConfigMap/alpha",
    ]


def test_marks() -> None:
    """Every object carries namespace, ownership and the digest of its own content."""
    for manifest in rendered(KAFKA).manifests[1:]:
        if manifest.zone != "core":
            continue
        meta = manifest.object["metadata"]
        assert meta["namespace"] == "demo-dev"
        assert meta["labels"] == {
            "app.kubernetes.io/name": "kafka",
            "app.kubernetes.io/instance": "demo-dev",
            "app.kubernetes.io/part-of": "demo",
            "app.kubernetes.io/managed-by": "infometis",
            "infometis.io/stack": "demo-dev",
            "infometis.io/service": "kafka",
            "applyset.kubernetes.io/part-of": stack_applyset_id("demo-dev", "demo-dev"),
        }
        assert meta["annotations"]["infometis.io/digest"] == content_digest(manifest.object)


def test_nothing_of_the_environment_enters_what_cannot_change() -> None:
    """Selectors, pod labels and claim templates are the same in every environment."""

    def fixed(environment: Environment) -> Any:
        spec = find(rendered(KAFKA, environment=environment), "StatefulSet", "kafka").object["spec"]
        return (
            spec["selector"],
            spec["template"]["metadata"],
            spec["volumeClaimTemplates"],
            spec["serviceName"],
        )

    assert fixed(Environment("dev")) == fixed(Environment("prod", stack_id="x", namespace="y"))


def test_rendering_is_a_pure_function() -> None:
    """The same stack renders to the same bytes, and rendering changes nothing of its input."""
    raw = config_map("raw", a="b")
    before = copy.deepcopy(raw)
    stack = stack_of(KAFKA, Service(name="raw", manifests=[raw]))
    first, second = (json.dumps([m.object for m in render(stack).manifests]) for _ in range(2))
    assert first == second
    assert raw == before


def test_nulls_and_quantities() -> None:
    """Unset parameters leave no trace, quantities are canonical, ports have their protocol."""
    spec = find(rendered(KAFKA), "StatefulSet", "kafka").object["spec"]
    assert spec["volumeClaimTemplates"][0]["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    assert "tolerations" not in spec["template"]["spec"]
    assert spec["template"]["spec"]["containers"][0]["ports"][0]["protocol"] == "TCP"


def checksum(environment: Environment | None = None, **fields: Any) -> str:
    """Return the checksum on the pods."""
    manifests = rendered(changed(KAFKA, **fields), environment=environment)
    template = find(manifests, "StatefulSet", "kafka").object["spec"]["template"]
    text: str = template["metadata"]["annotations"]["infometis.io/config-checksum"]
    return text


def test_checksum_follows_the_configuration_that_is_read() -> None:
    """Pods restart when a ConfigMap that they read changes, and for no other reason."""
    base = checksum()
    assert checksum(files={**KAFKA.files, "server.properties": "x=1\n"}) != base
    other = {
        **KAFKA.templates,
        "z.yaml.j2": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n",
    }
    assert checksum(templates=other) == base
    assert (
        checksum(Environment("prod", namespace="elsewhere", values={"kafka": {"replicas": 3}}))
        == base
    )


def test_reads_name_the_credentials_of_the_pods() -> None:
    """A workload knows which credential Secrets its pods read."""
    credentials = {"admin": Credential(), "unread": Credential()}
    manifests = rendered(changed(KAFKA, credentials=credentials))
    assert find(manifests, "StatefulSet", "kafka").reads == ("kafka-admin",)
    assert find(manifests, "ConfigMap", "kafka-config").reads == ()
    assert [(c.service, c.name, c.secret) for c in manifests.credentials] == [
        ("kafka", "admin", "kafka-admin"),
        ("kafka", "unread", "kafka-unread"),
    ]


def test_credential_sources() -> None:
    """A credential's keys come one by one, or all from one existing Secret."""
    one = {"password": SecretRef.parse("env:PASSWORD")}
    environment = Environment("dev", credentials={"kafka.admin": one})
    assert rendered(KAFKA, environment=environment).credentials[0].sources == one
    environment = Environment("dev", credentials={"kafka.admin": SecretRef.parse("secret:given")})
    sources = rendered(KAFKA, environment=environment).credentials[0].sources
    assert {key: str(ref) for key, ref in sources.items()} == {
        "username": "secret:given/username",
        "password": "secret:given/password",
    }


RBAC = """\
apiVersion: v1
kind: ServiceAccount
metadata: {name: {{ name }}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{kind: ServiceAccount, name: {{ name }}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: viewer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: {{ name }}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hook}
webhooks:
  - name: hook.example.com
    clientConfig: {service: {name: {{ name }}, path: /}}
"""


def test_cluster_scoped_names_are_unique() -> None:
    """Two stacks of one cluster never meet in a cluster-scoped name; references follow."""
    manifests = rendered(template_service("op", RBAC))
    binding = find(manifests, "ClusterRoleBinding", "reader-demo-dev").object
    assert binding["roleRef"]["name"] == "reader-demo-dev"
    assert binding["subjects"][0]["namespace"] == "demo-dev"
    assert "namespace" not in binding["metadata"]
    assert find(manifests, "ClusterRole", "reader-demo-dev").service == "op"
    viewer = find(manifests, "RoleBinding", "viewer").object
    assert (viewer["roleRef"]["name"], viewer["subjects"][0]["namespace"]) == ("view", "demo-dev")
    hook = find(manifests, "ValidatingWebhookConfiguration", "hook-demo-dev").object
    assert hook["webhooks"][0]["clientConfig"]["service"]["namespace"] == "demo-dev"


def test_raw_manifests_keep_what_they_say() -> None:
    """Raw manifests keep their names and namespaces; without one they get the home namespace."""
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "r"},
    }
    away = {**config_map("there"), "metadata": {"name": "there", "namespace": "kube-system"}}
    manifests = rendered(Service(name="raw", manifests=[role, away, config_map("here")]))
    assert find(manifests, "ClusterRole", "r").service == "raw"
    assert find(manifests, "ConfigMap", "there").ref.namespace == "kube-system"
    assert find(manifests, "ConfigMap", "here").ref.namespace == "demo-dev"


def test_keys_that_are_not_text_are_named() -> None:
    """A manifest built in code may hold a key that JSON cannot carry; all such are told at once."""
    first = {**config_map("a"), "data": {1: "one"}}
    second = {**config_map("b"), "spec": {"list": [{"deep": {None: None}}]}}
    faults = render_faults(Service(name="raw", manifests=[first, config_map("c"), second]))
    assert [(f.message, f.path) for f in faults] == [
        ("a key that is not text", "manifests[1].data.1"),
        ("a key that is not text", "manifests[3].spec.list.deep.None"),
    ]


def test_lists_are_taken_apart() -> None:
    """A List is its items, raw or from a template."""
    items = {"apiVersion": "v1", "kind": "List", "items": [config_map("a"), config_map("b")]}
    manifests = rendered(Service(name="raw", manifests=[items]))
    assert [m.ref.name for m in manifests.manifests] == ["demo-dev", "a", "b"]


def test_singletons_belong_to_the_cluster() -> None:
    """What a cluster has once is in the cluster's inventory, and carries nothing of one stack."""
    manifest = find(
        rendered(Service(name="op", manifests=[CRD])),
        "CustomResourceDefinition",
        CRD["metadata"]["name"],
    )
    assert manifest.singleton
    labels = manifest.object["metadata"]["labels"]
    assert labels["applyset.kubernetes.io/part-of"] == cluster_applyset_id()
    assert "demo" not in json.dumps(manifest.object)


def test_custom_kinds_know_their_scope() -> None:
    """The CRD among the objects says whether its kind has namespaces; without it, it has."""
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
    assert (
        find(rendered(Service(name="op", manifests=[widget, CRD])), "Widget", "w").ref.namespace
        == ""
    )
    assert (
        find(rendered(Service(name="op", manifests=[widget])), "Widget", "w").ref.namespace
        == "demo-dev"
    )


def test_one_object_two_services() -> None:
    """Two services with one object are a fault that names both, and where each is."""
    one = Service(name="one", manifests=[config_map("same")], origin=Origin(file="one.yaml"))
    two = Service(name="two", manifests=[config_map("same")], origin=Origin(file="two.yaml"))
    (fault,) = render_faults(one, two)
    assert "'one'" in fault.message
    assert "'two'" in fault.message
    assert (str(fault.origin), fault.found) == ("two.yaml", "also in one.yaml")


@pytest.mark.parametrize(
    ("template", "words", "line"),
    [
        ("kind: A\nmetadata: {name: a}\n", "without apiVersion", 1),
        ("\napiVersion: v1\nkind: A\nmetadata: {}\n", "without metadata.name", 3),
        ("- a\n", "not a Kubernetes object", 0),
        ("apiVersion: v1\nkind: A\nmetadata: {name: a, namespace: x}\n", "sets no namespace", 2),
        (
            "apiVersion: v1\nkind: A\nmetadata: {name: a, labels: {infometis.io/stack: x}}\n",
            "engine's to write",
            2,
        ),
        ("apiVersion: v1\nkind: A\nkind: B\n", "twice", 3),
        ("apiVersion: v1\nkind: A\n  metadata: [\n", "YAML", 2),
    ],
)
def test_wrong_templates(template: str, words: str, line: int) -> None:
    """What a template gets wrong is a fault with the template's file and line."""
    (fault,) = render_faults(template_service("a", template))
    assert words in fault.message
    assert (fault.origin.file, fault.origin.line) == ("a/templates/all.yaml.j2", line)


def test_empty_documents_are_dropped() -> None:
    """A template that prints nothing makes nothing."""
    template = "---\n{% if false %}\nkind: A\n{% endif %}\n---\n# nothing\n"
    assert len(rendered(template_service("a", template)).manifests) == 1


def test_faults_of_all_services_at_once() -> None:
    """Every fault of every template, file and patch comes in one go."""
    one = template_service("one", "a: {{ x }}\nb: {{ y }}\n")
    two = template_service("two", "a: {{ z }}\n", files={"a.properties": "{{ q }}"})
    assert len(render_faults(one, two)) == 4


def test_helpers() -> None:
    """Templates reach endpoints and credentials of what they use, and short names; nothing else."""
    kafka = changed(
        KAFKA, endpoints={"client": Endpoint(port=9092, protocol="kafka", service="kafka-headless")}
    )
    template = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n"
        '  a: {{ endpoint("kafka.client").address }}\n'
        '  b: {{ endpoint("kafka.client").url }}\n'
        '  c: {{ secret("kafka.admin") }}\n'
        '  d: {{ dns("kafka") }}\n'
    )
    user = template_service("user", template, uses=("kafka.client",))
    assert find(rendered(kafka, user), "ConfigMap", "a").object["data"] == {
        "a": "kafka-headless:9092",
        "b": "kafka://kafka-headless:9092",
        "c": "kafka-admin",
        "d": "kafka",
    }
    stranger = template_service("user", template)
    (fault,) = render_faults(kafka, stranger)
    assert "unknown endpoint 'kafka.client'" in fault.message
    assert fault.origin.line == 5


def test_a_template_can_refuse() -> None:
    """Values that do not fit together are refused by the template, with its line."""
    (fault,) = render_faults(template_service("a", 'a: 1\nb: {{ fail("too small") }}\n'))
    assert (fault.message, fault.origin.line) == ("too small", 2)


def test_namespace_and_quota() -> None:
    """Where the cluster is ours, the namespace is made, with pod security and quota; else not."""
    policies = Policies(pod_security="restricted", resource_quota={"requests.memory": "4096Mi"})
    manifests = rendered(KAFKA, environment=Environment("dev", policies=policies))
    labels = manifests.manifests[0].object["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    quota = find(manifests, "ResourceQuota", "infometis").object
    assert quota["spec"] == {"hard": {"requests.memory": "4Gi"}}
    guest = rendered(KAFKA, environment=Environment("dev", mode="shared"))
    assert {m.ref.kind for m in guest.manifests} == {"ConfigMap", "Service", "StatefulSet"}


def test_a_bundle_may_bring_the_namespace() -> None:
    """A raw manifest of the home namespace is taken instead of a second one, with our labels."""
    home = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "op", "labels": {"a": "b"}},
    }
    environment = Environment("dev", namespace="op", policies=Policies(pod_security="baseline"))
    manifests = rendered(Service(name="op", manifests=[home]), environment=environment)
    labels = find(manifests, "Namespace", "op").object["metadata"]["labels"]
    assert (labels["a"], labels["pod-security.kubernetes.io/enforce"]) == ("b", "baseline")


def test_registry() -> None:
    """Prefix, digest and pull secrets reach every pod, raw ones too, and no prefix comes twice."""
    digest = "sha256:" + "0" * 64
    lock = Lock(images={"apache/kafka:4.3.1": digest, "busybox:1": digest})
    registry = RegistryPolicy(prefix="reg.example/m", pull_secrets=("pull",))
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "a", "image": "busybox:1"}]},
    }
    services = {"kafka": KAFKA, "raw": Service(name="raw", manifests=[pod])}
    project = Project(name="demo", services=services, lock=lock)
    environment = Environment("dev", policies=Policies(registry=registry))
    manifests = render(compose(project, environment))
    template = find(manifests, "StatefulSet", "kafka").object["spec"]["template"]["spec"]
    assert template["containers"][0]["image"] == f"reg.example/m/apache/kafka:4.3.1@{digest}"
    assert template["imagePullSecrets"] == [{"name": "pull"}]
    assert find(manifests, "Pod", "p").object["spec"]["containers"][0]["image"] == (
        f"reg.example/m/busybox:1@{digest}"
    )
    assert manifests.verified


def test_applyset_id() -> None:
    """The id is the one that kubectl and an independent implementation compute."""
    vector = "applyset-f9Rk5tKHoB72oV1tU2iFKxDwL8MBZTjMHFQ8V9WNNlA-v1"
    assert applyset_id("test-foo", "test-ns", "Foo", "foo.bar") == vector


def test_ranks() -> None:
    """Deleting runs the other way round: custom resources before their CRD, namespaces last."""
    kinds = (
        "Namespace",
        "CustomResourceDefinition",
        "ServiceAccount",
        "Secret",
        "Deployment",
        "Widget",
        "Ingress",
    )
    mixed = [ObjectRef(api_version="v1", kind=kind, name="a") for kind in sorted(kinds)]
    assert [r.kind for r in sorted(mixed, key=apply_rank)] == list(kinds)
    assert [r.kind for r in sorted(mixed, key=delete_rank)] == list(reversed(kinds))


def test_secrets_are_encoded() -> None:
    """Plain text of a Secret is encoded as the API server stores it."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "stringData": {"a": "b"},
    }
    made = find(rendered(Service(name="raw", manifests=[secret])), "Secret", "s").object
    assert base64.b64decode(made["data"]["a"]) == b"b"
    assert "stringData" not in made


def test_foreign_inventory_is_refused() -> None:
    """A manifest that carries another inventory's mark is not taken."""
    marked = config_map("a")
    marked["metadata"]["labels"] = {"applyset.kubernetes.io/part-of": "applyset-x-v1"}
    (fault,) = render_faults(Service(name="raw", manifests=[marked]))
    assert "inventory" in fault.message
