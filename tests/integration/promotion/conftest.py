"""Three environments of one project on the genuine API server, each in a namespace of its own."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from infometis_sdk import Project, Workspace
from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.ports.platform import Access

NAMES = ("dev", "uat", "prod")

SERVICE = """\
format: infometis.io/service/v1
name: hello
version: "1.0"
images:
  main: {repository: example/hello, tag: "1.0"}
parameters:
  greeting: {type: string, default: hello, scope: core, doc: What it says.}
  replicas:
    type: integer
    default: 1
    min: 0
    scope: scale
    mutability: live
    affects: [Deployment/* spec.replicas]
    doc: Number of pods.
credentials:
  admin: {type: password, username: admin, doc: Opens it.}
"""

TEMPLATE = """\
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
  greeting: {{ params.greeting }}
"""


class Site:
    """A project directory, its environments on one cluster, and the state of one machine.

    Attributes:
        root: the project.
        state: what this machine remembers.
        cluster: the door to all environments.

    """

    def __init__(self, root: Path, state: Path, access: Access, stem: str) -> None:
        self.root, self.state, self.stem = root, state, stem
        self.cluster: Cluster = open_cluster(access)
        self.service(TEMPLATE)
        (root / "environments").mkdir()
        for number, name in enumerate(NAMES):
            (root / "environments" / f"{name}.yaml").write_text(
                f"format: infometis.io/environment/v1\nnamespace: {self.namespace(name)}\n"
                f"platform: {{type: existing, kubeconfig: {access.kubeconfig}}}\n"
                f"values:\n  hello: {{replicas: {number + 1}}}\n"
            )
        self.declare("")

    def service(self, template: str) -> None:
        """Write the one service with this template."""
        folder = self.root / "services" / "hello" / "templates"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "all.yaml.j2").write_text(template)
        (folder.parent / "service.yaml").write_text(SERVICE)

    def namespace(self, environment: str) -> str:
        """Return the namespace of an environment."""
        return f"{self.stem}-{environment}"

    def declare(self, pipelines: str, greeting: str = "hello") -> None:
        """Write the project file with these pipelines."""
        (self.root / "infometis.yaml").write_text(
            f"format: infometis.io/project/v1\nname: site\nid: {self.stem}\n"
            f"services:\n  hello: {{}}\nvalues:\n  hello: {{greeting: {greeting}}}\n{pipelines}"
        )

    def pipeline(self, uat: str = "", greeting: str = "hello") -> None:
        """Declare dev -> uat -> prod, with more lines for the step to ``uat``."""
        more = "".join(f"        {line}\n" for line in uat.splitlines())
        self.declare(
            "pipelines:\n  main:\n    steps:\n      - environment: dev\n"
            f"      - environment: uat\n{more}      - environment: prod\n",
            greeting,
        )

    def ws(self, *plugins: object) -> Workspace:
        """Read the project anew."""
        return Workspace(Project.load(self.root), state_dir=self.state, plugins=plugins)

    @staticmethod
    def run() -> Run:
        """Return a run with time enough for a loaded machine."""
        return Run.within(180)

    def up(self, environment: str, **options: Any) -> None:
        """Deploy an environment from the project."""
        self.ws()[environment].up(run=self.run(), **options)

    def ref(self, environment: str, kind: str, name: str, version: str = "v1") -> ObjectRef:
        """Name an object of an environment."""
        space = self.namespace(environment)
        return ObjectRef(api_version=version, kind=kind, namespace=space, name=name)

    def get(self, ref: ObjectRef) -> Mapping[str, Any] | None:
        """Return a live object."""
        return self.cluster.get(ref, self.run())

    def greeting(self, environment: str) -> str:
        """Return what an environment's service was told to say; empty where it is not there."""
        found = self.get(self.ref(environment, "ConfigMap", "hello-settings"))
        return str((found or {}).get("data", {}).get("greeting", ""))

    def meddle(self, environment: str) -> None:
        """Change a core field as somebody with kubectl would."""
        ref = self.ref(environment, "ConfigMap", "hello-settings")
        body = {"data": {"greeting": "meddled"}}
        write = Write(verb="merge-patch", ref=ref, body=body, manager="kubectl-edit")
        self.cluster.write(write, self.run())

    def module(self, text: str) -> None:
        """Write ``gates.py`` of this project; its name is unique to the test."""
        (self.root / f"{self.functions}.py").write_text(text)

    @property
    def functions(self) -> str:
        """Name of the project's own module."""
        return f"gates_{self.stem.replace('-', '_')}"

    def key(self, name: str) -> Path:
        """Make an SSH key."""
        path = self.root / name
        subprocess.run(
            ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)), check=True
        )
        return path

    def sign(self, key: Path, digest: str, namespace: str = "infometis") -> Path:
        """Sign a plan's digest as a person would."""
        message = self.root / f"{key.name}.txt"
        message.write_text(digest)
        signature = message.with_suffix(".txt.sig")
        signature.unlink(missing_ok=True)
        subprocess.run(
            ("ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace, str(message)),
            check=True,
            capture_output=True,
        )
        return signature


@pytest.fixture
def site(tmp_path: Path, embedded_access: Access, namespace_name: str) -> Iterator[Site]:
    """Make a site; its namespaces go with the test."""
    stem = f"p-{namespace_name[-8:]}"
    made = Site(tmp_path / "site", tmp_path / "state", embedded_access, stem)
    yield made
    for name in NAMES:
        ref = ObjectRef(api_version="v1", kind="Namespace", name=made.namespace(name))
        if made.get(ref) is not None:
            made.cluster.write(Write(verb="delete", ref=ref), made.run())
