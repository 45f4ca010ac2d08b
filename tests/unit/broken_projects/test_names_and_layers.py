# ruff: noqa: E501 - each expectation is one whole message
from __future__ import annotations

from collections.abc import Callable

Faults = Callable[[str], list[str]]


def test_unknown_names(faults: Faults) -> None:
    """Services, parameters, endpoints and credentials that do not exist, with the nearest name."""
    assert faults(
        """
        === infometis.yaml
        format: infometis.io/project/v1
        name: demo
        services:
          web:
          api:
          kafak: {}
          gone: {path: services/apii}
        values:
          webb: {replicas: 1}
        modes:
          shared: {web: {replica: 1}}
          sharded: {}
        === services/web/service.yaml
        format: infometis.io/service/v1
        name: web
        parameters:
          replicas: {type: integer, default: 1, scope: scale}
        needs: [apo]
        uses: [api.htp, ape.http]
        metrics: {endpoint: metrics}
        === services/api/service.yaml
        format: infometis.io/service/v1
        name: api
        endpoints: {http: {port: 80}}
        credentials: {admin: {type: passwrd}}
        === environments/dev.yaml
        format: infometis.io/environment/v1
        mode: independant
        values:
          api: {replicas: 2}
          web: {replcas: 2}
        credentials:
          api.admn: {password: "env:X"}
        === environments/dve.local.yaml
        values: {}
        """
    ) == [
        "environments/dev.yaml:2 mode | unknown mode 'independant' | independent",
        "environments/dev.yaml:4 values.api.replicas | service 'api' has no parameter 'replicas'",
        "environments/dev.yaml:5 values.web.replcas | service 'web' has no parameter 'replcas' | replicas",
        "environments/dev.yaml:7 credentials.api.admn | no service declares the credential 'api.admn' | api.admin",
        "environments/dve.local.yaml:1  | there is no environment 'dve' | dev",
        "infometis.yaml:6 services.kafak | there is no service 'kafak': no directory, and no plugin offers it",
        "infometis.yaml:7 services.gone | there is no directory 'services/apii' | services/api",
        "infometis.yaml:9 values.webb | there is no service 'webb' | web",
        "infometis.yaml:11 values.web.replica | service 'web' has no parameter 'replica' | replicas",
        "infometis.yaml:12 modes.sharded | unknown mode 'sharded' | shared",
        "services/api/service.yaml:4 credentials.admin.type | unknown word 'passwrd' | password",
        "services/web/service.yaml:5 needs | service 'web' needs 'apo', which is not in the project | api",
        "services/web/service.yaml:6 uses | service 'web' uses the unknown endpoint 'api.htp' | api.http",
        "services/web/service.yaml:6 uses | service 'web' uses 'ape', which is not in the project | api",
        "services/web/service.yaml:7 metrics.endpoint | the service declares no endpoint 'metrics'",
    ]


def test_needs_in_a_circle(faults: Faults) -> None:
    """Needs are an order and have no circle; uses may have one."""
    assert faults(
        """
        === infometis.yaml
        format: infometis.io/project/v1
        name: demo
        services: {a: {}, b: {}, c: {}}
        === services/a/service.yaml
        format: infometis.io/service/v1
        name: a
        needs: [b]
        uses: [b.http]
        === services/b/service.yaml
        format: infometis.io/service/v1
        name: b
        endpoints: {http: {port: 80}}
        needs: [c]
        === services/c/service.yaml
        format: infometis.io/service/v1
        name: c
        needs: [a]
        """
    ) == [
        "services/a/service.yaml:3 needs | services need each other in a circle: a needs b needs c needs a",
    ]


def test_core_is_the_same_everywhere(faults: Faults) -> None:
    """Mode, environment and local never set a core parameter; a protected one has no local file."""
    assert faults(
        """
        === infometis.yaml
        format: infometis.io/project/v1
        name: demo
        services: {web: {}}
        values:
          web: {partitions: 3}
        modes:
          shared:
            web: {partitions: 4}
        === services/web/service.yaml
        format: infometis.io/service/v1
        name: web
        parameters:
          partitions: {type: integer, default: 1}
          replicas: {type: integer, default: 1, scope: scale}
        === environments/dev.yaml
        format: infometis.io/environment/v1
        mode: shared
        values:
          web:
            replicas: 2
            partitions: 5
        === environments/dev.local.yaml
        values:
          web: {partitions: 6}
        === environments/prod.yaml
        format: infometis.io/environment/v1
        protected: true
        === environments/prod.local.yaml
        values:
          web: {replicas: 1}
        """
    ) == [
        "environments/dev.local.yaml:2 values.web.partitions | parameter 'partitions' of service 'web' is core: the same everywhere, so the local layer may not set it",
        "environments/dev.yaml:6 values.web.partitions | parameter 'partitions' of service 'web' is core: the same everywhere, so the environment layer may not set it",
        "environments/prod.local.yaml:1  | the environment 'prod' is protected and takes no local values",
        "infometis.yaml:8 values.web.partitions | parameter 'partitions' of service 'web' is core: the same everywhere, so the mode layer may not set it",
    ]


def test_identities(faults: Faults) -> None:
    """Names, ids and formats: wrong ones, missing ones, and one id for two stacks."""
    assert faults(
        """
        === infometis.yaml
        name: Demo
        id: demo_1
        services: {web: {}, my_api: {}}
        === services/web/service.yaml
        format: infometis.io/service/v2
        name: website
        === services/my_api/service.yaml
        format: infometis.io/service/v1
        name: my_api
        renamed_from: [web]
        === environments/dev.yaml
        format: infometis.io/environment/v1
        stack_id: one
        namespace: Demo
        === environments/test.yaml
        format: infometis.io/environment/v1
        stack_id: one
        === environments/Big.yaml
        format: infometis.io/environment/v1
        === environments/other.yml
        format: infometis.io/environment/v1
        """
    ) == [
        "environments/Big.yaml:1 name | not a DNS label",
        "environments/dev.yaml:3 namespace | not a DNS label",
        "environments/other.yml:1  | is not read",
        "environments/test.yaml:2 stack_id | environments 'dev' and 'test' have one stack_id, 'one', and would take each other's objects",
        "infometis.yaml:1 format | 'format' is missing",
        "infometis.yaml:1 name | not a DNS label",
        "infometis.yaml:2 id | not a DNS label",
        "services/my_api/service.yaml:2 name | not a DNS label",
        "services/my_api/service.yaml:3 renamed_from | 'my_api' says that it was 'web', which is another service here",
        "services/web/service.yaml:1 format | another format than this version reads",
        "services/web/service.yaml:2 name | calls itself 'website', but the project calls it 'web'",
    ]


def test_patches_credentials_and_policies(faults: Faults) -> None:
    """Patches stay on allow-listed paths; secrets have no place in files and are never shown."""
    assert faults(
        """
        === infometis.yaml
        format: infometis.io/project/v1
        name: demo
        services: {web: {}}
        === services/web/service.yaml
        format: infometis.io/service/v1
        name: web
        credentials:
          admin: {type: password, username: admin}
        === environments/dev.yaml
        format: infometis.io/environment/v1
        patches:
        - kind: StatefulSet
          name: web
          path: spec.template.spec.containers[name=web].image
          value: other
        - {kind: Deployment, name: web, path: spec.replicas, value: 3}
        - {kind: Deployment, name: web, path: "spec..replicas"}
        - {kind: Service, path: spec.ports}
        credentials:
          web.admin:
            password: hunter2
            pasword: env:ADMIN
        policies:
          pod_security: strict
          drift: {foreign: drop, yield_to: [hpa]}
          prune: {max_percent: 120, max_count: -1}
          resource_quota: {requests.cpu: many}
          validate: [our_checks]
        """
    ) == [
        "environments/dev.yaml:3 StatefulSet/web spec.template.spec.containers[name=web].image | a patch may not touch this path",
        "environments/dev.yaml:8 Deployment/web spec..replicas | 'spec..replicas' is not a field path; one looks like spec.containers[name=kafka].image",
        "environments/dev.yaml:9 patches[3].name | 'name' is missing",
        "environments/dev.yaml:9 Service/ spec.ports | a patch may not touch this path",
        "environments/dev.yaml:12 credentials.web.admin.password | not a secret reference; a secret itself has no place in a file",
        "environments/dev.yaml:13 credentials.web.admin.pasword | unknown key 'pasword' | password",
        "environments/dev.yaml:15 policies.pod_security | unknown word 'strict' | restricted",
        "environments/dev.yaml:16 policies.drift.foreign | unknown word 'drop'",
        "environments/dev.yaml:16 policies.drift.yield_to[0] | not a triple",
        "environments/dev.yaml:17 policies.prune.max_count | is out of bounds",
        "environments/dev.yaml:17 policies.prune.max_percent | is out of bounds",
        "environments/dev.yaml:18 policies.resource_quota.requests.cpu | is no quantity",
        "environments/dev.yaml:19 policies.validate[0] | names no function",
    ]


def test_capacity(faults: Faults) -> None:
    """Autoscalers, limits and quotas that cannot be, each with its line and the reason."""
    assert faults(
        """
        === infometis.yaml
        format: infometis.io/project/v1
        name: demo
        services: {web: {}, db: {}, broken: {}}
        === services/web/service.yaml
        format: infometis.io/service/v1
        name: web
        parameters:
          replicas:
            type: integer
            default: 1
            max: 9
            scope: scale
            mutability: live
            affects: [Deployment/web spec.replicas]
        scaling:
          workload: Deployment/web
          directions: [out, inn]
        === services/db/service.yaml
        format: infometis.io/service/v1
        name: db
        scaling:
          why: there is one leader
        === services/broken/service.yaml
        - no descriptor at all
        === environments/prod.yaml
        format: infometis.io/environment/v1
        policies:
          limits:
            max: {cpu: 2}
            min: {cpu: 10m, memory: tiny}
          scoped_quotas:
            few:
              hard: {pods: "2"}
              scopes: [BestEfort]
          scaling:
            wbe: {min: 1, max: 2, cpu: 70}
            db:
              min: 1
              max: 3
              cpu: 70
            broken: {min: 1, max: 2, cpu: 70}
            web:
              min: 3
              max: 20
              cpu: 70
              pace: fast
        """
    ) == [
        "environments/prod.yaml:5 policies.limits.min.memory | is no quantity",
        "environments/prod.yaml:9 policies.scoped_quotas.few.scopes | unknown scope 'BestEfort' | BestEffort",
        "environments/prod.yaml:11 policies.scaling.wbe | there is no service 'wbe' | web",
        "environments/prod.yaml:12 policies.scaling.db | service 'db' may not be scaled: there is one leader",
        "environments/prod.yaml:19 policies.scaling.web.max | is out of the bounds of web.replicas",
        "environments/prod.yaml:21 policies.scaling.web.pace | unknown key 'pace'",
        "services/broken/service.yaml:1  | is no descriptor",
        "services/web/service.yaml:13 scaling.directions | unknown word 'inn' | in",
    ]
