"""Bad input against a stack that runs: refused with place, reason and cure, and nothing moves."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.cli.conftest import Command

    from infometis_sdk.ports.platform import Access

    Spoil = Callable[[Path], None]

pytestmark = pytest.mark.integration

ENVIRONMENT = "environments/dev.yaml"
HELLO = "services/hello/service.yaml"
WORLD = "services/world/service.yaml"
TEMPLATE = "services/hello/templates/all.yaml.j2"


def change(file: str, old: str, new: str) -> Spoil:
    """Return what spoils a project by one change of a file."""

    def spoil(project: Path) -> None:
        text = (project / file).read_text()
        assert old in text
        (project / file).write_text(text.replace(old, new, 1))

    return spoil


def both(*spoils: Spoil) -> Spoil:
    """Return what does several of these."""

    def spoil(project: Path) -> None:
        for each in spoils:
            each(project)

    return spoil


def elsewhere(server: str) -> Spoil:
    """Return what lets the kubeconfig point to a server that is not there."""

    def spoil(project: Path) -> None:
        file = project / ENVIRONMENT
        line = next(li for li in file.read_text().splitlines() if "kubeconfig:" in li)
        path = line.partition("kubeconfig: ")[2].rstrip("}")
        config = json.loads((project / path).read_text())
        for cluster in config["clusters"]:
            cluster["cluster"]["server"] = server
        copy = project / "elsewhere.kubeconfig"
        copy.touch(mode=0o600)
        copy.write_text(json.dumps(config))
        file.write_text(file.read_text().replace(path, str(copy)))

    return spoil


BAD: dict[str, tuple[Spoil, int, tuple[str, ...]]] = {
    "misspelt parameter": (
        change(ENVIRONMENT, "replicas: 2", "replcas: 2"),
        2,
        ("environments/dev.yaml:5", "no parameter 'replcas'", "did you mean 'replicas'?"),
    ),
    "wrong type": (
        change(ENVIRONMENT, "replicas: 2", 'replicas: "two"'),
        2,
        ("environments/dev.yaml:5", "has the wrong type; found 'two'", "a whole number"),
    ),
    "out of bounds": (
        change(ENVIRONMENT, "replicas: 2", "replicas: 0"),
        2,
        ("environments/dev.yaml:5", "out of bounds; found 0; legal: at least 1"),
    ),
    "need that does not exist": (
        change(HELLO, 'version: "1.0"\n', 'version: "1.0"\nneeds: [wrld]\n'),
        2,
        ("services/hello/service.yaml:4", "needs 'wrld'", "did you mean 'world'?"),
    ),
    "cycle": (
        both(
            change(HELLO, 'version: "1.0"\n', 'version: "1.0"\nneeds: [world]\n'),
            change(WORLD, 'version: "1.0"\n', 'version: "1.0"\nneeds: [hello]\n'),
        ),
        2,
        ("in a circle: hello needs world needs hello",),
    ),
    "two services with one object": (
        change(TEMPLATE, '{{ name ~ "-settings" }}', "world-settings"),
        2,
        ("service 'hello' and service 'world' both make ConfigMap/world-settings",),
    ),
    "template error": (
        both(
            change(TEMPLATE, "{{ params.replicas }}", "{{ params.replica }}"),
            change(TEMPLATE, "{{ images.main }}", "x-{{ images.main }}"),
        ),
        2,
        (
            "2 faults found",
            "services/hello/templates/all.yaml.j2:6: unknown parameter 'replica'",
            "services/hello/templates/all.yaml.j2:16: the expression",
        ),
    ),
    "no kubeconfig": (
        change(ENVIRONMENT, "kubeconfig: ", "kubeconfig: /nowhere"),
        4,
        ("there is no kubeconfig at /nowhere",),
    ),
    "dead cluster": (
        elsewhere("https://127.0.0.1:9"),
        4,
        ("https://127.0.0.1:9", "connection refused", "is the cluster running?"),
    ),
}


def versions(access: Access, namespace: str) -> dict[str, str]:
    """Return the resourceVersion of everything that the stack keeps and nobody else writes."""
    cluster, run = open_cluster(access), Run.within(60)
    return {
        f"{kind}/{obj['metadata']['name']}": obj["metadata"]["resourceVersion"]
        for kind in ("ConfigMap", "Secret")
        for obj in cluster.list("v1", kind, run, namespace=namespace)
    }


def test_bad_input_is_refused_and_nothing_moves(
    run: Command, project: Path, embedded_access: Access, namespace_name: str, tmp_path: Path
) -> None:
    """Each kind of bad input ends with its code and says what, where, why and what to do."""
    assert run("up").returncode == 0
    before = versions(embedded_access, namespace_name)
    good = shutil.copytree(project, tmp_path / "good")
    for name, (spoil, code, words) in BAD.items():
        spoil(project)
        done = run("up")
        assert done.returncode == code, (name, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, name
        assert done.stdout == "", name
        for word in words:
            assert word in done.stderr, (name, done.stderr)
        shutil.rmtree(project)
        shutil.copytree(good, project)
    assert versions(embedded_access, namespace_name) == before
    assert "nothing to do" in run("up").stdout


def test_a_value_injects_nothing(
    run: Command, project: Path, embedded_access: Access, namespace_name: str
) -> None:
    """A value that looks like YAML, a template or a second document stays one string."""
    change(
        HELLO,
        "parameters:\n",
        "parameters:\n  word: {type: string, default: x, scope: scale, "
        "affects: [ConfigMap/* data], doc: A word.}\n",
    )(project)
    change(TEMPLATE, "greeting: hello", "greeting: {{ params.word }}")(project)
    evil = "x\n---\nkind: Secret\n{{ 7 * 7 }} # : [&a *a !!python/none"
    change(ENVIRONMENT, "replicas: 2", f"word: {json.dumps(evil)}")(project)
    done = run("up")
    assert done.returncode == 0, done.stderr
    cluster = open_cluster(embedded_access)
    found = cluster.list("v1", "ConfigMap", Run.within(60), namespace=namespace_name)
    data = {obj["metadata"]["name"]: obj.get("data") for obj in found}
    assert data["hello-settings"] == {"greeting": evil}
