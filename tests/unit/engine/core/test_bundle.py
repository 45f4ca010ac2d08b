"""Project to Bundle and back: nothing of the core is lost, and nothing else comes along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given, settings, strategies as st
from tests.unit.engine.bundles import KAFKA, config_map

from infometis_sdk._plugins import Plugins
from infometis_sdk.engine.compose import compose
from infometis_sdk.engine.core.bundle import build_bundle, overlay, project_of
from infometis_sdk.engine.core.recorded import definition_of, project_at
from infometis_sdk.engine.render import render
from infometis_sdk.engine.writing.release import records_of
from infometis_sdk.errors import ProjectError, RefusedError
from infometis_sdk.model.border import Border
from infometis_sdk.model.bundle import Bundle
from infometis_sdk.model.capacity import LimitsPolicy, QuotaPolicy, ScalingPolicy
from infometis_sdk.model.environment import (
    Environment,
    IsolationPolicy,
    Patch,
    Policies,
    PrunePolicy,
    RegistryPolicy,
)
from infometis_sdk.model.external import External
from infometis_sdk.model.project import Lock, Project
from infometis_sdk.model.release import Release
from infometis_sdk.model.secret import SecretRef
from infometis_sdk.model.service import Service
from infometis_sdk.project import load_package_service
from infometis_sdk.testing.strategies import json_values

if TYPE_CHECKING:
    from infometis_sdk.model.stack import ManifestSet

DIGEST = "sha256:" + "a" * 64
DEV = Environment("dev")


def project(**changes: Any) -> Project:
    """Return a project of one service."""
    return Project(
        **{
            "name": "demo",
            "id": "demo-1",
            "services": {"kafka": KAFKA},
            "environments": {"dev": DEV},
            **changes,
        }
    )


def rendered(made: Project, environment: Environment = DEV) -> ManifestSet:
    """Return everything that one environment wants."""
    return render(compose(made, environment))


def test_the_catalogue_renders_from_its_bundle_as_from_its_files() -> None:
    """Every object, to the last leaf, and every digest; after a trip through a file."""
    services = {s.name: load_package_service(s) for s in Plugins.load().services().values()}
    values = {"kafka": {"partitions": 7, "replicas": 2}, "nifi": {"memory": "3Gi"}}
    made = project(services=services, values=values, modes={"shared": {"kafka": {"cpu": "2"}}})
    bundle = Bundle.from_bytes(build_bundle(made).to_bytes())
    assert bundle == build_bundle(made)
    again = project_of(bundle, made.environments)
    for environment in (DEV, Environment("dev", mode="shared")):
        one, other = rendered(made, environment), rendered(again, environment)
        assert [m.object for m in one.manifests] == [m.object for m in other.manifests]
        assert one.digests == other.digests
        assert one.digest == other.digest == bundle.id


def test_the_order_of_manifests_changes_nothing() -> None:
    """Policies made of many workloads come out of a Bundle, which is sorted, as they went in."""

    def workload(number: int) -> dict[str, Any]:
        labels = {"app": f"app-{number}"}
        container = {"name": "main", "image": "example/app:1", "ports": [{"containerPort": 80}]}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": f"app-{number}"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }

    port = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "app-11"},
        "spec": {"selector": {"app": "app-11"}, "ports": [{"port": 80}]},
    }
    service = Service(name="bulk", manifests=[port, *map(workload, (3, 11, 2, 7))])
    made = project(services={"bulk": service})
    bundle = Bundle.from_bytes(build_bundle(made).to_bytes())
    wanted = {m.ref.key: m.object for m in rendered(made).manifests}
    assert any(kind == "NetworkPolicy" for _, kind, *_ in wanted)
    again = rendered(project_of(bundle, made.environments))
    assert wanted == {m.ref.key: m.object for m in again.manifests}


def test_locked_images_come_along() -> None:
    """Digests of the lock, also those of raw manifests, are in the Bundle, and nothing else is."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "raw"},
        "spec": {"containers": [{"name": "main", "image": "demo/raw:1"}]},
    }
    service = attrs.evolve(KAFKA, manifests=[config_map("raw"), pod])
    image = str(service.images["main"])
    lock = Lock(images={image: DIGEST, "demo/raw:1": DIGEST, "demo/unused:1": DIGEST})
    made = project(services={"kafka": service}, lock=lock)
    bundle = build_bundle(made)
    assert b"demo/unused" not in bundle.to_bytes()
    again = rendered(project_of(bundle, made.environments))
    assert again.verified
    assert again.digest == rendered(made).digest
    assert f"demo/raw:1@{DIGEST}" in str(again.manifests)


def test_a_map_is_rendered_in_one_order() -> None:
    """A template may loop over a map; equal digests must not mean two renders."""
    template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ name }}\ndata:\n"
    template += "  text: {{ params.config.keys() | join(' ') }}\n"
    parameter = attrs.evolve(KAFKA.parameters["topic"], type="map", default={})
    service = attrs.evolve(
        KAFKA,
        parameters={**KAFKA.parameters, "config": parameter},
        templates={**KAFKA.templates, "map.yaml.j2": template.replace("{{ name }}", "map")},
    )
    texts = {
        str(next(m.object["data"] for m in rendered(made).manifests if m.ref.name == "map"))
        for order in (["b", "a"], ["a", "b"])
        for made in [
            project(
                services={"kafka": service},
                values={"kafka": {"config": dict.fromkeys(order, "1")}},
            )
        ]
    }
    assert texts == {"{'text': 'a b'}"}


def test_environments_take_no_part() -> None:
    """A Bundle is built before any deploy; a broken environment is not its business."""
    broken = Environment("dev", values={"kafka": {"nonsense": 1}})
    assert build_bundle(project(environments={"dev": broken})) == build_bundle(project())
    with pytest.raises(ProjectError, match="nonsense"):
        build_bundle(project(values={"kafka": {"nonsense": 1}}))
    with pytest.raises(ProjectError, match="core"):
        build_bundle(project(modes={"independent": {"kafka": {"topic": "x"}}}))


def test_another_version_of_the_sdk_is_told_from_a_forgery() -> None:
    """What this version would render otherwise is refused, with the service's name."""
    bundle = build_bundle(project())
    inputs = bundle.services["kafka"]
    newer = attrs.evolve(bundle, services={"kafka": {**inputs, "format": "infometis.io/render/v9"}})
    with pytest.raises(RefusedError, match="render format 'infometis"):
        project_of(newer, {})
    descriptor = {**inputs["descriptor"], "brand_new": True}
    unknown = attrs.evolve(bundle, services={"kafka": {**inputs, "descriptor": descriptor}})
    with pytest.raises(ProjectError, match="brand_new"):
        project_of(unknown, {})
    extra = attrs.evolve(bundle, services={"kafka": {**inputs, "unknown": 1}})
    with pytest.raises(RefusedError, match="reads the bundle otherwise: kafka"):
        project_of(extra, {})


@settings(max_examples=60)
@given(json_values(), json_values())
def test_an_overlay_gives_exactly_what_it_should(below: Any, final: Any) -> None:
    """Laid over anything, it gives the final value: keys that are gone are unset."""

    def merged(low: Any, high: Any) -> Any:
        if not isinstance(low, dict) or not isinstance(high, dict):
            return high
        kept = {k: v for k, v in low.items() if k not in high}
        return {
            **kept,
            **{k: merged(low.get(k), v) for k, v in high.items() if v is not None},
        }

    def without_nulls(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: without_nulls(v) for k, v in value.items() if v is not None}
        return value

    wanted = without_nulls(final)
    assert merged(without_nulls(below), overlay(without_nulls(below), wanted)) == wanted


def release_of(made: Project, environment: Environment, **changes: Any) -> Release:
    """Return what an apply would have recorded."""
    manifests = rendered(made, environment)
    bundle = build_bundle(made)
    return Release(
        **{
            "number": 3,
            "status": "superseded",
            "stack_id": manifests.stack_id,
            "environment": environment.name,
            "namespace": manifests.namespace,
            "bundle": bundle.id,
            "services": records_of(manifests),
            "definition": definition_of(environment, "embedded"),
            **changes,
        }
    )


@settings(max_examples=15)
@given(st.integers(1, 5), st.booleans(), st.dictionaries(st.sampled_from("ab"), st.just("x")))
def test_a_release_brings_back_what_it_rendered(
    replicas: int,
    shared: bool,  # noqa: FBT001 - hypothesis gives it
    labels: dict[str, str],
) -> None:
    """Whatever the layers say today, the objects of then come back, to the last leaf."""
    then = Environment(
        "dev",
        mode="shared" if shared else "independent",
        values={"kafka": {"replicas": replicas, "tolerations": [{"key": "a"}]}},
        patches=[Patch(kind="StatefulSet", name="kafka", path="metadata.labels", value=labels)],
        policies=Policies(registry=RegistryPolicy(prefix="old.example")),
        credentials={"kafka.admin": {"password": SecretRef.parse("env:ADMIN")}},
    )
    made = project(values={"kafka": {"memory": "2Gi"}}, modes={"shared": {"kafka": {}}})
    release = release_of(made, then)
    now = Environment("dev", values={"kafka": {"replicas": 1}}, protected=True)
    back = project_at(release, build_bundle(made), now)
    one, other = rendered(made, then), rendered(back, back.environments["dev"])
    assert [m.object for m in one.manifests] == [m.object for m in other.manifests]
    assert one.credentials == other.credentials
    assert records_of(other)["kafka"].values == release.services["kafka"].values
    assert (other.digest, other.stack_id, other.namespace) == (
        release.bundle,
        release.stack_id,
        release.namespace,
    )


def test_what_governs_is_that_of_today() -> None:
    """Protection, prune and platform are not rolled back with what they guard."""
    then = Environment("dev", policies=Policies(pod_security="baseline"))
    made = project()
    now = Environment(
        "dev",
        protected=True,
        platform={"type": "existing", "context": "x"},
        policies=Policies(prune=PrunePolicy(enabled=False), pod_security="restricted"),
    )
    back = project_at(release_of(made, then), build_bundle(made), now).environments["dev"]
    assert back.protected
    assert back.platform == now.platform
    assert not back.policies.prune.enabled
    assert back.policies.pod_security == "baseline"


def test_the_boundary_and_the_border_go_along() -> None:
    """What the outside and the inside could reach then, they can reach again."""
    web = Service.web("web", image="example/web:1", port=80)
    made = project(services={"web": web})
    then = Environment(
        "dev",
        border=Border(type="any", domain="then.test", anonymous=True),
        external={"orders": External(addresses=["192.0.2.1"], port=5432)},
        policies=Policies(network=IsolationPolicy(mode="open")),
    )
    now = Environment("dev", border=Border(type="any", domain="now.test", anonymous=True))
    back = project_at(release_of(made, then), build_bundle(made), now).environments["dev"]
    assert (back.border, back.external, back.policies.network) == (
        then.border,
        then.external,
        then.policies.network,
    )


def test_how_far_a_service_scales_goes_along() -> None:
    """A Bundle carries what a service survives, and a Release the bounds it was deployed with."""
    web = Service.web("web", image="example/web:1", port=80)
    made = project(services={"web": web})
    policies = Policies(
        scaling={"web": ScalingPolicy(min=2, max=6, cpu=70)},
        limits=LimitsPolicy(max={"cpu": "2"}),
        scoped_quotas={"best": QuotaPolicy(hard={"pods": "0"}, scopes=["BestEffort"])},
    )
    then = Environment("dev", policies=policies)
    now = Environment("dev", policies=Policies(scaling={"web": ScalingPolicy(min=1, max=9, cpu=1)}))
    back = project_at(release_of(made, then), build_bundle(made), now)
    assert back.services["web"].scaling == web.scaling
    assert back.environments["dev"].policies == policies


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"mixed": True, "status": "failed"}, "mixed: it failed"),
        ({"mixed": True, "scope": ["kafka"]}, "limited to some services"),
        ({"status": "pending"}, "is pending"),
        ({"definition": {"brand_new": 1}}, "cannot be read"),
    ],
)
def test_what_is_no_whole_deployment_is_no_place_to_go(changes: dict[str, Any], why: str) -> None:
    """Only what was deployed as a whole can be returned to."""
    made = project()
    with pytest.raises(RefusedError, match=why):
        project_at(release_of(made, DEV, **changes), build_bundle(made), DEV)
