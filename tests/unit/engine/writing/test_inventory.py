from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from infometis_sdk.engine.objects.inventory_id import stack_applyset_id
from infometis_sdk.engine.writing.inventory import (
    GROUP_KINDS,
    ID,
    NAMESPACES,
    TOOLING,
    Inventory,
    inventory_manifest,
    kinds_of,
    read_inventory,
)
from infometis_sdk.errors import RefusedError
from infometis_sdk.model.reference import ObjectRef

WORDS = st.sampled_from(["v1", "apps/v1", "example.com/v1beta1"])
KINDS = st.tuples(
    WORDS,
    st.sampled_from(["ConfigMap", "Widget"]),
    st.sampled_from(["", "ns", "two"]),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(KINDS), st.lists(st.text("ab-", max_size=5)), st.text(max_size=5), st.integers(0, 99)
)
def test_an_inventory_comes_back_as_it_was(
    kinds: list[tuple[str, str, str, bool]], claims: list[str], uid: str, release: int
) -> None:
    """Kinds, claims and the cluster's identity survive the way through the cluster."""
    made = Inventory(
        stack_id="s",
        namespace="ns",
        kinds=kinds,
        claims=claims,
        cluster_uid=uid,
        release=release,
        volatile={"plan": "x"},
    )
    assert read_inventory(inventory_manifest(made, "1.0"), "s") == made


def parent(**change: Any) -> dict[str, Any]:
    """Return a parent object with one thing wrong."""
    body = inventory_manifest(Inventory(stack_id="s", namespace="ns"), "1.0")
    meta = body["metadata"]
    meta["labels"].update(change.get("labels", {}))
    meta["annotations"].update(change.get("annotations", {}))
    body["data"].update(change.get("data", {}))
    meta.update(change.get("meta", {}))
    return body


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"labels": {ID: "applyset-forged-v1"}}, "its own ApplySet id"),
        ({"meta": {"namespace": "elsewhere"}}, "its own ApplySet id"),
        ({"annotations": {TOOLING: "kubectl/v1.36"}}, "belongs to the tool 'kubectl/v1.36'"),
        ({"data": {"format": "infometis.io/inventory/v9"}}, "has the format"),
        ({"data": {"stack": "other"}}, "belongs to the stack 'other'"),
    ],
)
def test_a_parent_that_is_not_ours_is_refused(change: dict[str, Any], word: str) -> None:
    """A copied, forged or newer inventory is never acted on; the error says what to do."""
    with pytest.raises(RefusedError, match=word) as caught:
        read_inventory(parent(**change), "s")
    assert caught.value.hint


def test_the_form_is_that_of_kep_3659() -> None:
    """Sorted group kinds and additional namespaces; the id is computed from the parent's name."""
    refs = [
        (ObjectRef(api_version="v1", kind="ConfigMap", namespace="ns", name="a"), False),
        (ObjectRef(api_version="apps/v1", kind="Deployment", namespace="two", name="b"), False),
        (ObjectRef(api_version="v1", kind="Namespace", name="ns"), False),
    ]
    body = inventory_manifest(Inventory(stack_id="s", namespace="ns", kinds=kinds_of(refs)), "1.0")
    notes = body["metadata"]["annotations"]
    assert notes[GROUP_KINDS] == "ConfigMap,Deployment.apps,Namespace"
    assert notes[NAMESPACES] == "two"
    assert body["metadata"]["labels"][ID] == stack_applyset_id("s", "ns")
