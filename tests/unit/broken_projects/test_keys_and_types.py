# ruff: noqa: E501 - each expectation is one whole message
from __future__ import annotations

from collections.abc import Callable

import pytest

Faults = Callable[[str], list[str]]


def test_unknown_keys_of_every_file(faults: Faults) -> None:
    """An unknown key is a fault at its line, with the nearest known key, in every file at once."""
    assert faults(
        """
        === infometis.yaml
        format: infometis.io/project/v1
        name: demo
        servces: {}
        services:
          web:
            pth: services/web
        === services/web/service.yaml
        format: infometis.io/service/v1
        name: web
        images:
          web: {repository: a/b, tag: "1", digst: x}
        parameters:
          replicas:
            type: integer
            defalt: 1
        endpoint: {}
        === environments/dev.yaml
        format: infometis.io/environment/v1
        plattform: {type: embedded}
        policies:
          prune: {maxcount: 3}
        name: dev
        === environments/dev.local.yaml
        valus: {}
        """
    ) == [
        "environments/dev.local.yaml:1 valus | unknown key 'valus' | values",
        "environments/dev.yaml:2 plattform | unknown key 'plattform' | platform",
        "environments/dev.yaml:4 policies.prune.maxcount | unknown key 'maxcount' | max_count",
        "environments/dev.yaml:5 name | unknown key 'name' | namespace",
        "infometis.yaml:3 servces | unknown key 'servces' | services",
        "infometis.yaml:6 services.web.pth | unknown key 'pth' | path",
        "services/web/service.yaml:4 images.web.digst | unknown key 'digst' | digest",
        "services/web/service.yaml:8 parameters.replicas.defalt | unknown key 'defalt' | default",
        "services/web/service.yaml:9 endpoint | unknown key 'endpoint' | endpoints",
    ]


def test_wrong_types_are_never_converted(faults: Faults) -> None:
    """``"no"`` is no boolean, ``"3"`` no integer, text no list, a list no mapping, 1.5 no integer."""
    assert faults(
        """
        === infometis.yaml
        format: infometis.io/project/v1
        name: 7
        services: {web: {}}
        values: {web: [1]}
        === services/web/service.yaml
        format: infometis.io/service/v1
        name: web
        version: 4.3
        needs: kafka
        parameters:
          replicas: {type: integer, default: "3", scope: scale}
          verbose: {type: boolean, default: true, optional: no, scope: scale}
          labels: 3
          size: {type: integer, default: 1, scope: scale}
        endpoints:
          http: {port: "80", public: 1}
        === environments/dev.yaml
        format: infometis.io/environment/v1
        platform: embedded
        protected: yes
        policies: {prune: {max_count: 1.5}}
        values:
          web:
            size: "3"
            labels: {a: b}
        """
    ) == [
        "environments/dev.yaml:2 platform | has the wrong type",
        "environments/dev.yaml:3 protected | has the wrong type",
        "environments/dev.yaml:4 policies.prune.max_count | has the wrong type",
        "environments/dev.yaml:7 values.web.size | parameter 'size' of service 'web' has the wrong type",
        "infometis.yaml:2 name | has the wrong type",
        "infometis.yaml:4 values.web | has the wrong type",
        "services/web/service.yaml:3 version | has the wrong type",
        "services/web/service.yaml:4 needs | has the wrong type",
        "services/web/service.yaml:6 parameters.replicas.default | has the wrong type",
        "services/web/service.yaml:7 parameters.verbose.optional | has the wrong type",
        "services/web/service.yaml:8 parameters.labels | has the wrong type",
        "services/web/service.yaml:11 endpoints.http.port | has the wrong type",
        "services/web/service.yaml:11 endpoints.http.public | has the wrong type",
    ]


def test_values_out_of_bounds(faults: Faults) -> None:
    """Bounds, choices and patterns hold for defaults and for every layer's values."""
    assert faults(
        """
        === infometis.yaml
        format: infometis.io/project/v1
        name: demo
        services: {web: {}}
        values:
          web: {colour: green}
        === services/web/service.yaml
        format: infometis.io/service/v1
        name: web
        parameters:
          replicas: {type: integer, default: 1, min: 1, max: 5, scope: scale}
          memory: {type: quantity, default: 64Mi, min: 128Mi, scope: scale}
          heap: {type: quantity, default: 1Gi, max: 2Gi, scope: scale}
          colour: {type: string, default: red, choices: [red, blue]}
          host: {type: string, default: a, pattern: "[a-z]+", scope: border}
          broken: {type: string, default: a, pattern: "[a-"}
        === environments/dev.yaml
        format: infometis.io/environment/v1
        values:
          web:
            replicas: 6
            heap: 2049Mi
            host: A1
        === environments/test.yaml
        format: infometis.io/environment/v1
        values:
          web:
            replicas: 0
            heap: ten megs
        """
    ) == [
        "environments/dev.yaml:4 values.web.replicas | parameter 'replicas' of service 'web' is out of bounds",
        "environments/dev.yaml:5 values.web.heap | parameter 'heap' of service 'web' is out of bounds",
        "environments/dev.yaml:6 values.web.host | parameter 'host' of service 'web' is out of bounds",
        "environments/test.yaml:4 values.web.replicas | parameter 'replicas' of service 'web' is out of bounds",
        "environments/test.yaml:5 values.web.heap | parameter 'heap' of service 'web' has the wrong type",
        "infometis.yaml:5 values.web.colour | parameter 'colour' of service 'web' is out of bounds",
        "services/web/service.yaml:5 parameters.memory.default | is out of bounds",
        "services/web/service.yaml:9 parameters.broken.pattern | not a regular expression: unterminated character set at position 0",
    ]


def test_duplicate_keys_of_every_file(faults: Faults) -> None:
    """Two equal keys are a fault that names both lines; YAML readers keep the last in silence."""
    assert faults(
        """
        === infometis.yaml
        format: infometis.io/project/v1
        name: demo
        name: other
        services:
          web: {}
          web: {path: elsewhere}
        === services/web/service.yaml
        format: infometis.io/service/v1
        name: web
        parameters:
          a: {type: string, default: x}
          b: {type: string, default: x, default: y}
          a: {type: integer, default: 1}
        === services/web/manifests/all.yaml
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: a}
        data:
          x: one
          x: two
        === environments/dev.yaml
        format: infometis.io/environment/v1
        mode: shared
        mode: independent
        """
    ) == [
        "environments/dev.yaml:3 mode | the key 'mode' is here twice, at lines 2 and 3",
        "infometis.yaml:3 name | the key 'name' is here twice, at lines 2 and 3",
        "infometis.yaml:6 services.web | the key 'web' is here twice, at lines 5 and 6",
        "services/web/manifests/all.yaml:6 data.x | the key 'x' is here twice, at lines 5 and 6",
        "services/web/service.yaml:5 parameters.b.default | the key 'default' is here twice, in one line",
        "services/web/service.yaml:6 parameters.a | the key 'a' is here twice, at lines 4 and 6",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\tname: demo", "a tab indents this line"),
        ("just text", "is no project"),
        ("", "is no project"),
    ],
)
def test_a_project_file_that_cannot_be_read_hides_no_other_fault(
    text: str, message: str, faults: Faults
) -> None:
    """Where infometis.yaml is no project, the faults of every other file are told all the same."""
    assert faults(
        f"""
        === infometis.yaml
        {text}
        === infometis.lock
        format: infometis.io/lock/v1
        servces: {{}}
        === environments/dev.yaml
        protected: [
        === environments/test.yaml
        format: infometis.io/environment/v1
        protcted: true
        === services/web/service.yaml
        format: infometis.io/service/v1
        name: web
        parameters: []
        """
    ) == [
        "environments/dev.yaml:2  | not valid YAML: did not find expected node content while parsing a flow node",
        "environments/test.yaml:2 protcted | unknown key 'protcted' | protected",
        "infometis.lock:2 servces | unknown key 'servces' | services",
        f"infometis.yaml:1  | {message}",
        "services/web/service.yaml:3 parameters | has the wrong type",
    ]


def test_files_that_are_no_yaml(faults: Faults) -> None:
    """A file of bad syntax is told with its line, and costs the other files nothing."""
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 8)
    )
    indented = bomb.replace("\n", "\n" + " " * 8)
    assert faults(
        f"""
        === infometis.yaml
        format: infometis.io/project/v1
        name: demo
        services: {{web: {{}}, api: {{}}}}
        values:
          web: {{replicas: 3}}
          api: {{replicas: 3}}
        === services/web/service.yaml
        format: infometis.io/service/v1
        name: web
        parameters:
        \treplicas: {{type: integer}}
        === services/api/service.yaml
        format: infometis.io/service/v1
        name: api
        needs: [web]
        uses: [web.http]
        === environments/dev.yaml
        format: infometis.io/environment/v1
        values: {{api: {{replicas: 3}}
        mode: shared
        === environments/test.yaml
        {indented}
        === environments/empty.yaml
        """
    ) == [
        "environments/dev.yaml:3  | not valid YAML: did not find expected ',' or '}' while parsing a flow mapping, begun at line 2",
        "environments/empty.yaml:1  | is empty",
        "environments/test.yaml:1  | aliases make more than 100000 values of this file",
        "infometis.yaml:6 values.api.replicas | service 'api' has no parameter 'replicas'",
        "services/web/service.yaml:4  | a tab indents this line",
    ]
