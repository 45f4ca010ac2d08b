"""Autoscalers, limits and quotas of an environment, on the genuine API server and its controllers.

Nothing measures pods there, so the test says what they use: the controller reads that from the API
``metrics.k8s.io``, which stands here on a CustomResourceDefinition instead of metrics-server.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.integration.engine.conftest import anchor, lab, labs

import infometis_sdk as im
from infometis_sdk.errors import PlanRefusedError, RefusedError, ValidationError
from infometis_sdk.model import LimitsPolicy, Policies, QuotaPolicy, Scaling, ScalingPolicy
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.integration.engine.lab import Lab

__all__ = ("anchor", "lab", "labs")

pytestmark = pytest.mark.integration

PATIENCE = 240.0
"""The controller looks every 15 s, and a loaded machine is slow."""

HELLO = im.Service.web("hello", image="example/hello:1", port=80, cpu="100m", memory="16Mi")
KEEPER = attrs.evolve(
    im.Service.web("keeper", image="example/keeper:1", port=80, cpu="100m", memory="16Mi"),
    scaling=Scaling(workload="Deployment/keeper", directions=["out"]),
)
KEEPER = attrs.evolve(
    KEEPER,
    parameters={
        **KEEPER.parameters,
        "replicas": attrs.evolve(
            KEEPER.parameters["replicas"], shrink="drain", why="pods keep data"
        ),
    },
)
METRICS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "pods.metrics.k8s.io",
        "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
    },
    "spec": {
        "group": "metrics.k8s.io",
        "scope": "Namespaced",
        "names": {
            "plural": "pods",
            "singular": "pod",
            "kind": "PodMetrics",
            "listKind": "PodMetricsList",
        },
        "versions": [
            {
                "name": "v1beta1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}
_SERVED = ObjectRef(
    api_version="apiregistration.k8s.io/v1", kind="APIService", name="v1beta1.metrics.k8s.io"
)


class Site:
    """One stack of the two services, and the word on what their pods use."""

    def __init__(self, lab: Lab, state: Path) -> None:
        self.lab = lab
        self.values: dict[str, dict[str, Any]] = {"hello": {}, "keeper": {}}
        self._state = state

    def stack(self, **policies: Any) -> im.Stack:
        """Return the stack with these policies."""
        environment = im.Environment(
            "uat",
            platform=im.Existing(
                kubeconfig=str(self.lab.access.kubeconfig), context=self.lab.access.context
            ),
            namespace=self.lab.namespace,
            stack_id=self.lab.name,
            values=self.values,
            policies=Policies(**policies),
        )
        project = im.Project(
            name="demo",
            id="demo",
            services={each.name: each for each in (HELLO, KEEPER)},
            environments={"uat": environment},
        )
        return im.Workspace(project, state_dir=self._state)["uat"]

    def pods(self, name: str) -> int:
        """Return how many pods a Deployment is to have."""
        return int(self._deployment(name)["spec"]["replicas"])

    def owners(self, name: str) -> set[tuple[str, str]]:
        """Return manager and subresource of who owns that number."""
        return {
            (entry["manager"], entry.get("subresource", ""))
            for entry in self._deployment(name)["metadata"]["managedFields"]
            if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
        }

    def _deployment(self, name: str) -> Mapping[str, Any]:
        return self.lab.must_get(self.lab.ref("Deployment", name, "apps/v1"))

    def use(self, cpu: str, condition: Callable[[], bool], what: str) -> None:
        """Let every pod use so much cpu until something is so."""

        def measured() -> bool:
            run = Run.within(60)
            for pod in self.lab.cluster.list("v1", "Pod", run, namespace=self.lab.namespace):
                meta = pod["metadata"]
                labels = {k: v for k, v in meta["labels"].items() if "infometis" not in k}
                body = {
                    "apiVersion": "metrics.k8s.io/v1beta1",
                    "kind": "PodMetrics",
                    "metadata": {
                        "name": meta["name"],
                        "namespace": self.lab.namespace,
                        "labels": labels,
                    },
                    "timestamp": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
                    "window": "1s",
                    "containers": [{"name": "main", "usage": {"cpu": cpu, "memory": "8Mi"}}],
                }
                self.lab.write("apply", body, "meter", force=True)
            return condition()

        run = Run.within(PATIENCE)
        while not measured():
            run.sleep(1, f"waiting for {what}")

    def settled(self, stack: im.Stack) -> None:
        """Demand that nothing is left to do and nothing drifted."""
        plan = stack.plan()
        assert plan.empty, str(plan)
        assert not stack.drift().items


@pytest.fixture
def site(lab: Lab, tmp_path: Path) -> Site:
    """Give a stack of its own."""
    return Site(lab, tmp_path / "state")


@pytest.fixture
def metered(lab: Lab) -> Iterator[Callable[[], None]]:
    """Let the cluster serve the API of measurements when asked, until the test ends."""
    ref = ObjectRef.of(METRICS)

    def serve() -> None:
        lab.write("apply", METRICS, "meter", force=True)
        lab.until(lambda: _available(lab), "the API of measurements", PATIENCE)

    yield serve
    if lab.get(ref) is not None:
        lab.write("delete", ref, "meter", body=None)
        lab.until(lambda: lab.get(_SERVED) is None, "the API to be gone", PATIENCE)


def _available(lab: Lab) -> bool:
    conditions = ((lab.get(_SERVED) or {}).get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Available" and c["status"] == "True" for c in conditions)


def test_from_a_policy_to_the_genuine_controller_and_back(
    site: Site, metered: Callable[[], None]
) -> None:
    """The controller scales within the bounds; plan, drift and heal leave it alone.

    In only where the service may; and once the policy goes, the parameter counts again,
    unless pods would be lost by that.
    """
    policies = {
        "scaling": {
            "hello": ScalingPolicy(
                min=2, max=4, cpu=70, behavior={"scaleDown": {"stabilizationWindowSeconds": 0}}
            ),
            "keeper": ScalingPolicy(min=2, max=4, cpu=70),
        }
    }
    stack = site.stack(**policies)
    with pytest.raises(RefusedError, match="nothing in this cluster measures cpu and memory"):
        stack.plan()
    assert site.lab.get(site.lab.ref("Namespace", site.lab.namespace, scoped=False)) is None

    metered()
    stack.apply(stack.plan())
    site.use("70m", lambda: site.pods("hello") == site.pods("keeper") == 2, "the minimum")
    site.settled(stack)
    site.use("500m", lambda: site.pods("hello") == site.pods("keeper") == 4, "the maximum")
    assert site.owners("hello") == {("kube-controller-manager", "scale")} | {
        owner for owner in site.owners("hello") if owner[0].startswith("infometis")
    }
    site.settled(stack)

    # Another change of the same object sends no number of pods, and heal has nothing to mend.
    site.values["hello"] = {"memory": "32Mi", "replicas": 3}
    stack = site.stack(**policies)
    stack.apply(stack.plan())
    assert site.pods("hello") == 4
    assert site.owners("hello") == {("kube-controller-manager", "scale")}
    site.settled(stack)
    stack.heal()
    assert site.pods("hello") == 4

    site.use("1m", lambda: site.pods("hello") == 2, "the way back")
    assert site.pods("keeper") == 4
    site.settled(stack)

    # The autoscaler would obey a smaller maximum, whatever the service survives.
    lower = {**policies["scaling"], "keeper": ScalingPolicy(min=2, max=3, cpu=70)}
    plan = site.stack(scaling=lower).plan()
    assert "Deployment/keeper has 4 pods" in "; ".join(plan.blocked)

    fixed = site.stack()
    plan = fixed.plan()
    assert "cannot shrink from 4 to 1 without a drain: pods keep data" in "; ".join(plan.blocked)
    with pytest.raises(PlanRefusedError):
        fixed.apply(plan)
    site.values["keeper"] = {"replicas": 4}
    fixed = site.stack()
    fixed.apply(fixed.plan())
    assert (site.pods("hello"), site.pods("keeper")) == (3, 4)
    ours = f"infometis.{site.lab.name}"
    assert {manager for manager, _ in site.owners("hello")} == {ours}
    assert ours in {manager for manager, _ in site.owners("keeper")}
    site.settled(fixed)


def test_an_autoscaler_that_stays_is_not_fought(site: Site, metered: Callable[[], None]) -> None:
    """Limited to another service nothing is pruned, so the autoscaler goes on having the pods."""
    metered()
    policy = {"hello": ScalingPolicy(min=2, max=4, cpu=70)}
    stack = site.stack(scaling=policy)
    stack.apply(stack.plan())
    site.use("70m", lambda: site.pods("hello") == 2, "the minimum")
    without = site.stack()
    assert without.plan(services=["hello"]).empty
    assert without.plan().items[0].ref.kind == "HorizontalPodAutoscaler"


def test_limits_and_quotas_count(site: Site) -> None:
    """The API server takes what is rendered, fills in what we said, and plans nothing again."""
    policies: dict[str, Any] = {
        "limits": LimitsPolicy(default={"cpu": 1}, max={"cpu": "2", "memory": "1Gi"}),
        "resource_quota": {"limits.cpu": "4", "pods": 4},
        "scoped_quotas": {
            "best": QuotaPolicy(hard={"pods": "0"}, scopes=["BestEffort"]),
            "high": QuotaPolicy(hard={"cpu": "1"}, priority_classes=["high"]),
        },
    }
    stack = site.stack(**policies)
    stack.apply(stack.plan())
    site.settled(stack)
    pods: list[Mapping[str, Any]] = []

    def there() -> bool:
        pods[:] = site.lab.cluster.list("v1", "Pod", Run.within(60), namespace=site.lab.namespace)
        return len(pods) == 2

    site.lab.until(there, "the pods", PATIENCE)
    limits = [pod["spec"]["containers"][0]["resources"]["limits"] for pod in pods]
    assert limits == [{"cpu": "1", "memory": "16Mi"}] * 2
    with pytest.raises(ValidationError, match=r"allows limits\.cpu 3, and 4 are wanted"):
        site.stack(**{**policies, "resource_quota": {"limits.cpu": "3"}}).plan()


def test_a_quota_of_somebody_else_is_looked_at(site: Site) -> None:
    """Who owns the cluster may have put a quota there: what cannot fit is refused with numbers."""
    stack = site.stack()
    stack.apply(stack.plan())
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "theirs", "namespace": site.lab.namespace},
        "spec": {"hard": {"requests.cpu": "500m"}},
    }
    site.lab.write("create", quota, "kubectl")
    site.values["hello"] = {"replicas": 4}
    told = r"ResourceQuota/theirs in namespace \S+ allows requests.cpu 500m, and 700m are wanted"
    with pytest.raises(RefusedError, match=told):
        site.stack().plan()
    site.values["hello"] = {"replicas": 2}
    assert site.stack().plan().items
