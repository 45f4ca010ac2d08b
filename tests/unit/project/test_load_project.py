from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import frozen

from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.core.digest import stack_digest
from infometis_sdk.engine.render import render
from infometis_sdk.engine.validate import validate
from infometis_sdk.errors import ProjectError
from infometis_sdk.model import Border, Environment, Origin, Parameter, Project, SecretRef, Service
from infometis_sdk.model.service import ServiceSource
from infometis_sdk.ports.platform import PlatformSpec
from infometis_sdk.project import load_package_service, load_project, load_service

from .archive import write

if TYPE_CHECKING:
    from pathlib import Path

WEB = """
=== services/web/service.yaml
format: infometis.io/service/v1
name: web
version: "2.1"
images:
  web: {repository: example/web, tag: "2.1"}
parameters:
  replicas:
    type: integer
    default: 1
    min: 1
    scope: scale
    affects: [Deployment/web spec.replicas]
  greeting: {type: string, default: hello}
endpoints:
  http: {port: 80, public: true}
credentials:
  admin: {type: password, username: admin}
=== services/web/templates/deployment.yaml.j2
kind: Deployment
=== services/web/files/app.properties
greeting={{ params.greeting }}
=== services/web/manifests/crd.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: raw, namespace: elsewhere}
data: {mode: "0644"}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: two}}
"""
DEMO = f"""
=== infometis.yaml
format: infometis.io/project/v1
name: demo
id: demo-abc123
services:
  web:
values:
  web: {{greeting: hi}}
modes:
  shared:
    web: {{replicas: 2}}
{WEB}
=== environments/dev.yaml
format: infometis.io/environment/v1
stack_id: demo-abc123-dev
platform: {{type: mine, nodes: 3}}
border: {{type: none, domain: example.com}}
mode: shared
values:
  web:
    replicas: 3
patches:
- {{kind: Deployment, name: web, path: spec.replicas, value: 4}}
credentials:
  web.admin: secret:existing
=== environments/dev.local.yaml
values:
  web: {{replicas: 5}}
=== environments/prod.yaml
format: infometis.io/environment/v1
platform: {{type: mine}}
protected: true
credentials:
  web.admin: {{password: "env:ADMIN"}}
"""


@frozen(kw_only=True)
class Mine:
    """Settings of a platform for these tests."""

    nodes: int = 1


MINE = {"mine": PlatformSpec(name="mine", summary="", settings=Mine, factory=lambda _s, _c: None)}  # type: ignore[arg-type, return-value]


@pytest.fixture
def demo(tmp_path: Path) -> Project:
    """Return the project above, loaded."""
    return load_project(write(tmp_path, DEMO), sources={}, platforms=MINE)


def test_a_project_is_what_its_files_say(demo: Project, tmp_path: Path) -> None:
    """Services, environments, values, modes and identity come from their files."""
    assert (demo.name, demo.id, demo.root) == ("demo", "demo-abc123", tmp_path)
    assert demo.values == {"web": {"greeting": "hi"}}
    assert demo.modes == {"shared": {"web": {"replicas": 2}}}
    dev, prod = demo.environments["dev"], demo.environments["prod"]
    assert dev.platform == {"type": "mine", "nodes": 3}
    assert dev.border == Border(type="none", domain="example.com")
    assert dev.local == {"web": {"replicas": 5}}
    assert dev.credentials == {"web.admin": SecretRef(scheme="secret", target="existing")}
    assert prod.credentials == {"web.admin": {"password": SecretRef(scheme="env", target="ADMIN")}}
    assert prod.protected
    assert demo.findings == ()


def test_a_service_is_what_its_directory_holds(demo: Project) -> None:
    """Descriptor, templates, files and raw manifests, these with their namespaces as they are."""
    web = demo.services["web"]
    assert (web.version, str(web.images["web"])) == ("2.1", "example/web:2.1")
    assert list(web.templates) == ["deployment.yaml.j2"]
    assert web.files == {"app.properties": "greeting={{ params.greeting }}\n"}
    assert [m["metadata"]["name"] for m in web.manifests] == ["raw", "two"]
    assert web.manifests[0]["metadata"]["namespace"] == "elsewhere"
    assert str(web.origin) == "services/web/service.yaml:1"
    file = "services/web/manifests/crd.yaml"
    assert [str(where) for where in web.origins] == [f"{file}:1", f"{file}:6"]
    assert web.lines["parameters.replicas.default"] == 9


def test_faults_of_raw_manifests_name_their_file_and_line(tmp_path: Path) -> None:
    """What is wrong with a raw manifest is told where it stands, not where the descriptor does."""
    project = """
    === infometis.yaml
    format: infometis.io/project/v1
    name: demo
    services: {raw: {}}
    === services/raw/service.yaml
    format: infometis.io/service/v1
    name: raw
    === services/raw/manifests/all.yaml
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: fine}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: bad}
    spec: {containers: [{name: a, image: "example/a:latest"}]}
    """
    write(tmp_path, project)
    stack = compose(load_project(tmp_path, sources={}, platforms={}), Environment("dev"))
    (fault,) = (f for f in validate(render(stack)) if "latest" in str(f))
    assert str(fault.origin) == "services/raw/manifests/all.yaml:5"


def test_the_core_does_not_depend_on_where_manifests_stand(tmp_path: Path) -> None:
    """The same manifests from other files are the same core."""
    head = """
    === infometis.yaml
    format: infometis.io/project/v1
    name: demo
    services: {raw: {}}
    === services/raw/service.yaml
    format: infometis.io/service/v1
    name: raw
    """
    body = "{apiVersion: v1, kind: ConfigMap, metadata: {name: fine}}"
    digests = set()
    for file, above in (("a.yaml", ""), ("b.yaml", "#\n")):
        root = write(tmp_path / file, f"{head}=== services/raw/manifests/{file}\n{above}{body}")
        stack = compose(load_project(root, sources={}, platforms={}), Environment("dev"))
        digests.add(stack_digest(stack).digest)
    assert len(digests) == 1


def test_every_value_knows_its_file_and_line(demo: Project) -> None:
    """What ``explain`` says: each layer's word on a value, with file and line."""
    stack = compose(demo, demo.environments["dev"])
    history = stack.service("web").history["replicas"]
    assert [(s.value, str(s.origin), s.origin.layer) for s in history] == [
        (1, "services/web/service.yaml:9", "base"),
        (2, "infometis.yaml:10", "mode"),
        (3, "environments/dev.yaml:8", "environment"),
        (5, "environments/dev.local.yaml:2", "local"),
    ]
    assert stack.service("web").history["greeting"][-1].origin == Origin(
        layer="project", file="infometis.yaml", line=7
    )
    assert str(demo.environments["dev"].patches[0].origin) == "environments/dev.yaml:10"


def test_the_file_itself_can_be_named(tmp_path: Path) -> None:
    """``infometis.yaml`` and its directory name the same project."""
    write(tmp_path, DEMO)
    by_file = load_project(tmp_path / "infometis.yaml", sources={}, platforms={})
    assert by_file == load_project(str(tmp_path), sources={}, platforms={})


def test_settings_of_known_platforms_are_checked(tmp_path: Path) -> None:
    """Wrong settings are faults of the file; an unknown platform may be installed elsewhere."""
    write(tmp_path, DEMO.replace("nodes: 3", "nods: 3"))
    with pytest.raises(ProjectError) as caught:
        load_project(tmp_path, sources={}, platforms=MINE)
    (fault,) = caught.value.faults
    assert (str(fault.origin), fault.path) == ("environments/dev.yaml:3", "platform.nods")
    assert fault.nearest == "nodes"
    project = load_project(tmp_path, sources={}, platforms={})
    assert [f.message for f in project.findings] == [
        "no plugin that is installed here offers the platform 'mine'",
        "no plugin that is installed here offers the platform 'mine'",
    ]


def test_warnings_do_not_stop(tmp_path: Path) -> None:
    """Secrets in plain sight and directories that nobody names are findings, not errors."""
    write(tmp_path, DEMO)
    write(
        tmp_path,
        """
        === services/web/manifests/secret.yaml
        apiVersion: v1
        kind: Secret
        metadata: {name: s}
        stringData: {password: hunter2}
        === services/wbe/service.yaml
        name: wbe
        """,
    )
    project = load_project(tmp_path, sources={}, platforms=MINE)
    assert [(f.level, f.message) for f in project.findings] == [
        ("warning", "no service of the project is in 'services/wbe', so it is not read"),
        ("warning", "Secret/s holds its values in plain sight"),
    ]
    assert not any("hunter2" in str(f) for f in project.findings)


def test_a_service_alone(tmp_path: Path) -> None:
    """A service directory loads by itself, and a broken one says all its faults."""
    write(tmp_path, WEB)
    assert load_service(tmp_path / "services/web") == Service.load(tmp_path / "services/web")
    write(tmp_path, "=== bad/service.yaml\nformat: infometis.io/service/v1\nnme: x\n")
    with pytest.raises(ProjectError) as caught:
        load_service(tmp_path / "bad")
    assert [f.message for f in caught.value.faults] == [
        "'name' is missing",
        "unknown key 'nme'",
    ]


def test_a_service_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package ships a service as data; messages name its files by the package."""
    write(tmp_path, WEB.replace("services/web", "my_pkg/web"))
    monkeypatch.syspath_prepend(str(tmp_path))
    source = ServiceSource(name="web", summary="", package="my_pkg.web")
    web = load_package_service(source)
    assert web.origin.file == "my_pkg/web/service.yaml"
    assert list(web.templates) == ["deployment.yaml.j2"]


def test_a_registered_service_under_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``source`` runs one registered service under several names, its influence moves along."""
    write(tmp_path / "lib", WEB.replace("services/web", "other_pkg/web"))
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    write(
        tmp_path,
        """
        === infometis.yaml
        format: infometis.io/project/v1
        name: demo
        services:
          web: {}
          shop: {source: web}
        """,
    )
    sources = {"web": ServiceSource(name="web", summary="", package="other_pkg.web")}
    project = load_project(tmp_path, sources=sources, platforms={})
    shop = project.services["shop"]
    assert shop.name == "shop"
    assert str(shop.parameters["replicas"].affects[0]) == "Deployment/shop spec.replicas"
    assert [f.level for f in project.findings] == ["warning", "warning"]
    assert "is not pinned" in project.findings[0].message


def test_projects_of_code_are_checked_alike() -> None:
    """The same function finds the same faults in a project that no file says."""
    from infometis_sdk.engine.inputs.check_project import project_faults

    web = Service(
        name="web",
        parameters={"size": Parameter(type="integer", default=1)},
        templates={"a.yaml.j2": "a: {{ namespace }}"},
        uses=("db.sql",),
    )
    project = Project(
        name="demo",
        services={"web": web},
        environments={
            "a": Environment("a", stack_id="x", values={"web": {"size": 2}}),
            "b": Environment("b", stack_id="x"),
        },
    )
    assert [f.path for f in project_faults(project)] == [
        "stack_id",
        "",
        "values.web.size",
        "uses",
    ]
