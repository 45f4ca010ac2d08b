"""What we render is what the API server stores: no field is written otherwise, none is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.objects import paths
from infometis_sdk.engine.render import render
from infometis_sdk.engine.validate import validate
from infometis_sdk.model import Environment, Project, Run, Service
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from infometis_sdk.model import Manifest
    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.ports.platform import Access

pytestmark = pytest.mark.integration

ODD = """\
apiVersion: v1
kind: Service
metadata:
  name: odd
spec:
  selector: {app: odd}
  ports: [{name: a, port: 80.0}, {name: b, port: 81, targetPort: a}]
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: odd
  labels: {}
  annotations: {example.com/x: "yes"}
data: {a: "1e3", b: {{ "\\u2028 \\x85 \\U0001f600" }}, c: ""}
---
apiVersion: v1
kind: Secret
metadata: {name: odd}
stringData: {a: b}
---
apiVersion: v1
kind: LimitRange
metadata: {name: odd}
spec:
  limits: [{type: Container, default: {cpu: 0.5, memory: 1024Mi}, max: {cpu: 1e1}}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: odd}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: odd}
  minReplicas: 1
  maxReplicas: 2
  metrics:
    - type: Resource
      resource: {name: memory, target: {type: AverageValue, averageValue: 1024Mi}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: odd}
spec:
  schedule: "0 0 * * *"
  jobTemplate:
    spec:
      template:
        metadata: {labels: {app: odd}, creationTimestamp: null}
        spec:
          restartPolicy: Never
          tolerations: []
          nodeSelector: {}
          affinity: {}
          containers:
            - name: a
              image: example/a:1
              args: []
              ports: [{name: a, containerPort: 80}]
              resources: {limits: {cpu: 1000m, memory: "1.5Gi", ephemeral-storage: 100u}}
              env:
                - name: CPU
                  valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1000m}}
              volumeMounts: [{name: tmp, mountPath: /work}]
          volumes:
            - name: tmp
              emptyDir: {sizeLimit: 0.5Gi}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: odd}
spec:
  minAvailable: 50%
  selector: {matchLabels: {app: odd}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: odd}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress: [{ports: [{port: 80}], from: [{podSelector: {}}]}]
"""

SERVICES = (
    Service.web("hello", image="example/hello:1", port=8080, env={"A": "1"}, command=["/a"]),
    Service.stateful("store", image="example/store:1", port=80, storage="1024Mi"),
    Service(name="odd", templates={"odd.yaml.j2": ODD}),
)


@pytest.fixture
def cluster(embedded_access: Access) -> Cluster:
    """Open the API server of this test run."""
    return open_cluster(embedded_access)


def dry_run(cluster: Cluster, manifest: Manifest) -> Any:
    """Return what the API server would store."""
    write = Write(
        verb="apply",
        ref=manifest.ref,
        body=manifest.object,
        manager="tests",
        force=True,
        dry_run=True,
    )
    return cluster.write(write, Run.within(30)).object


def test_every_leaf_is_stored_as_it_was_rendered(cluster: Cluster) -> None:
    """Every leaf that we send comes back with the same value under the same path."""
    environment = Environment("dev", mode="shared", namespace="default")
    project = Project(name="demo", services={service.name: service for service in SERVICES})
    manifests = render(compose(project, environment))
    assert [
        f for f in validate(manifests) if f.level == "error" and f.origin.file[:3] != "odd"
    ] == []
    wrong = []
    for manifest in manifests.manifests:
        stored = dry_run(cluster, manifest)
        for path, value in paths.leaves(manifest.object).items():
            there = paths.value_at(stored, path)
            if type(there) is not type(value) or there != value:
                wrong.append((str(manifest.ref), path, value, there))
    assert wrong == []
