"""Services and stacks that the tests of the engine share."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.render import render
from infometis_sdk.errors import ProjectError
from infometis_sdk.model import (
    ComposedStack,
    Credential,
    Environment,
    Fault,
    Image,
    Influence,
    Manifest,
    ManifestSet,
    Origin,
    Parameter,
    Project,
    Service,
)

STATEFUL_SET = """\
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ name }}
spec:
  replicas: {{ params.replicas }}
  serviceName: {{ name ~ "-headless" }}
  selector:
    matchLabels: {{ selector }}
  template:
    metadata:
      labels: {{ selector }}
    spec:
      tolerations: {{ params.tolerations }}
      containers:
        - name: kafka
          image: {{ images.main }}
          args: [run, {{ params.topic }}]
          ports:
            - name: client
              containerPort: 9092
          readinessProbe:
            tcpSocket:
              port: client
          resources:
            requests:
              memory: {{ params.memory }}
          env:
            - name: PASSWORD
              valueFrom:
                secretKeyRef:
                  name: {{ secret("admin") }}
                  key: password
          volumeMounts:
            - name: config
              mountPath: /config
            - name: data
              mountPath: /data
      volumes:
        - name: config
          configMap:
            name: {{ name ~ "-config" }}
  volumeClaimTemplates:
    - metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        storageClassName: {{ params.storage_class }}
        resources:
          requests:
            storage: 1024Mi
"""
CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ name ~ "-config" }}
data: {{ config() }}
"""
SERVICES = """\
apiVersion: v1
kind: Service
metadata:
  name: {{ name ~ "-headless" }}
spec:
  clusterIP: None
  selector: {{ selector }}
  ports:
    - name: client
      port: 9092
      targetPort: client
{% if params.replicas > 1 %}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ name }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{ selector }}
{% endif %}
"""


def affects(
    kind: str, name: str, path: str = "", key: str = "", *, presence: bool = False
) -> Influence:
    """Write one ``affects`` entry."""
    return Influence(kind=kind, name=name, path=path, key=key, presence=presence)


CONTAINER = "spec.template.spec.containers[name=kafka]"
KAFKA = Service(
    name="kafka",
    version="4.3.1",
    origin=Origin(layer="base", file="services/kafka/service.yaml"),
    images={"main": Image(repository="apache/kafka", tag="4.3.1")},
    parameters={
        "replicas": Parameter(
            type="integer",
            default=1,
            min=1,
            scope="scale",
            affects=(
                affects("StatefulSet", "kafka", "spec.replicas"),
                affects("PodDisruptionBudget", "kafka", presence=True),
            ),
        ),
        "memory": Parameter(
            type="quantity",
            default="1Gi",
            scope="scale",
            affects=(
                affects("StatefulSet", "kafka", f"{CONTAINER}.resources"),
                affects("ConfigMap", "kafka-config", "data[server.properties]", "heap"),
            ),
        ),
        "tolerations": Parameter(
            type="list",
            default=(),
            scope="platform",
            affects=(affects("StatefulSet", "*", "spec.template.spec.tolerations"),),
        ),
        "storage_class": Parameter(
            type="string",
            optional=True,
            scope="platform",
            affects=(
                affects(
                    "StatefulSet",
                    "kafka",
                    "spec.volumeClaimTemplates[metadata.name=data].spec.storageClassName",
                ),
            ),
        ),
        "topic": Parameter(type="string", default="events"),
    },
    credentials={"admin": Credential()},
    templates={
        "config.yaml.j2": CONFIG,
        "services.yaml.j2": SERVICES,
        "statefulset.yaml.j2": STATEFUL_SET,
    },
    files={
        "server.properties": "heap={{ params.memory | mebibytes }}m\ntopic={{ params.topic }}\n"
    },
)


def config_map(name: str, **data: str) -> dict[str, Any]:
    """Write a raw ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def template_service(name: str, template: str, **more: Any) -> Service:
    """Make a service of one template."""
    return Service(name=name, templates={"all.yaml.j2": template}, **more)


def stack_of(
    *services: Service, environment: Environment | None = None, **defaults: Any
) -> ComposedStack:
    """Compose services in an environment called dev."""
    project = Project(name="demo", services={service.name: service for service in services})
    return compose(project, environment or Environment("dev"), platform_defaults=defaults)


def rendered(
    *services: Service, environment: Environment | None = None, **defaults: Any
) -> ManifestSet:
    """Compose and render."""
    return render(stack_of(*services, environment=environment, **defaults))


def find(manifests: ManifestSet, kind: str, name: str) -> Manifest:
    """Return the one manifest of that kind and name."""
    (found,) = [m for m in manifests.manifests if (m.ref.kind, m.ref.name) == (kind, name)]
    return found


def render_faults(
    *services: Service, environment: Environment | None = None, **defaults: Any
) -> list[Fault]:
    """Render what must fail, and return the faults."""
    with pytest.raises(ProjectError) as caught:
        rendered(*services, environment=environment, **defaults)
    return list(caught.value.faults)


def changed(service: Service, **fields: Any) -> Service:
    """Return a service with other fields."""
    return attrs.evolve(service, **fields)
