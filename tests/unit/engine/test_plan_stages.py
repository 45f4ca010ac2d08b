from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings, strategies as st

from infometis_sdk.engine.objects.order import apply_rank, delete_rank
from infometis_sdk.engine.plan import stages_of
from infometis_sdk.engine.writing.job import REMOVING
from infometis_sdk.engine.writing.waves import waves
from infometis_sdk.model.environment import Environment
from infometis_sdk.model.plan import PlanItem
from infometis_sdk.model.reference import ObjectRef
from infometis_sdk.model.stack import ManifestSet

if TYPE_CHECKING:
    import random

KINDS = st.sampled_from(
    [
        ("v1", "Namespace"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("v1", "Secret"),
        ("v1", "PersistentVolumeClaim"),
        ("v1", "Service"),
        ("apps/v1", "StatefulSet"),
        ("example.com/v1", "Widget"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ]
)
ITEMS = st.lists(
    st.builds(
        lambda kind, name, action: PlanItem(
            action=action,
            ref=ObjectRef(api_version=kind[0], kind=kind[1], namespace="ns", name=name),
        ),
        KINDS,
        st.sampled_from("abc"),
        st.sampled_from(["create", "update", "replace", "resize", "delete", "release"]),
    ),
    max_size=20,
)


@settings(max_examples=150, deadline=None)
@given(ITEMS)
def test_waves_keep_the_order_of_kinds(items: list[PlanItem]) -> None:
    """Every item is in one wave; what is applied comes first by rank.

    Removals after it reversed; but before all else autoscalers go.
    """
    found = waves([(item, {}) for item in items])
    flat = [item for wave in found for item, _ in wave]
    assert sorted(map(repr, flat)) == sorted(map(repr, items))
    for wave in found:
        assert len({item.action in REMOVING for item, _ in wave}) == 1

    def rank(item: PlanItem) -> tuple[int, int]:
        if item.action not in REMOVING:
            return 0, apply_rank(item.ref)
        scaler = item.ref.kind == "HorizontalPodAutoscaler" and item.action == "delete"
        return -1 if scaler else 1, delete_rank(item.ref)

    ranks = [rank(item) for item in flat]
    assert ranks == sorted(ranks)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 8), st.randoms())
def test_a_stage_needs_only_earlier_ones(count: int, rng: random.Random) -> None:
    """Whatever services need, each is in one stage, and all it needs is in earlier ones."""
    order = [f"s{n}" for n in range(count)]
    needs = {n: tuple(m for m in order[:i] if rng.random() < 0.4) for i, n in enumerate(order)}
    manifests = ManifestSet(
        stack_id="s",
        environment=Environment("e"),
        namespace="ns",
        manifests=(),
        order=order,
        needs=needs,
    )
    stages = stages_of(manifests)
    level = {name: n for n, names in enumerate(stages) for name in names}
    assert sorted(level) == order
    assert all(stages)
    for name, needed in needs.items():
        assert all(level[other] < level[name] for other in needed)
        # And not later than it has to be.
        assert level[name] == max((level[o] + 1 for o in needed), default=0)
