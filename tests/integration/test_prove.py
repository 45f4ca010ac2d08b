"""Two live environments on the genuine API server: proven, broken, and looked at with less."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.integration.engine.lab import Lab

import infometis_sdk as im
from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk.errors import ForbiddenError, ProofError, StoreError, UnreachableError
from infometis_sdk.model.environment import DriftPolicy, Policies
from infometis_sdk.model.parameter import Influence, Parameter
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.model.service import Credential
from infometis_sdk.ports.cluster import Write
from infometis_sdk.testing.fault_proxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infometis_sdk.model.equivalence import EquivalenceReport
    from infometis_sdk.ports.cluster import Cluster
    from infometis_sdk.ports.platform import Access

pytestmark = pytest.mark.integration

MINUTE = 60.0
DIGESTS = tuple(f"sha256:{digit * 64}" for digit in "ab")
TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: app
data:
  mode: {{ params.mode }}
  size: {{ params.size }}
---
apiVersion: v1
kind: Service
metadata:
  name: app
spec:
  selector: {{ selector }}
  ports:
    - name: http
      port: 80
      targetPort: 8080
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
spec:
  replicas: {{ params.replicas }}
  selector:
    matchLabels: {{ selector }}
  template:
    metadata:
      labels: {{ selector }}
    spec:
      containers:
        - name: main
          image: {{ images.main }}
          env:
            - name: MODE
              value: {{ params.mode }}
            - name: PASSWORD
              valueFrom:
                secretKeyRef:
                  name: {{ secret("admin") }}
                  key: password
"""


def places(*texts: str) -> tuple[Influence, ...]:
    """Write an ``affects``."""
    return tuple(Influence.parse(text) for text in texts)


APP = im.Service(
    name="app",
    version="1",
    images={"main": im.model.Image(repository="example/app", tag="1", digest=DIGESTS[0])},
    credentials={"admin": Credential(username="root")},
    parameters={
        "mode": Parameter(type="string", default="safe"),
        "size": Parameter(
            type="string", default="small", scope="scale", affects=places("ConfigMap/app data.size")
        ),
        "replicas": Parameter(
            type="integer",
            default=0,
            scope="scale",
            affects=places("Deployment/app spec.replicas"),
        ),
    },
    templates={"all.yaml.j2": TEMPLATE},
)
SIZES = {"dev": "small", "uat": "large"}


class Pair:
    """Two environments of one project, each in a namespace of its own."""

    def __init__(self, access: Access, name: str, tmp_path: Path) -> None:
        self.access = access
        self.cluster: Cluster = open_cluster(access)
        self.name = name[-20:].strip("-")
        self.state = tmp_path / "state"
        self.accesses: dict[str, Access] = {}

    def workspace(
        self, service: im.Service = APP, *, replicas: int = 0, policies: Policies | None = None
    ) -> im.Workspace:
        """Return a workspace with both environments."""
        environments = {}
        for name, size in SIZES.items():
            access = self.accesses.get(name, self.access)
            environments[name] = im.Environment(
                name,
                platform=im.Existing(kubeconfig=str(access.kubeconfig), context=access.context),
                namespace=self.space(name),
                stack_id=f"{name}-{self.name}",
                values={"app": {"size": size, "replicas": replicas}},
                policies=policies or Policies(),
            )
        project = im.Project(
            name="demo", id="demo", services={"app": service}, environments=environments
        )
        return im.Workspace(project, state_dir=self.state)

    def space(self, side: str) -> str:
        """Return the namespace of an environment."""
        return f"{side}-{self.name}"

    def up(self, workspace: im.Workspace, *names: str) -> None:
        """Deploy, and wait for nothing."""
        for name in names or SIZES:
            stack = workspace[name]
            stack.apply(stack.plan())

    def ref(self, kind: str, version: str = "v1", side: str = "dev") -> ObjectRef:
        """Name an object of the service."""
        return ObjectRef(api_version=version, kind=kind, namespace=self.space(side), name="app")

    def patch(self, ref: ObjectRef, body: Any, manager: str = "kubectl-edit", **how: Any) -> None:
        """Change an object behind the SDK's back."""
        how.setdefault("verb", "merge-patch")
        self.cluster.write(Write(ref=ref, body=body, manager=manager, **how), Run.within(MINUTE))

    def get(self, ref: ObjectRef) -> Mapping[str, Any]:
        """Return a live object."""
        found = self.cluster.get(ref, Run.within(MINUTE))
        assert found is not None, ref
        return found


@pytest.fixture
def pair(embedded_access: Access, namespace_name: str, tmp_path: Path) -> Pair:
    """Give two environments on the genuine API server."""
    return Pair(embedded_access, namespace_name, tmp_path)


def told(report: EquivalenceReport) -> dict[str, str]:
    """Return what was seen of each live field."""
    return {
        f"{found.side} {found.ref.kind} {found.path}".rstrip(): found.state for found in report.live
    }


def test_equal_then_broken_then_mended(pair: Pair) -> None:
    """What runs is proven; an edit is named with its field, tool and time; its undoing mends it."""
    ws = pair.workspace()
    pair.up(ws)
    report = ws.prove("dev", "uat", strict=True)
    assert (report.verdict, report.passed) == ("equal", True), str(report)
    assert {side.basis for side in (report.a, report.b)} == {"live, release 1"}
    assert report.a.cluster_uid == report.b.cluster_uid != ""
    assert report.a.checked == len(ws["dev"].render().manifests)
    (size,) = [d for d in report.differences if d.cause == "parameter"]
    assert (str(size), size.a, size.b) == ("ConfigMap/app data.size", "small", "large")

    pair.patch(pair.ref("ConfigMap"), {"data": {"mode": "wild"}})
    report = ws.prove("dev", "uat")
    assert (report.verdict, report.passed) == ("different", False)
    (found,) = report.live
    assert (found.state, found.side, found.path) == ("differs", "dev", "data.mode")
    assert (found.rendered, found.live, found.manager) == ("safe", "wild", "kubectl-edit")
    assert found.time
    assert report.a.clock is not None

    # Who owns a field does not matter; what it says does.
    pair.patch(pair.ref("ConfigMap"), {"data": {"mode": "safe"}}, manager="somebody")
    assert ws.prove("dev", "uat", strict=True).verdict == "equal"


def test_what_is_missing_and_what_is_too_much(pair: Pair) -> None:
    """A deleted object, an object of ours that is not rendered, and a field of ours: all told."""
    ws = pair.workspace()
    pair.up(ws)
    pair.patch(pair.ref("Service"), None, verb="delete")
    stray = dict(pair.get(pair.ref("ConfigMap", side="uat")))
    meta = {k: stray["metadata"][k] for k in ("labels", "namespace")}
    stray = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**meta, "name": "stray"}}
    ref = ObjectRef.of(stray)
    pair.patch(ref, stray, manager=f"infometis.uat-{pair.name}", verb="apply")
    ours = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": pair.get(pair.ref("ConfigMap", side="uat"))["metadata"],
        "data": {"mode": "safe", "size": "large", "more": "x"},
    }
    ours["metadata"] = {
        k: ours["metadata"][k] for k in ("name", "namespace", "labels", "annotations")
    }
    pair.patch(
        ObjectRef.of(ours), ours, manager=f"infometis.uat-{pair.name}", verb="apply", force=True
    )
    report = ws.prove("dev", "uat")
    assert report.verdict == "different"
    assert told(report) == {
        "dev Service": "missing",
        "uat ConfigMap": "extra",
        "uat ConfigMap data.more": "differs",
    }


def test_additions_by_anybody_are_foreign(pair: Pair) -> None:
    """A name proves nothing: who calls himself a controller is trusted with its own paths only."""
    ws = pair.workspace()
    pair.up(ws)
    deployment = pair.ref("Deployment", "apps/v1")
    env = [{"op": "add", "path": "/spec/template/spec/containers/0/env/-",
            "value": {"name": "EVIL", "value": "1"}}]  # fmt: skip
    pair.patch(deployment, env, manager="kube-controller-manager", verb="json-patch")
    pair.patch(pair.ref("Service", side="uat"), {"metadata": {"annotations": {"team": "x"}}})
    report = ws.prove("dev", "uat")
    assert (report.verdict, report.passed) == ("equal-with-foreign", True)
    assert told(report) == {
        "dev Deployment spec.template.spec.containers[name=main].env[name=EVIL]": "foreign",
        "uat Service metadata.annotations.team": "foreign",
    }
    assert not ws.prove("dev", "uat", strict=True).passed

    restart = {"spec": {"template": {"metadata": {"annotations": {
        "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}}}}}  # fmt: skip
    pair.patch(pair.ref("Deployment", "apps/v1", "uat"), restart, manager="kubectl-rollout")
    allowed = Policies(
        drift=DriftPolicy(
            yield_to=[
                "kubectl-edit::metadata.annotations.team",
                "kube-controller-manager::spec.template.spec.containers[*].env[name=EVIL]",
            ]
        )
    )
    report = pair.workspace(policies=allowed).prove("dev", "uat", strict=True)
    assert report.verdict == "equal", str(report)
    assert set(told(report).values()) == {"yielded"}
    assert {found.manager for found in report.yielded} == {
        "kube-controller-manager",
        "kubectl-edit",
        "kubectl-rollout",
    }


def test_replicas_are_the_autoscalers(pair: Pair) -> None:
    """What an autoscaler holds is yielded, and listed with both numbers."""
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "app"},
        "spec": {
            "maxReplicas": 5,
            # Nothing here measures cpu.
            "metrics": [
                {
                    "type": "External",
                    "external": {
                        "metric": {"name": "lag"},
                        "target": {"type": "Value", "value": "1"},
                    },
                }
            ],
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
        },
    }
    ws = pair.workspace(attrs.evolve(APP, manifests=[scaler]))
    pair.up(ws)
    ref = pair.ref("Deployment", "apps/v1")
    body = {"spec": {"replicas": 2}}
    pair.patch(ref, body, manager="kube-controller-manager", subresource="scale")
    report = ws.prove("dev", "uat")
    (found,) = report.yielded
    assert (found.path, found.rendered, found.live) == ("spec.replicas", "0", "2")
    assert found.manager == "kube-controller-manager/scale"
    assert not [f for f in report.live if f.state != "yielded"]

    # Only the autoscaler may hold them: somebody else in its place is named.
    pair.patch(pair.ref("Deployment", "apps/v1", "uat"), body, subresource="scale")
    (found,) = [f for f in ws.prove("dev", "uat").live if f.state == "differs"]
    assert (found.side, found.path, found.manager) == ("uat", "spec.replicas", "kubectl-edit/scale")


def test_wiped_ownership_hides_nothing(pair: Pair) -> None:
    """Whoever wipes out managedFields is noticed, and so is what was changed before."""
    ws = pair.workspace()
    pair.up(ws)
    wipe: dict[str, Any] = {"metadata": {"managedFields": [{}]}}
    pair.patch(pair.ref("ConfigMap"), {"data": {"mode": "wild"}})
    pair.patch(pair.ref("ConfigMap"), wipe)
    pair.patch(pair.ref("Service", side="uat"), wipe)
    report = ws.prove("dev", "uat")
    assert report.verdict == "different"
    assert told(report) == {
        "dev ConfigMap metadata.managedFields": "foreign",
        "dev ConfigMap data.mode": "differs",
        "uat Service metadata.managedFields": "foreign",
    }


def test_running_images_are_compared(pair: Pair) -> None:
    """What the pods of both sides run is held against what was rendered."""
    ws = pair.workspace(replicas=1)
    pair.up(ws)
    for side, digest in (("dev", DIGESTS[0]), ("uat", DIGESTS[1])):
        pods = Lab.run()
        while not (found := pair.cluster.list("v1", "Pod", pods, namespace=pair.space(side))):
            pods.sleep(0.1, "waiting for the pod")
        ref = ObjectRef.of({**found[0], "apiVersion": "v1", "kind": "Pod"})
        status = {"name": "main", "image": "x", "imageID": f"example/app@{digest}", "ready": True,
                  "restartCount": 0}  # fmt: skip
        while pair.get(ref).get("status", {}).get("phase") != "Running":
            pods.sleep(0.1, "waiting for the pod to run")
        pair.patch(ref, {"status": {"containerStatuses": [status]}}, subresource="status")
    report = ws.prove("dev", "uat")
    assert report.verdict == "different"
    verdicts = {image.side: image.verdict for image in report.images}
    assert verdicts == {"dev": "equal", "uat": "differs"}
    assert DIGESTS[1] in str(report)


def reader(pair: Pair, side: str, *kinds: str) -> Access:
    """Return the access of an account that may look at namespaces and at some kinds in one."""
    lab = Lab(pair.access, pair.space(side))
    rules = [{"apiGroups": ["*"], "resources": list(kinds), "verbs": ["get", "list"]}]
    access = lab.as_service_account(rules).access
    assert access.kubeconfig is not None
    account, rbac = access.kubeconfig.stem, "rbac.authorization.k8s.io"
    meta = {"name": f"{account}-{pair.name}"}
    role = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRole",
        "metadata": meta,
        "rules": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list"]}],
    }
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": meta["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": pair.space(side)}],
    }
    for obj in (role, binding):
        pair.patch(ObjectRef.of(obj), obj, verb="create")
    return access


KINDS = (
    "configmaps",
    "deployments",
    "networkpolicies",
    "pods",
    "resourcequotas",
    "services",
)


def test_a_reader_gets_a_local_proof(pair: Pair) -> None:
    """Without the right to dry-run or to see Secrets it is proven locally, and says so."""
    ws = pair.workspace()
    pair.up(ws)
    pair.accesses = {side: reader(pair, side, *KINDS) for side in SIZES}
    ws = pair.workspace()
    report = ws.prove("dev", "uat")
    assert report.verdict == "equal", str(report)
    assert not report.local
    assert any("Secrets may not be read" in note for note in report.notes)
    pair.patch(pair.ref("Deployment", "apps/v1"), {"spec": {"paused": True, "replicas": 3}})
    report = ws.prove("dev", "uat")
    assert report.local
    assert report.headline() == "dev and uat: different (local)"
    assert told(report) == {
        "dev Deployment spec.replicas": "differs",
        "dev Deployment spec.paused": "foreign",
    }


def test_a_side_that_cannot_be_looked_at_is_named(pair: Pair) -> None:
    """Unreachable, or forbidden: the error is typed, names the side, and nothing is claimed."""
    ws = pair.workspace()
    pair.up(ws)
    pair.accesses = {"uat": reader(pair, "uat", "configmaps")}
    with pytest.raises(ProofError) as caught:
        pair.workspace().prove("dev", "uat")
    assert caught.value.side == "uat"
    assert isinstance(caught.value.__cause__, ForbiddenError)
    assert caught.value.exit_code == 4

    kubeconfig = pair.access.kubeconfig
    assert kubeconfig is not None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    dead = pair.state.parent / "dead.kubeconfig"
    dead.touch(mode=0o600)
    dead.write_text(json.dumps(redirected(kubeconfig, port)))
    pair.accesses = {"dev": attrs.evolve(pair.access, kubeconfig=dead)}
    with pytest.raises(ProofError, match="dev cannot be looked at") as caught:
        pair.workspace().prove("dev", "uat", run=Run.within(5))
    assert caught.value.side == "dev"
    assert isinstance(caught.value.__cause__, (UnreachableError, StoreError))


def redirected(kubeconfig: Path, port: int) -> Any:
    """Return a kubeconfig that points to a port where nobody listens."""
    from yaml import safe_load

    data = safe_load(kubeconfig.read_text(encoding="utf-8"))
    for cluster in data["clusters"]:
        cluster["cluster"]["server"] = f"https://127.0.0.1:{port}"
    return data


def test_what_was_deployed_counts_not_what_the_project_says_now(pair: Pair) -> None:
    """Each side is held against its own Release; two Releases can be proven without any project."""
    pair.up(pair.workspace())
    moved = pair.workspace(
        attrs.evolve(
            APP,
            version="2",
            parameters={**APP.parameters, "mode": Parameter(type="string", default="new")},
        )
    )
    report = moved.prove("dev", "uat", strict=True)
    assert report.verdict == "equal", str(report)
    (size,) = [d for d in report.differences if d.cause == "parameter"]
    assert size.set_b == "environment"

    pair.up(moved, "dev")
    report = moved.prove("dev", "uat")
    assert report.verdict == "different"
    assert report.live == ()
    assert {(c.input, c.a, c.b) for c in report.core} >= {
        ("descriptor.version", "2", "1"),
        ("values.mode", "new", "safe"),
    }
    assert moved.prove("dev@1", "uat@1").verdict == "equal"
    assert moved.prove("dev@2", "dev").verdict == "equal"
    assert moved.prove("dev", "uat", live=False).verdict == "equal"
    with pytest.raises(ProofError, match="no release 7"):
        moved.prove("dev@7", "uat")


def test_a_changed_release_proves_nothing(pair: Pair) -> None:
    """Where the record of what runs was edited or deleted, nothing else stands in for it."""
    ws = pair.workspace()
    pair.up(ws)
    name = f"infometis-{ws['dev'].stack_id}-release-1"
    release = attrs.evolve(pair.ref("ConfigMap"), name=name)
    pair.patch(release, {"data": {"status": "superseded"}})
    with pytest.raises(ProofError, match="dev cannot be looked at: release 1 of stack"):
        ws.prove("dev", "uat")
    pair.patch(release, None, verb="delete")
    with pytest.raises(ProofError, match="release 1, the newest, is gone"):
        ws.prove("uat", "dev")


def test_a_proof_asks_little_and_nothing_twice(pair: Pair) -> None:
    """A clean proof is one LIST for each kind and namespace, and the name of the cluster."""
    ws = pair.workspace()
    pair.up(ws)
    with FaultProxy(pair.access) as proxy:
        pair.accesses = dict.fromkeys(SIZES, proxy.access)
        assert pair.workspace().prove("dev", "uat").verdict == "equal"
        counts = proxy.counts()
    asked = {verb for verb, _ in counts}
    assert asked == {"GET"}, counts
    spaces = {pair.space(side) for side in SIZES}
    for (_, path), times in counts.items():
        # Releases are read apart from the objects; namespaces are looked at for either side.
        most = 2 if "configmaps" in path or path.startswith("/api/v1/namespaces?") else 1
        most = 2 if path.rstrip("/").endswith(("/namespaces", "/kube-system")) else most
        assert times <= most, (path, counts)
    assert sum(counts.values()) <= 12 * len(spaces), counts


def test_the_command_ends_with_a_code_for_ci(pair: Pair, tmp_path: Path) -> None:
    """A pipeline reads the exit code, and a program the one document on stdout."""
    ws = pair.workspace()
    pair.up(ws)
    folder = tmp_path / "project"
    (folder / "services" / "app" / "templates").mkdir(parents=True)
    (folder / "environments").mkdir()
    write_project(folder, ws)
    done = run(folder, "prove", "dev", "uat", "--strict", "--output", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "equal"
    pair.patch(pair.ref("ConfigMap", side="uat"), {"data": {"mode": "wild"}})
    done = run(folder, "prove", "dev", "uat")
    assert done.returncode == 8
    assert (
        "differs: uat ConfigMap/app data.mode: rendered safe, live wild, by kubectl-edit"
        in done.stdout
    )


def write_project(folder: Path, ws: im.Workspace) -> None:
    """Write the service and environments of a workspace as files."""
    from yaml import safe_dump

    affects = {n: [str(i) for i in p.affects] for n, p in APP.parameters.items()}
    (folder / "infometis.yaml").write_text(
        "format: infometis.io/project/v1\nname: demo\nid: demo\nservices:\n  app: {}\n"
    )
    service = {
        "format": "infometis.io/service/v1",
        "name": "app",
        "version": "1",
        "images": {"main": {"repository": "example/app", "tag": "1", "digest": DIGESTS[0]}},
        "credentials": {"admin": {"username": "root"}},
        "parameters": {
            name: {"type": p.type, "default": p.default, "scope": p.scope, "affects": affects[name]}
            for name, p in APP.parameters.items()
        },
    }
    (folder / "services" / "app" / "service.yaml").write_text(safe_dump(service))
    (folder / "services" / "app" / "templates" / "all.yaml.j2").write_text(TEMPLATE)
    for name in SIZES:
        environment = ws.project.environments[name]
        data = {
            "format": "infometis.io/environment/v1",
            "stack_id": environment.stack_id,
            "namespace": environment.namespace,
            "platform": {
                "type": "existing",
                "kubeconfig": environment.platform.kubeconfig,
                "context": environment.platform.context,
            },
            "values": {k: dict(v) for k, v in environment.values.items()},
        }
        (folder / "environments" / f"{name}.yaml").write_text(safe_dump(data))


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a project."""
    import sys

    return subprocess.run(
        (sys.executable, "-m", "infometis_sdk", "-C", str(folder), "--quiet", *words),
        env={**os.environ, "INFOMETIS_STATE_DIR": str(folder / "state")},
        capture_output=True,
        text=True,
        check=False,
        timeout=MINUTE,
    )
