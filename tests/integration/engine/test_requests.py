"""How much is asked of the API server."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import attrs
import pytest
from tests.integration.engine.lab import Lab, config_map, custom_kind, deployment, raw

from infometis_sdk.model.service import Credential, Service
from infometis_sdk.testing.fault_proxy import FaultProxy

if TYPE_CHECKING:
    from infometis_sdk.model.stack import ManifestSet

pytestmark = pytest.mark.integration


@pytest.fixture
def wanted(lab: Lab) -> ManifestSet:
    """Apply a stack with a bit of everything: twice the namespaces, cluster scope, credentials."""
    lab.kubectl("create", "namespace", f"{lab.name}-two")
    store = Service.stateful("db", image="example/db:1.0", port=5432)
    store = attrs.evolve(store, credentials={"admin": Credential(username="root")})
    elsewhere = config_map("far")
    elsewhere["metadata"]["namespace"] = f"{lab.name}-two"
    group = f"{lab.name}.example.com"
    made = lab.render(
        store,
        Service.web("hello", image="example/hello:1.0", port=8080, needs=["db"]),
        raw("plain", *(config_map(f"c{n}") for n in range(8)), deployment("app"), elsewhere),
        raw("op", custom_kind("Widget", group)),
    )
    lab.up(made)
    return made


def asked(lab: Lab, wanted: ManifestSet, what: str) -> Counter[tuple[str, str]]:
    """Return every request of one plan or drift check by a process that knows nothing yet."""
    with FaultProxy(lab.access) as proxy:
        fresh = Lab(proxy.access, lab.name)
        if what == "plan":
            made = fresh.plan(wanted)
            assert made.empty, str(made)
        else:
            assert not fresh.drift(wanted).items
        return proxy.counts()


@pytest.mark.parametrize("what", ["plan", "drift"])
def test_a_clean_check_is_one_list_for_each_kind_and_namespace(
    lab: Lab, wanted: ManifestSet, what: str
) -> None:
    """Nothing else is asked: no GET, no dry-run, no discovery, and no LIST twice."""
    counts = asked(lab, wanted, what)
    places = {(m.ref.kind, m.ref.namespace) for m in wanted.manifests}
    places |= {("ConfigMap", lab.namespace), ("Secret", lab.namespace)}
    assert set(counts.values()) == {1}, counts
    assert {verb for verb, _ in counts} == {"GET"}
    assert len(counts) == len(places), counts


def test_a_changed_object_costs_two_dry_runs(lab: Lab, wanted: ManifestSet) -> None:
    """Only what is not proven unchanged is asked about, whatever the size of the stack.

    Once unforced, and where somebody objects once more as it will be done.
    """
    lab.kubectl("scale", "deployment", "hello", "--replicas=3")
    clean = asked_once(lab, wanted)
    assert clean["PATCH"] == 2
    assert clean["GET"] == len({(m.ref.kind, m.ref.namespace) for m in wanted.manifests}) + 1


def asked_once(lab: Lab, wanted: ManifestSet) -> Counter[str]:
    """Return how often each verb is asked for in a plan that has something to do."""
    with FaultProxy(lab.access) as proxy:
        fresh = Lab(proxy.access, lab.name)
        assert not fresh.plan(wanted).empty
        return Counter(seen.verb for seen in proxy.requests)


def test_an_apply_without_changes_writes_nothing(lab: Lab, wanted: ManifestSet) -> None:
    """A second run leaves every resourceVersion as it was, and opens no Release."""
    with FaultProxy(lab.access) as proxy:
        fresh = Lab(proxy.access, lab.name)
        report = fresh.up(wanted)
        assert report.release == 0
        assert {seen.verb for seen in proxy.requests} == {"GET"}


def test_a_plan_writes_nothing(lab: Lab) -> None:
    """Planning a first install and a teardown only reads, and asks by dry-run."""
    with FaultProxy(lab.access) as proxy:
        fresh = Lab(proxy.access, lab.name)
        fresh.plan(fresh.render(Service.web("hello", image="example/hello:1.0", port=8080)))
        for seen in proxy.requests:
            assert seen.verb == "GET" or "dryRun=All" in seen.query, seen
