from __future__ import annotations

from hypothesis import given, settings, strategies as st

from infometis_sdk.engine.writing.release import (
    KEPT,
    Release,
    ServiceRecord,
    latest,
    outdated,
    read_releases,
    release_manifest,
)
from infometis_sdk.testing.strategies import json_values

STATES = st.sampled_from(["pending", "deployed", "failed", "superseded"])


def releases() -> st.SearchStrategy[list[Release]]:
    """Return a strategy for the Releases of one stack."""
    services = st.dictionaries(
        st.sampled_from("abc"), st.just(ServiceRecord(version="1")), max_size=3
    )
    return st.lists(st.tuples(STATES, services), max_size=25).map(
        lambda pairs: [
            Release(number=n, status=status, services=found)
            for n, (status, found) in enumerate(pairs, 1)
        ]
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=5), json_values(), max_size=3), max_size=3))
def test_a_release_comes_back_as_it_was(values: list[dict[str, object]]) -> None:
    """What was deployed is known again from the cluster, values of any kind."""
    made = [
        Release(
            number=n,
            status="deployed",
            plan="sha256:x",
            services={"s": ServiceRecord(version="1.0", digest="d", values=value)},
        )
        for n, value in enumerate(values, 1)
    ]
    objects = [release_manifest(r, "stack", "ns") for r in reversed(made)]
    assert read_releases(objects) == tuple(made)


def test_what_is_no_release_is_passed_over() -> None:
    """Other ConfigMaps of the stack, and Releases of another format, are not read."""
    good = release_manifest(Release(number=1, status="deployed"), "stack", "ns")
    other: dict[str, object] = {"metadata": {"labels": {}}, "data": {}}
    newer = {**good, "data": {**good["data"], "format": "infometis.io/release/v9"}}
    assert [r.number for r in read_releases([other, newer, good])] == [1]


@settings(max_examples=150, deadline=None)
@given(releases())
def test_nothing_is_forgotten_that_counts(found: list[Release]) -> None:
    """What goes is neither among the newest, nor deployed, nor the last word on any service."""
    gone = outdated(found)
    left = [r for r in found if r not in gone]
    assert latest(left) == latest(found)
    assert {r.number for r in found[-KEPT:]} <= {r.number for r in left}
    assert all(r.status != "deployed" for r in gone)


def test_a_failed_apply_has_its_word() -> None:
    """It may have changed the service, and the safe side counts for rules such as never shrink."""
    one = Release(number=1, status="deployed", services={"s": ServiceRecord(version="1")})
    two = Release(number=2, status="failed", services={"s": ServiceRecord(version="2")})
    assert latest([one, two])["s"].version == "2"
