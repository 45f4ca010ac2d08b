"""A small project on the genuine API server, and the command as its own process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from pathlib import Path

    from infometis_sdk.ports.platform import Access

Done = subprocess.CompletedProcess[str]
Command = Callable[..., Done]

_SERVICE = """\
format: infometis.io/service/v1
name: {name}
version: "1.0"
images:
  main: {{repository: example/{name}, tag: "1.0"}}
parameters:
  replicas:
    type: integer
    default: 1
    min: 1
    scope: scale
    mutability: live
    affects: [Deployment/* spec.replicas]
    doc: Number of pods.
credentials:
  admin: {{type: password, username: admin, doc: Opens it.}}
"""
_TEMPLATE = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ name }}
spec:
  replicas: {{ params.replicas }}
  selector:
    matchLabels: {{ selector }}
  template:
    metadata:
      labels: {{ selector }}
    spec:
      automountServiceAccountToken: false
      containers:
        - name: main
          image: {{ images.main }}
          envFrom:
            - secretRef:
                name: {{ secret("admin") }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ name ~ "-settings" }}
data:
  greeting: hello
"""


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    """Return the environment of the command: state of its own, and the code under test."""
    return {
        **{k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")},
        "INFOMETIS_STATE_DIR": str(tmp_path / "state"),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
    }


@pytest.fixture
def command() -> tuple[str, ...]:
    """Return the words that start the command."""
    return (sys.executable, "-m", "infometis_sdk")


@pytest.fixture
def project(tmp_path: Path, embedded_access: Access, namespace_name: str) -> Iterator[Path]:
    """Make a project of two small services, whose one environment is on the test's API server."""
    root = tmp_path / "small"
    for name in ("hello", "world"):
        folder = root / "services" / name / "templates"
        folder.mkdir(parents=True)
        (folder / "all.yaml.j2").write_text(_TEMPLATE)
        (folder.parent / "service.yaml").write_text(_SERVICE.format(name=name))
    (root / "environments").mkdir()
    (root / "infometis.yaml").write_text(
        "format: infometis.io/project/v1\nname: small\n"
        f"id: small-{namespace_name[-8:]}\nservices:\n  hello: {{}}\n  world: {{}}\n"
    )
    (root / "environments" / "dev.yaml").write_text(
        f"format: infometis.io/environment/v1\nnamespace: {namespace_name}\n"
        f"platform: {{type: existing, kubeconfig: {embedded_access.kubeconfig}}}\n"
        "values:\n  hello: {replicas: 2}\n"
    )
    yield root
    ref = ObjectRef(api_version="v1", kind="Namespace", name=namespace_name)
    cluster = open_cluster(embedded_access)
    if cluster.get(ref, Run.within(30)) is not None:
        cluster.write(Write(verb="delete", ref=ref), Run.within(30))


@pytest.fixture
def run(project: Path, environ: Mapping[str, str], command: tuple[str, ...]) -> Command:
    """Run the command in the project, as a process without a terminal."""

    def once(*words: str, timeout: float = 90) -> Done:
        return subprocess.run(
            [*command, *words],
            cwd=project,
            env=environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return once
