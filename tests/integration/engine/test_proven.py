"""The local proof says what a request would say: held against the genuine API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.integration.engine.lab import config_map, deployment, raw, secret

from infometis_sdk.engine.objects.fieldset import ours, proven
from infometis_sdk.engine.objects.fingerprint import content
from infometis_sdk.engine.planning.examine import changes, dry_run
from infometis_sdk.engine.reading.live import observe
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.ports.cluster import Write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.integration.engine.lab import Lab

    from infometis_sdk.model.service import Service
    from infometis_sdk.model.stack import ManifestSet

pytestmark = pytest.mark.integration

genuine = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

KEYS = st.text("abcxyz", min_size=1, max_size=6)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)


def containers() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return a strategy for containers with variables, ports, resources and probes."""
    port = st.fixed_dictionaries(
        {"name": st.sampled_from(["http", "admin", "x"]), "containerPort": st.integers(1, 99)}
    )
    container = st.fixed_dictionaries(
        {"image": st.sampled_from(["example/a:1", "example/b:2"])},
        optional={
            "env": st.lists(
                st.fixed_dictionaries({"name": KEYS, "value": TEXTS}),
                unique_by=lambda e: e["name"],
                max_size=4,
            ),
            "ports": st.lists(
                port, max_size=2, unique_by=(lambda p: p["name"], lambda p: p["containerPort"])
            ),
            "args": st.lists(TEXTS, max_size=3),
            "resources": st.fixed_dictionaries(
                {
                    "requests": st.fixed_dictionaries(
                        {"cpu": st.sampled_from(["100m", "0.5", "1000m"])}
                    )
                }
            ),
            "livenessProbe": st.fixed_dictionaries(
                {"httpGet": st.fixed_dictionaries({"port": st.sampled_from([80, "http"])})},
                optional={"periodSeconds": st.integers(1, 9)},
            ),
            "securityContext": st.fixed_dictionaries(
                {}, optional={"privileged": st.booleans(), "readOnlyRootFilesystem": st.booleans()}
            ),
            "tty": st.booleans(),
        },
    )
    return st.lists(container, min_size=1, max_size=3).map(
        lambda found: [{**c, "name": f"c{n}"} for n, c in enumerate(found)]
    )


def pods() -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for pod specs."""
    return st.fixed_dictionaries(
        {"containers": containers()},
        optional={
            "tolerations": st.lists(
                st.fixed_dictionaries({"operator": st.just("Exists")}, optional={"key": KEYS}),
                max_size=2,
            ),
            "nodeSelector": st.dictionaries(KEYS, KEYS, max_size=2),
            "hostNetwork": st.just(value=False),
            "volumes": st.just([{"name": "tmp", "emptyDir": {}}]),
            "securityContext": st.fixed_dictionaries({}, optional={"runAsUser": st.integers(1, 9)}),
        },
    )


def services() -> st.SearchStrategy[Service]:
    """Return a strategy for services of raw manifests."""

    def made(data: dict[str, str], pod: dict[str, Any], replicas: int | None) -> Service:
        app = deployment("app", replicas=replicas)
        app["spec"]["template"]["spec"] = pod
        return raw("app", config_map("settings", **data), secret("token", **data), app)

    replicas = st.one_of(st.none(), st.integers(0, 2))
    return st.builds(made, st.dictionaries(KEYS, TEXTS, max_size=4), pods(), replicas)


def seen(lab: Lab, wanted: ManifestSet) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return what is desired beside what is live."""
    refs = [(m.ref, m.singleton) for m in wanted.manifests]
    live = observe(lab.cluster, lab.name, lab.namespace, refs, lab.run())
    pairs = []
    for manifest in wanted.manifests:
        have = live.get(manifest.ref)
        assert have is not None
        pairs.append((manifest.object, have))
    return pairs


@genuine
@given(service=services())
def test_what_was_applied_is_proven_without_a_request(lab: Lab, service: Service) -> None:
    """Whatever was just applied is proven: no default, quantity or dropped zero spoils it.

    A dry-run agrees that nothing would change.
    """
    wanted = lab.render(service)
    lab.up(wanted, adopt=())
    for desired, live in seen(lab, wanted):
        assert proven(desired, live, lab.manager), (desired, live)
        after, _ = dry_run(
            lab.cluster, ObjectRef.of(desired), desired, lab.manager, lab.run(), force=False
        )
        assert changes(live, after) == ()
        assert ours(after, lab.manager) == ours(live, lab.manager)


PATCHES = st.sampled_from(
    [
        {"metadata": {"labels": {"infometis.io/stack": "other"}}},
        {"metadata": {"labels": {"infometis.io/stack": None}}},
        {"metadata": {"annotations": {"infometis.io/digest": "sha256:other"}}},
        {"spec": {"replicas": 3}},
        {"spec": {"template": {"spec": {"containers": [{"name": "c0", "image": "example/c:9"}]}}}},
        {"spec": {"template": {"metadata": {"labels": {"app": "app", "more": "1"}}}}},
        {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 7}}}},
        {"spec": {"paused": True}},
        {"metadata": {"annotations": {"by": "me"}}},
    ]
)


@genuine
@given(service=services(), patch=PATCHES)
def test_the_proof_never_says_more_than_the_server(
    lab: Lab, service: Service, patch: dict[str, Any]
) -> None:
    """After any change by somebody else: whatever is still proven, a dry-run would not change."""
    wanted = lab.render(service)
    lab.environment = lab.forcing()
    lab.up(wanted)
    ref = lab.ref("Deployment", "app", "apps/v1")
    lab.patch(ref, patch, "kubectl-patch")
    for desired, live in seen(lab, wanted):
        after = lab.cluster.write(
            Write(
                verb="apply",
                ref=ObjectRef.of(desired),
                body=desired,
                manager=lab.manager,
                force=True,
                dry_run=True,
            ),
            lab.run(),
        ).object
        unchanged = content(after) == content(live) and ours(after, lab.manager) == ours(
            live, lab.manager
        )
        if proven(desired, live, lab.manager):
            assert unchanged, (patch, desired, live)
    lab.up(wanted)
