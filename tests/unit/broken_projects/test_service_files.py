# ruff: noqa: E501 - each expectation is one whole message
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .conftest import write

if TYPE_CHECKING:
    from pathlib import Path

Faults = Callable[[str], list[str]]

PROJECT = """
        === infometis.yaml
        format: infometis.io/project/v1
        name: demo
        services: {web: {}}
"""


def test_templates_that_ask_for_too_much(faults: Faults) -> None:
    """A template sees parameters, never the environment; every bad line of every file is told."""
    assert faults(
        f"""{PROJECT}
        === services/web/service.yaml
        format: infometis.io/service/v1
        name: web
        images:
          web: {{repository: a/b, tag: "1"}}
        parameters:
          replicas: {{type: integer, default: 1, scope: scale}}
        === services/web/templates/deployment.yaml.j2
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: {{{{ name }}}}-web
          namespace: {{{{ namespace }}}}
        spec:
          replicas: {{{{ params.replica }}}}
          template:
            spec:
              containers:
              - image: {{{{ images.wbe }}}}
                env:
                - {{name: STAGE, value: {{{{ environment.name }}}}}}
        === services/web/templates/service.yaml.j2
        kind: Service
        {{% if params.replicas > 1 %}}
        === services/web/templates/notes.txt
        hello
        === services/web/files/app.properties
        stage={{{{ env }}}}
        replicas={{{{ params["replics"] }}}}
        """
    ) == [
        "services/web/files/app.properties:1  | the template asks for 'env', but a template cannot see the environment: rendering is a function of the bundle and of the parameters alone",
        "services/web/files/app.properties:2  | unknown parameter 'replics' | replicas",
        "services/web/templates/deployment.yaml.j2:4  | the expression {{ name }} is glued to text; a printed expression is a whole YAML value",
        "services/web/templates/deployment.yaml.j2:5  | the template asks for 'namespace', but a template cannot see the environment: rendering is a function of the bundle and of the parameters alone",
        "services/web/templates/deployment.yaml.j2:7  | unknown parameter 'replica' | replicas",
        "services/web/templates/deployment.yaml.j2:11  | unknown image 'wbe' | web",
        "services/web/templates/deployment.yaml.j2:13  | the template asks for 'environment', but a template cannot see the environment: rendering is a function of the bundle and of the parameters alone",
        "services/web/templates/notes.txt  | is no template",
        "services/web/templates/service.yaml.j2:2  | unexpected end of template. Jinja was looking for the following tags: 'elif' or 'else' or 'endif'. The innermost block that needs to be closed is 'if'",
    ]


def test_affects_that_reach_too_far(faults: Faults) -> None:
    """No parameter but a core one reaches commands, images, ports or selectors."""
    assert faults(
        f"""{PROJECT}
        === services/web/service.yaml
        format: infometis.io/service/v1
        name: web
        parameters:
          a:
            type: string
            default: x
            scope: scale
            affects: ["Deployment/web spec.template.spec.containers[name=web].command"]
          b:
            type: string
            default: x
            scope: platform
            affects: [Service/web spec.ports, "Deployment/web", + Ingress/web]
          c: {{type: string, default: x, affects: [Deployment/web spec.replicas]}}
        """
    ) == [
        "services/web/service.yaml:8 parameters.a.affects | Deployment/web spec.template.spec.containers[name=web].command is a command, which only core may change",
        "services/web/service.yaml:13 parameters.b.affects[1] | 'Deployment/web' names no path; '+ Deployment/web' says that the object comes and goes",
        "services/web/service.yaml:13 parameters.b.affects | Service/web spec.ports is a port, which only core may change",
        "services/web/service.yaml:14 parameters.c.affects | a core parameter may change anything, so Deployment/web spec.replicas says nothing",
    ]


def test_manifests_that_are_no_objects(faults: Faults) -> None:
    """Raw manifests are Kubernetes objects, each once, whatever file they are in."""
    assert faults(
        f"""{PROJECT}
        === services/web/service.yaml
        format: infometis.io/service/v1
        name: web
        === services/web/manifests/a.yaml
        apiVersion: v1
        kind: ConfigMap
        metadata:
          name: a
        ---
        - not
        - an object
        ---
        kind: ConfigMap
        metadata: {{generateName: x}}
        === services/web/manifests/b.yaml
        apiVersion: v1
        kind: List
        items:
        - apiVersion: v1
          kind: ConfigMap
          metadata: {{name: b}}
        - apiVersion: v1
          kind: ConfigMap
          metadata: {{name: a}}
        === services/web/manifests/notes.md
        hello
        """
    ) == [
        "services/web/manifests/a.yaml:6  | is no Kubernetes object",
        "services/web/manifests/a.yaml:9 apiVersion | a Kubernetes object without apiVersion",
        "services/web/manifests/a.yaml:9 metadata.name | a Kubernetes object without metadata.name",
        "services/web/manifests/b.yaml:1  | ConfigMap/a is here twice, first in services/web/manifests/a.yaml:1",
        "services/web/manifests/notes.md  | is no manifest",
    ]


def test_files_that_cannot_be_read(faults: Faults, tmp_path: Path) -> None:
    """Binary files, links that lead out or nowhere, folders, and a missing descriptor."""
    (tmp_path / "secret.txt").write_text("not yours")
    web = tmp_path / "services/web"
    (web / "files").mkdir(parents=True)
    (web / "templates/below").mkdir(parents=True)
    (web / "files/logo.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    (web / "files/zero.txt").write_bytes(b"a\x00b")
    (web / "files/wrong name.txt").write_text("x")
    (web / "files/out.txt").symlink_to(tmp_path / "secret.txt")
    (web / "files/gone.txt").symlink_to("nowhere.txt")
    (web / "files/.hidden").write_text("not read")
    (web / "files/inside.txt").symlink_to("wrong name.txt")
    write(tmp_path, "=== services/api/sevice.yaml\nname: api\n")
    assert faults(
        """
        === infometis.yaml
        format: infometis.io/project/v1
        name: demo
        services: {web: {}, api: {}}
        === services/web/service.yaml
        format: infometis.io/service/v1
        name: web
        needs: [api]
        """
    ) == [
        "services/api/service.yaml  | there is no such file | sevice.yaml",
        "services/web/files/gone.txt  | is a link to 'nowhere.txt', which is not there",
        "services/web/files/logo.png:1  | is not UTF-8 text",
        f"services/web/files/out.txt  | is a link out of the service, to '{tmp_path / 'secret.txt'}'",
        "services/web/files/wrong name.txt  | has a name that no ConfigMap takes",
        "services/web/files/zero.txt  | is binary",
        "services/web/templates/below  | is a directory",
    ]


def test_the_project_itself_is_missing(faults: Faults, tmp_path: Path) -> None:
    """Where there is no infometis.yaml, the fault names the folder and the nearest file."""
    assert faults("=== infometis.yml\nname: demo\n") == [
        f"infometis.yaml  | there is no such file (looked in {tmp_path}) | infometis.yml"
    ]
