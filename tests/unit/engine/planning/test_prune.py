from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given, settings, strategies as st
from tests.unit.engine.live_objects import applied
from tests.unit.engine.planning.test_volumes import Shelf

from infometis_sdk.engine.objects.inventory_id import stack_applyset_id
from infometis_sdk.engine.objects.marks import PART_OF, STACK, manager_of
from infometis_sdk.engine.objects.order import delete_rank
from infometis_sdk.engine.planning.prune import Pruned, members, prune, service_of
from infometis_sdk.engine.reading.live import Live
from infometis_sdk.model.environment import Environment, Policies, PrunePolicy
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.release import ServiceRecord
from infometis_sdk.model.run import Run
from infometis_sdk.model.service import Service
from infometis_sdk.model.stack import ComposedService, Manifest, ManifestSet

PARTS = stack_applyset_id("s", "ns")


def obj(name: str, service: str = "app", kind: str = "ConfigMap", **meta: Any) -> dict[str, Any]:
    """Return a live object of the stack."""
    labels = {STACK: "s", PART_OF: PARTS, "infometis.io/service": service, **meta.pop("labels", {})}
    made = applied(
        {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": "ns", "labels": labels},
        },
        manager_of("s"),
    )
    made["metadata"].update(meta)
    return made


def wanted(*services: str, names: tuple[str, ...] = (), **policy: Any) -> ManifestSet:
    """Return what is desired: a ConfigMap for each name, the services, the policy."""
    return ManifestSet(
        stack_id="s",
        environment=Environment("e", policies=Policies(prune=PrunePolicy(**policy))),
        namespace="ns",
        manifests=tuple(
            Manifest(
                object={
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": n, "namespace": "ns"},
                },
                service=services[0] if services else "",
            )
            for n in names
        ),
        services={n: ComposedService(service=Service(name=n), values={}) for n in services},
    )


def pruned(
    found: list[dict[str, Any]], desired: ManifestSet, *deployed: str, **options: Any
) -> Pruned:
    """Decide."""
    live = Live(objects={ObjectRef.of(o).key: o for o in found})
    records = {n: ServiceRecord(version="1") for n in deployed}
    return prune(Shelf(), desired, live, records, Run.within(5), **options)


NAMES = st.lists(st.sampled_from([f"n{i}" for i in range(30)]), unique=True, max_size=30)


@settings(max_examples=150, deadline=None)
@given(NAMES, NAMES)
def test_exactly_what_is_no_longer_wanted_goes(there: list[str], keep: list[str]) -> None:
    """Everything desired stays, everything else of ours goes, and more than the limit is asked."""
    desired = wanted("app", names=("always", *keep))
    found = pruned([obj(n) for n in there], desired)
    going = {i.ref.name for i in found.items}
    assert going == set(there) - set(keep)
    limit = max(5, len(there) * 20 // 100)
    assert bool(found.confirm) is (len(going) > limit)
    assert not found.problems


def test_one_removed_service_is_spared_by_the_breaker() -> None:
    """Ten objects of one service that left; an eleventh of another that vanished counts alone."""
    gone = [obj(f"g{n}", "gone") for n in range(10)]
    desired = wanted("app", names=("always",))
    assert not pruned(gone, desired, "gone", "app").confirm
    assert not pruned([*gone, obj("x")], desired, "gone", "app").confirm
    more = [*gone, *(obj(f"x{n}") for n in range(6))]
    assert "6 of 16" in pruned(more, desired, "gone", "app").confirm
    two = [*gone, *(obj(f"h{n}", "gone-too") for n in range(6))]
    assert "16 of 16" in pruned(two, desired, "gone", "gone-too", "app").confirm
    assert pruned(gone, desired, "app").confirm


def test_who_does_not_count_as_a_member() -> None:
    """Another stack's, an unlabelled one, and the copies that Kubernetes makes of our labels."""
    foreign = obj("a", labels={PART_OF: "applyset-other-v1"})
    copy = obj("svc", kind="Endpoints")
    copy["metadata"]["managedFields"] = []
    live = Live(objects={ObjectRef.of(o).key: o for o in (foreign, copy, obj("b"))})
    assert [o["metadata"]["name"] for o in members(live, "s", "ns")] == ["b"]


def test_what_is_on_its_way_out_is_left_to_go() -> None:
    """An object that is being deleted is not deleted again, and not kept either."""
    found = pruned([obj("a", deletionTimestamp="t")], wanted("app", names=("always",)))
    assert not found.items
    assert not found.kept


def test_reasons_to_stay() -> None:
    """An annotation, a foreign owner, no trace of an apply, our label taken away: all are named."""
    kept = obj("kept")
    kept["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
    owned = obj("owned", ownerReferences=[{"kind": "Job", "name": "j"}])
    never = obj("never")
    never["metadata"]["managedFields"] = []
    unmarked = obj("unmarked")
    del unmarked["metadata"]["labels"][PART_OF]
    found = pruned([kept, owned, never, unmarked], wanted("app", names=("always",)))
    assert not found.items
    for name, word in (
        ("kept", "helm.sh/resource-policy: keep"),
        ("owned", "owned by Job/j"),
        ("never", "never applied it"),
        ("unmarked", "took our label"),
    ):
        assert any(f"ConfigMap/{name}:" in text and word in text for text in found.kept), found.kept


def test_an_empty_project_and_a_switched_off_prune() -> None:
    """Neither deletes anything: the one is refused, the other says what stays."""
    there = [obj("a")]
    assert pruned(there, wanted()).problems
    off = pruned(there, wanted("app", names=("always",), enabled=False))
    assert (len(off.items), len(off.kept)) == (0, 1)
    everything = pruned(there, attrs.evolve(wanted(), manifests=()), teardown=True)
    assert [i.ref.name for i in everything.items] == ["a"]


def test_deletions_are_in_reverse_order_of_kinds() -> None:
    """Workloads before what they use."""
    kinds = ["ConfigMap", "Service", "Deployment", "ServiceAccount", "HorizontalPodAutoscaler"]
    found = pruned([obj("a", kind=k) for k in kinds], wanted("app", names=("always",)))
    ranks = [delete_rank(i.ref) for i in found.items]
    assert ranks == sorted(ranks)
    assert found.items[0].ref.kind == "HorizontalPodAutoscaler"


def test_the_service_is_known_by_our_own_label_first() -> None:
    """Raw manifests keep the usual name label that they brought along."""
    brought = {"app.kubernetes.io/name": "traefik"}
    assert service_of(obj("a", "ingress", labels=brought)) == "ingress"
    plain = {"metadata": {"labels": brought}}
    assert service_of(plain) == "traefik"
    assert service_of({"metadata": {}}) == ""
