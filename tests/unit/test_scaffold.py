from __future__ import annotations

import re
from pathlib import Path

import pytest

from infometis_sdk._plugins import Plugins
from infometis_sdk.catalogue import plugin as catalogue
from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.render import render
from infometis_sdk.errors import RefusedError
from infometis_sdk.project import load_project
from infometis_sdk.scaffold import init_project, new_id, project_texts

SOURCES = Plugins.load(extra=[catalogue], found=()).services()


def test_a_new_project_works_as_it_stands(tmp_path: Path) -> None:
    """It loads without a finding, has the four services pinned, and renders everywhere."""
    init_project(tmp_path / "demo", "demo", SOURCES)
    project = load_project(tmp_path / "demo", sources=SOURCES)
    assert sorted(project.services) == ["elasticsearch", "grafana", "kafka", "nifi"]
    assert sorted(project.lock.services) == sorted(project.services)
    assert [f for f in project.findings if "platform" not in f.path] == []
    sets = {
        name: render(compose(project, environment))
        for name, environment in project.environments.items()
    }
    assert sorted(sets) == ["dev", "prod"]
    assert sets["dev"].digest == sets["prod"].digest
    assert sets["dev"].digests == sets["prod"].digests
    assert sets["dev"].manifests != sets["prod"].manifests


def test_environments_differ_in_what_may_differ(tmp_path: Path) -> None:
    """Development and production differ in replicas, sizes, hosts and storage."""
    init_project(tmp_path, "demo", SOURCES)
    project = load_project(tmp_path, sources=SOURCES)
    dev, prod = (compose(project, project.environments[name]) for name in ("dev", "prod"))
    different = {
        key
        for service in project.services
        for key, value in dev.service(service).values.items()
        if value != prod.service(service).values[key]
    }
    assert {"replicas", "memory", "storage", "storage_class", "public_host"} <= different
    assert project.environments["prod"].protected


def test_identity_is_fresh_and_written_once(tmp_path: Path) -> None:
    """Two projects of one name are never taken for each other."""
    for name in ("one", "two"):
        init_project(tmp_path / name, "demo", SOURCES)
    one, two = (load_project(tmp_path / name, sources=SOURCES) for name in ("one", "two"))
    assert one.id != two.id
    assert one.id.startswith("demo-")
    assert one.environments["dev"].stack_id == f"{one.id}-dev"
    assert one.environments["prod"].stack_id == f"{one.id}-prod"
    assert len(f"{new_id('a' * 60)}-production") <= 42


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Where one file is there already, none is written and all that are there are named."""
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/dev.yaml").write_text("mine\n")
    with pytest.raises(RefusedError, match=r"environments/dev\.yaml already"):
        init_project(tmp_path, "demo", SOURCES)
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()] == [
        "environments/dev.yaml"
    ]


def test_editors_find_the_schemas() -> None:
    """Each file names its schema, which is written beside it."""
    texts = project_texts("demo", "demo-abcdef")
    for path, text in texts.items():
        hint = re.match(r"# yaml-language-server: \$schema=(.*)\n", text)
        if path.endswith(".yaml"):
            assert hint is not None, path
            target = (Path("/x") / path).parent / hint[1]
            assert str(Path(re.sub(r"/\w+/\.\.", "", str(target))).relative_to("/x")) in texts


def test_local_values_are_not_tracked() -> None:
    """The untracked layer stays untracked."""
    assert "*.local.yaml" in project_texts("demo", "x")[".gitignore"].splitlines()
