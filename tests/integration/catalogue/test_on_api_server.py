"""The catalogue on the genuine API server: accepted, admitted as restricted, ready, and stable."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.integration.engine.lab import Lab
from tests.unit.catalogue.stacks import DEV, PROD, Values, services

from infometis_sdk.engine.objects import paths
from infometis_sdk.engine.readiness.tracking import Timing
from infometis_sdk.engine.wait import wait
from infometis_sdk.errors import ClusterError
from infometis_sdk.model import ManifestSet, Policies
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infometis_sdk.ports.platform import Access

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

FAST = Timing(patience=0.1, settle=0.5, explain=0.5, interval=0.3, heartbeat=1)
# What the simulated nodes of a test can take, with the shape of production.
SMALL_PROD: Values = {
    name: {
        key: value
        for key, value in values.items()
        if key
        not in (
            "node_selector",
            "tolerations",
            "storage_class",
            "cpu",
            "cpu_limit",
            "memory",
            "heap",
        )
    }
    for name, values in PROD.items()
}
LARGE: Values = {
    "kafka": {
        "replicas": 99,
        "controllers": 3,
        "memory": "64Gi",
        "storage": "16Ti",
        "cpu": "15500m",
    },
    "elasticsearch": {"replicas": 99, "memory": "64Gi", "heap": "31Gi", "storage": "8Ti"},
    "nifi": {"replicas": 20, "clustered": True, "memory": "96Gi", "storage": "4Ti"},
    "grafana": {"memory": "8Gi", "storage": "100Gi"},
}


@pytest.fixture
def lab(embedded_access: Access) -> Iterator[Lab]:
    """Give a stack in a namespace that enforces the Pod Security Standard `restricted`."""
    made = Lab(embedded_access, f"t{secrets.token_hex(4)}")
    made.environment = attrs.evolve(made.environment, policies=Policies(pod_security="restricted"))
    yield made
    ref = ObjectRef(api_version="v1", kind="Namespace", name=made.namespace)
    with contextlib.suppress(ClusterError):
        made.cluster.write(Write(verb="delete", ref=ref), Run.within(30))


def wanted(lab: Lab, values: Values) -> ManifestSet:
    """Render the whole catalogue."""
    return lab.render(*services().values(), **values)


def ready(lab: Lab, manifests: ManifestSet) -> Mapping[str, Any]:
    """Apply, wait until all is ready, and return the live StatefulSets' status by name."""
    lab.up(manifests)
    wait(lab.cluster, manifests, Run.within(120), simulated=True, timing=FAST)
    return {
        name: lab.must_get(lab.ref("StatefulSet", name, "apps/v1"))["status"] for name in services()
    }


@pytest.mark.parametrize("values", [DEV, PROD, LARGE], ids=["dev", "prod", "large"])
def test_the_api_server_takes_every_object_as_it_is(lab: Lab, values: Values) -> None:
    """A strict dry-run accepts every object, and would store exactly what was rendered."""
    manifests = wanted(lab, values)
    run = Run.within(60)
    for manifest in manifests.manifests:
        namespace = manifest.ref.kind == "Namespace"
        write = Write(
            verb="apply",
            ref=manifest.ref,
            body=manifest.object,
            manager=lab.manager,
            dry_run=not namespace,
        )
        stored = lab.cluster.write(write, run).object
        for path, value in paths.leaves(manifest.object).items():
            assert paths.value_at(stored, path) == value, f"{manifest.ref} {path}"


@pytest.mark.parametrize("values", [DEV, SMALL_PROD], ids=["dev", "prod"])
def test_the_stack_becomes_ready_and_stays_as_it_is(lab: Lab, values: Values) -> None:
    """All services become ready where `restricted` is enforced, and a second plan is empty."""
    manifests = wanted(lab, values)
    status = ready(lab, manifests)
    for name, found in status.items():
        assert found["readyReplicas"] == values.get(name, {}).get("replicas", 1)
    lab.settled(manifests)


def test_a_laptop_stack_grows(lab: Lab) -> None:
    """More nodes where that is possible without a restart, larger volumes, and more memory."""
    ready(lab, wanted(lab, DEV))
    grown: Values = {
        "kafka": {"replicas": 3, "storage": "20Gi"},
        "elasticsearch": {"replicas": 3, "memory": "3Gi"},
    }
    manifests = wanted(lab, grown)
    status = ready(lab, manifests)
    assert status["kafka"]["readyReplicas"] == status["elasticsearch"]["readyReplicas"] == 3
    lab.settled(manifests)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ({}, {"kafka": {"controllers": 3, "replicas": 3}}, "the quorum is static"),
        ({"kafka": {"replicas": 2}}, {}, "partitions on a removed broker are not moved"),
        ({"elasticsearch": {"replicas": 2}}, {}, "shards on a removed node are not moved"),
        ({}, {"nifi": {"clustered": True}}, "the empty flows of new nodes would be elected"),
        ({"grafana": {"storage": "2Gi"}}, {}, "Kubernetes cannot shrink a volume"),
        ({}, {"kafka": {"storage_class": "other"}}, "a volume cannot change its class"),
    ],
)
def test_what_a_service_cannot_survive_is_refused(
    lab: Lab, before: Values, after: Values, why: str
) -> None:
    """A plan that would lose data or never become ready says so, and why."""
    lab.up(wanted(lab, before))
    blocked = lab.plan(wanted(lab, after)).blocked
    assert [reason for reason in blocked if why in reason]
