"""Manifests that nobody here wrote, deployed as a service made of raw manifests."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import infometis_sdk as im
from infometis_sdk._adapters.kubernetes_api import open_cluster
from infometis_sdk._yaml import load_all
from infometis_sdk.engine.apply import apply
from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.drift import drift
from infometis_sdk.engine.plan import plan
from infometis_sdk.engine.render import render
from infometis_sdk.engine.teardown import plan_teardown, tear_down
from infometis_sdk.workspace.materials import materials

if TYPE_CHECKING:
    from infometis_sdk.model import Secret, SecretRef
    from infometis_sdk.ports import Access

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

BUNDLES = (
    # CRDs, both kinds of webhooks, RBAC, quota, PDB, an empty Secret, a namespace of its own
    ("gatekeeper", "github.com/open-policy-agent/gatekeeper/v3@v3.23.1", "deploy/gatekeeper.yaml"),
    # four megabytes of CRDs
    ("operator", "github.com/prometheus-operator/prometheus-operator@v0.85.0", "bundle.yaml"),
)


def no_secret(ref: SecretRef) -> Secret:
    """These bundles name no secret of a cluster."""
    raise AssertionError(ref)


def bundle(module: str, path: str) -> Path:
    """Fetch a public bundle as a Go module; skip, with the reason, where there is no Go."""
    beside = Path(sys.executable).parent / "go"
    go = str(beside) if beside.exists() else shutil.which("go")
    if go is None:
        pytest.skip("no Go here to fetch a public bundle with")
    for _ in range(3):
        done = subprocess.run(
            [go, "mod", "download", "-json", module], capture_output=True, text=True, check=False
        )
        answer = json.loads(done.stdout or "{}")
        if "Dir" in answer:
            return Path(answer["Dir"]) / path
    pytest.fail(f"{module} cannot be fetched: {answer.get('Error') or done.stderr}")


@pytest.mark.parametrize(("name", "module", "path"), BUNDLES, ids=[b[0] for b in BUNDLES])
def test_a_public_bundle_deploys_twice_with_an_empty_second_plan(
    name: str, module: str, path: str, embedded_access: Access
) -> None:
    """Raw manifests keep their names and namespaces, and nothing is left to do the second time."""
    documents, faults = load_all(bundle(module, path).read_bytes(), file=path)
    assert not faults
    service = im.Service(name=name, manifests=[d.data for d in documents if d.data])
    environment = im.Environment("dev", stack_id=f"public-{name}")
    project = im.Project(name=f"public-{name}", services={name: service})
    manifests = render(compose(project, environment))
    cluster, run = open_cluster(embedded_access), im.Run.within(900)

    first = plan(cluster, manifests, run)
    assert not first.blocked
    report = apply(cluster, first, materials(manifests, None, no_secret), run)
    try:
        assert not report.failed
        assert len(report.outcomes) == len(manifests.manifests)
        second = plan(cluster, manifests, run)
        assert second.empty, str(second)
        assert not drift(cluster, manifests, run).items
    finally:
        gone = tear_down(cluster, plan_teardown(cluster, manifests, run), run)
    assert not gone.failed
    assert not gone.warnings, "something of the stack was kept"
    left = plan_teardown(cluster, manifests, run)
    assert not left.items, str(left)
