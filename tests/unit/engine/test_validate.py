"""The offline checks that no schema makes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.unit.engine.bundles import KAFKA, config_map, rendered, template_service

from infometis_sdk.engine.validate import validate
from infometis_sdk.errors import ProjectError
from infometis_sdk.model import (
    Credential,
    Endpoint,
    Environment,
    Fault,
    ManifestSet,
    Parameter,
    Service,
)
from infometis_sdk.testing.strategies import json_values

GOOD: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "app"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "a"}},
        "template": {
            "metadata": {"labels": {"app": "a"}},
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "image": "example/app:1",
                        "env": [{"name": "A", "value": "1"}],
                        "ports": [{"name": "http", "containerPort": 80}],
                        "readinessProbe": {"httpGet": {"port": "http"}},
                        "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}},
                        "volumeMounts": [{"name": "tmp", "mountPath": "/work"}],
                    }
                ],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            },
        },
    },
}
POD = "spec.template.spec"


def findings(*objects: dict[str, Any], **more: Any) -> tuple[Fault, ...]:
    """Validate objects as the templates of one service."""
    return validate(rendered(service_of(*objects, **more)))


def service_of(*objects: dict[str, Any], **more: Any) -> Service:
    """Make a service whose templates print the objects, so that nothing counts as raw."""
    params = "{% for item in params.objects %}\n---\n{{ item }}\n{% endfor %}\n"
    parameters = {"objects": Parameter(type="list", default=list(objects))}
    return template_service("app", params, parameters=parameters, **more)


def with_container(**fields: Any) -> dict[str, Any]:
    """Return the good Deployment with other fields of its container."""
    made = copy.deepcopy(GOOD)
    made["spec"]["template"]["spec"]["containers"][0].update(fields)
    return made


def with_pod(**fields: Any) -> dict[str, Any]:
    """Return the good Deployment with other fields of its pods."""
    made = copy.deepcopy(GOOD)
    made["spec"]["template"]["spec"].update(fields)
    return made


def with_spec(**fields: Any) -> dict[str, Any]:
    """Return the good Deployment with another spec."""
    made = copy.deepcopy(GOOD)
    made["spec"].update(fields)
    return made


def named(name: str, obj: dict[str, Any] = GOOD) -> dict[str, Any]:
    """Return an object with another name."""
    return {**obj, "metadata": {**obj["metadata"], "name": name}}


def service(**spec: Any) -> dict[str, Any]:
    """Write a Kubernetes Service of the good Deployment."""
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "app"},
        "spec": {"selector": {"app": "a"}, "ports": ports, **spec},
    }


def claim(**spec: Any) -> dict[str, Any]:
    """Write a PersistentVolumeClaim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "c"},
        "spec": spec,
    }


def test_good_objects_pass() -> None:
    """What is right gives no findings."""
    assert findings(GOOD, service()) == ()
    assert validate(rendered(KAFKA)) == ()


MAIN = "containers[name=main]"
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "name": (named("App_1"), "metadata.name", "DNS"),
    "service name": (named("1app", service()), "metadata.name", "DNS"),
    "long name": (named("a" * 60, {**GOOD, "kind": "StatefulSet"}), "metadata.name", "too long"),
    "label value": (
        {**GOOD, "metadata": {"name": "app", "labels": {"a": "x y"}}},
        "metadata.labels[a]",
        "value of a label",
    ),
    "label type": (
        {**GOOD, "metadata": {"name": "app", "labels": {"a": 1}}},
        "metadata.labels[a]",
        "not text",
    ),
    "label key": (
        {**GOOD, "metadata": {"name": "app", "labels": {"a b": "x"}}},
        "metadata.labels[a b]",
        "not a key",
    ),
    "annotation type": (
        {**GOOD, "metadata": {"name": "app", "annotations": {"a": True}}},
        "metadata.annotations[a]",
        "not text",
    ),
    "removed version": (
        {**GOOD, "apiVersion": "apps/v1beta1"},
        "apiVersion",
        "no cluster of today",
    ),
    "replicas": (with_spec(replicas=-1), "spec.replicas", "number of pods"),
    "no selector": (with_spec(selector=None), "spec.selector", "no selector"),
    "selector": (
        with_spec(selector={"matchLabels": {"app": "b"}}),
        "spec.selector",
        "does not match",
    ),
    "no containers": (with_pod(containers=[]), "containers", "without containers"),
    "container name": (with_container(name="Main"), "containers[name=Main].name", "DNS label"),
    "two containers": (
        with_pod(containers=[{"name": "a", "image": "a:1"}] * 2, volumes=[]),
        "containers",
        "one name",
    ),
    "no image": (with_container(image=None), f"{MAIN}.image", "without an image"),
    "latest": (with_container(image="example/app:latest"), f"{MAIN}.image", "latest"),
    "no tag": (with_container(image="host:5000/app"), f"{MAIN}.image", "no tag"),
    "pull policy": (
        with_container(imagePullPolicy="ifNotPresent"),
        f"{MAIN}.imagePullPolicy",
        "unknown word",
    ),
    "restart policy": (with_pod(restartPolicy="Never"), "restartPolicy", "always restart"),
    "restart word": (with_pod(restartPolicy="Sometimes"), "restartPolicy", "unknown word"),
    "env type": (
        with_container(env=[{"name": "A", "value": 1}]),
        f"{MAIN}.env[name=A].value",
        "is text",
    ),
    "env name": (
        with_container(env=[{"name": "A=B"}]),
        f"{MAIN}.env[name=A=B]",
        "environment variable",
    ),
    "env twice": (with_container(env=[{"name": "A"}, {"name": "A"}]), f"{MAIN}.env", "one name"),
    "env both": (
        with_container(env=[{"name": "A", "value": "1", "valueFrom": {"fieldRef": {}}}]),
        f"{MAIN}.env[name=A]",
        "both",
    ),
    "argument": (with_container(args=["a", 1]), f"{MAIN}.args", "not text"),
    "port": (
        with_container(ports=[{"name": "http", "containerPort": 99999}]),
        f"{MAIN}.ports[http].containerPort",
        "not a port",
    ),
    "port name": (
        with_container(
            ports=[{"name": "a_b", "containerPort": 1}, {"name": "http", "containerPort": 80}]
        ),
        f"{MAIN}.ports[a_b].name",
        "port name",
    ),
    "ports twice": (
        with_container(ports=[{"name": "http", "containerPort": 80}, {"containerPort": 80}]),
        f"{MAIN}.ports",
        "one name",
    ),
    "probe": (
        with_container(readinessProbe={"httpGet": {"port": "htp"}}),
        f"{MAIN}.readinessProbe.httpGet.port",
        "does not declare",
    ),
    "probe number": (
        with_container(livenessProbe={"tcpSocket": {"port": 0}}),
        f"{MAIN}.livenessProbe.tcpSocket.port",
        "not a port",
    ),
    "mount": (
        with_container(volumeMounts=[{"name": "temp", "mountPath": "/work"}]),
        f"{MAIN}.volumeMounts",
        "not declared",
    ),
    "mounts twice": (
        with_container(volumeMounts=[{"name": "tmp", "mountPath": "/work"}] * 2),
        f"{MAIN}.volumeMounts",
        "one name",
    ),
    "volumes twice": (
        with_pod(volumes=[{"name": "tmp", "emptyDir": {}}] * 2),
        "volumes",
        "one name",
    ),
    "two sources": (
        with_pod(volumes=[{"name": "tmp", "emptyDir": {}, "hostPath": {"path": "/x"}}]),
        "volumes[name=tmp]",
        "more than one source",
    ),
    "quantity": (with_container(resources={"limits": {"cpu": "10 megs"}}), "cpu", "not a quantity"),
    "negative": (with_container(resources={"limits": {"cpu": "-1"}}), "cpu", "negative"),
    "request": (
        with_container(resources={"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}),
        f"{MAIN}.resources.requests.memory",
        "larger than the limit",
    ),
    "toleration": (
        with_pod(tolerations=[{"operator": "Exist"}]),
        "tolerations[0].operator",
        "unknown word",
    ),
    "service type": (service(type="Loadbalancer"), "spec.type", "unknown word"),
    "service ports": (service(ports=[]), "spec.ports", "without ports"),
    "service port": (service(ports=[{"port": 0}]), "spec.ports[0].port", "not a port"),
    "service protocol": (
        service(ports=[{"port": 80, "protocol": "tcp"}]),
        "spec.ports[80].protocol",
        "unknown word",
    ),
    "unnamed ports": (service(ports=[{"port": 80}, {"port": 81}]), "spec.ports", "no name"),
    "target port": (
        service(ports=[{"port": 80, "targetPort": "htp"}]),
        "spec.ports[80].targetPort",
        "none of its pods",
    ),
    "service selector": (service(selector={"app": "b"}), "spec.selector", "picks no pods"),
    "access mode": (
        claim(accessModes=["ReadWriteTwice"], resources={"requests": {"storage": "1Gi"}}),
        "spec.accessModes",
        "unknown word",
    ),
    "claim size": (claim(accessModes=["ReadWriteOnce"]), "spec.resources.requests.storage", "size"),
    "config key": (config_map("c", **{"a b": "x"}), "data[a b]", "not a key"),
    "config value": ({**config_map("c"), "data": {"a": 1}}, "data[a]", "not text"),
    "secret": (
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "%"}},
        "data[a]",
        "not base64",
    ),
    "service account": (with_pod(serviceAccountName="x"), "serviceAccountName", "not there"),
    "config map": (
        with_container(envFrom=[{"configMapRef": {"name": "x"}}]),
        f"{MAIN}.envFrom",
        "not there",
    ),
    "secret reference": (
        with_container(envFrom=[{"secretRef": {"name": "x"}}]),
        f"{MAIN}.envFrom",
        "not there",
    ),
    "claim reference": (
        with_pod(volumes=[{"name": "tmp", "persistentVolumeClaim": {"claimName": "x"}}]),
        "volumes[name=tmp]",
        "not there",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong(what: str) -> None:
    """Each mistake is one error that names object and path, and nothing else is blamed."""
    obj, path, words = WRONG[what]
    others = [GOOD] if obj["kind"] == "Service" else []
    found = [f for f in findings(obj, *others) if f.level == "error"]
    about = f"{obj['kind']}/{obj['metadata']['name']} "
    assert [f.path.removeprefix(about) for f in found] == [path]
    assert words in found[0].message
    assert found[0].origin.file == "app/templates/all.yaml.j2"


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (
            {
                "kind": "PodDisruptionBudget",
                "apiVersion": "policy/v1",
                "spec": {"selector": {"matchLabels": {"a": "b"}}},
            },
            "picks no pods",
        ),
        (
            {
                "kind": "HorizontalPodAutoscaler",
                "apiVersion": "autoscaling/v2",
                "spec": {"maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "x"}},
            },
            "not there",
        ),
        (
            {
                "kind": "RoleBinding",
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "roleRef": {"kind": "Role", "name": "x"},
            },
            "not there",
        ),
        (
            {
                "kind": "Ingress",
                "apiVersion": "networking.k8s.io/v1",
                "spec": {"defaultBackend": {"service": {"name": "x"}}},
            },
            "not there",
        ),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_dangling(obj: dict[str, Any], words: str) -> None:
    """A reference to nothing is an error in a template, and a warning in a raw manifest."""
    full = {**obj, "metadata": {"name": "x"}}
    (error,) = findings(full)
    assert (error.level, words in error.message) == ("error", True)
    (warning,) = validate(rendered(Service(name="raw", manifests=[full])))
    assert warning.level == "warning"


def test_keys_of_config_maps_and_credentials() -> None:
    """A key that a ConfigMap or a credential does not have is named, with the nearest."""
    env = [
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "kay"}}},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "app-admin", "key": "passwort"}}},
        {"name": "C", "valueFrom": {"secretKeyRef": {"name": "app-admin", "key": "htpasswd"}}},
        {
            "name": "D",
            "valueFrom": {"secretKeyRef": {"name": "gone", "key": "x", "optional": True}},
        },
    ]
    credentials = {"admin": Credential(derived=("htpasswd",))}
    found = findings(with_container(env=env), config_map("c", key="x"), credentials=credentials)
    assert [f.nearest for f in found] == ["key", "password"]


def test_stateful_set_needs_its_headless_service() -> None:
    """A serviceName that is not there is an error; one that is not headless a warning."""
    made = {**GOOD, "kind": "StatefulSet", "spec": {**GOOD["spec"], "serviceName": "app"}}
    assert [f.level for f in findings(made)] == ["error"]
    assert [f.level for f in findings(made, service())] == ["warning"]
    assert findings(made, service(clusterIP="None")) == ()


def test_jobs_end() -> None:
    """The pods of a Job cannot restart always."""
    spec = {"template": {"spec": {"containers": [{"name": "a", "image": "a:1"}]}}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": spec}
    assert [f.path for f in findings(job)] == ["Job/j restartPolicy"]


def test_warnings() -> None:
    """What works but hardly as meant is a warning."""
    undeclared = with_container(readinessProbe={"tcpSocket": {"port": 81}})
    unused = with_pod(volumes=[{"name": "tmp", "emptyDir": {}}, {"name": "x", "emptyDir": {}}])
    assert [f.level for f in findings(undeclared)] == ["warning"]
    assert [f.path for f in findings(unused)] == ["Deployment/app volumes[name=x]"]


def test_endpoints_are_ports_of_services() -> None:
    """An endpoint of the descriptor is a port of a Kubernetes Service that is there."""
    endpoints = {
        "http": Endpoint(port=80),
        "other": Endpoint(port=81),
        "far": Endpoint(port=80, service="x"),
    }
    found = findings(GOOD, service(), endpoints=endpoints)
    assert sorted(f.message.split()[0] for f in found) == ["the", "the"]
    assert [f.level for f in found] == ["error", "error"]


def test_user_functions() -> None:
    """A user's function sees the objects and yields faults; one that fails is named."""

    def no_deployments(manifests: ManifestSet) -> list[Fault]:
        return [Fault(message="no") for m in manifests.manifests if m.ref.kind == "Deployment"]

    def broken(manifests: ManifestSet) -> list[Fault]:
        del manifests
        message = "oops"
        raise RuntimeError(message)

    def odd(manifests: ManifestSet) -> Any:
        del manifests
        return ["text"]

    manifests = rendered(service_of(GOOD))
    assert [f.message for f in validate(manifests, [no_deployments])] == ["no"]
    (fault,) = validate(manifests, [broken])
    assert "broken failed: RuntimeError: oops" in fault.message
    (fault,) = validate(manifests, [odd])
    assert "no Fault" in fault.message


KINDS = (
    "Pod",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "Job",
    "Service",
    "Secret",
    "ConfigMap",
    "Ingress",
    "RoleBinding",
    "ClusterRoleBinding",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ValidatingWebhookConfiguration",
    "APIService",
    "LimitRange",
)
FIELDS = (
    "spec",
    "metadata",
    "template",
    "jobTemplate",
    "containers",
    "initContainers",
    "env",
    "ports",
    "resources",
    "requests",
    "limits",
    "volumes",
    "name",
    "valueFrom",
    "configMapKeyRef",
    "roleRef",
    "subjects",
    "kind",
    "selector",
    "matchLabels",
    "matchExpressions",
    "values",
    "operator",
    "key",
    "readinessProbe",
    "httpGet",
    "port",
    "image",
    "volumeMounts",
    "tolerations",
    "rules",
    "http",
    "paths",
    "backend",
    "service",
    "webhooks",
    "clientConfig",
    "conversion",
    "webhook",
    "names",
    "labels",
    "annotations",
    "data",
    "binaryData",
    "serviceAccountName",
    "imagePullSecrets",
    "accessModes",
    "volumeClaimTemplates",
    "maxReplicas",
    "minReplicas",
    "scaleTargetRef",
)
NONSENSE = st.recursive(
    json_values() | st.sampled_from(["In", "ServiceAccount", "ClusterRole", "a"]),
    lambda below: (
        st.dictionaries(st.sampled_from(FIELDS), below, max_size=4) | st.lists(below, max_size=3)
    ),
    max_leaves=16,
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(KINDS),
            st.dictionaries(st.sampled_from(FIELDS[:1] + FIELDS[2:]), NONSENSE, max_size=4),
        ),
        max_size=3,
    )
)
def test_nonsense_is_named_and_breaks_nothing(objects: list[tuple[str, dict[str, Any]]]) -> None:
    """Whatever shape an object has, rendering and validating end with faults, never a crash."""
    manifests = [
        {
            **fields,
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": f"a{index}", **meta(fields)},
        }
        for index, (kind, fields) in enumerate(objects)
    ]
    try:
        found = rendered(Service(name="raw", manifests=manifests), environment=Environment("dev"))
    except ProjectError:
        return  # named as a fault
    assert all(isinstance(fault, Fault) for fault in validate(found))


def meta(fields: dict[str, Any]) -> dict[str, Any]:
    """Take labels and annotations of any shape."""
    return {key: fields[key] for key in ("labels", "annotations") if key in fields}
