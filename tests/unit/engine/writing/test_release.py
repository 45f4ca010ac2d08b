from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from infometis_sdk.engine.writing.release import (
    KEPT,
    latest,
    outdated,
    read_releases,
    release_objects,
)
from infometis_sdk.model.fault import Origin
from infometis_sdk.model.release import Release, ServiceRecord
from infometis_sdk.testing.strategies import json_values

STATES = st.sampled_from(["pending", "deployed", "failed", "superseded"])


def objects(*found: Release, chunk: int = 700_000) -> list[dict[str, Any]]:
    """Return the objects of some Releases, newest first."""
    return [
        obj
        for release in reversed(found)
        for obj in release_objects(release, "stack", "ns", chunk=chunk)
    ]


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
@given(
    st.lists(st.dictionaries(st.text(max_size=5), json_values(), max_size=3), max_size=3),
    st.integers(min_value=20, max_value=400),
)
def test_a_release_comes_back_as_it_was(values: list[dict[str, object]], chunk: int) -> None:
    """What was deployed is known again from the cluster, values of any kind, in any many parts."""
    origin = Origin(layer="environment", file="environments/dev.yaml", line=7)
    made = [
        Release(
            number=n,
            status="deployed",
            plan="sha256:x",
            services={
                "s": ServiceRecord(version="1.0", digest="d", values=value, origins={"a.b": origin})
            },
        )
        for n, value in enumerate(values, 1)
    ]
    found, problems = read_releases(objects(*made, chunk=chunk))
    assert (found, problems) == (tuple(made), ())


def test_what_is_no_release_is_passed_over() -> None:
    """Other ConfigMaps of the stack are not read."""
    [good] = objects(Release(number=1, status="deployed"))
    other: dict[str, object] = {"metadata": {"labels": {}}, "data": {}}
    found, problems = read_releases([other, good])
    assert ([r.number for r in found], problems) == ([1], ())


def test_a_release_of_another_format_is_no_secret() -> None:
    """A newer version of the SDK wrote it: passing over it could mean shrinking a volume."""
    [good] = objects(Release(number=1, status="deployed"))
    newer = {**good, "data": {**good["data"], "format": "infometis.io/release/v9"}}
    found, [problem] = read_releases([newer])
    assert not found
    assert "infometis.io/release/v9" in problem


def _flipped(text: str, place: int) -> str:
    """Change one letter of base64 into another one."""
    other = "A" if text[place] != "A" else "B"
    return text[:place] + other + text[place + 1 :]


EDITS: dict[str, Any] = {
    "status": lambda obj: obj["data"].update(status="failed"),
    "number": lambda obj: obj["data"].update(number="2"),
    "digest": lambda obj: obj["data"].update(digest="sha256:" + "0" * 64),
    "no digest": lambda obj: obj["data"].pop("digest"),
    "parts": lambda obj: obj["data"].update(parts="9"),
    "no parts": lambda obj: obj["data"].update(parts="many"),
    "no record": lambda obj: obj.pop("binaryData"),
    "another name": lambda obj: obj["metadata"].update(name="infometis-stack-release-4"),
    "of another stack": lambda obj: obj["metadata"]["labels"].update(
        {"infometis.io/stack": "other"}
    ),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_release_is_no_release(edit: Any) -> None:
    """Whatever was edited, it is refused, named with its object, and says what may be done."""
    release = Release(
        number=1, status="deployed", stack_id="stack", services={"s": ServiceRecord(version="1")}
    )
    [obj] = copy.deepcopy(objects(release))
    edit(obj)
    found, [problem] = read_releases([obj])
    assert not found
    assert f"ConfigMap/{obj['metadata']['name']} in namespace ns" in problem


def test_one_byte_anywhere_is_seen() -> None:
    """No byte of what is stored can be changed without notice, in no part."""
    release = Release(
        number=1,
        status="deployed",
        services={"s": ServiceRecord(version="1", values={str(n): n * n for n in range(40)})},
    )
    whole = objects(release, chunk=100)
    assert len(whole) > 2
    for index, obj in enumerate(whole):
        for place in range(0, len(obj["binaryData"]["record"].rstrip("=")) - 1, 7):
            edited = copy.deepcopy(whole)
            text = edited[index]["binaryData"]["record"]
            edited[index]["binaryData"]["record"] = _flipped(text, place)
            found, problems = read_releases(edited)
            assert not found
            assert len(problems) == 1


@settings(max_examples=150, deadline=None)
@given(releases(), st.integers(min_value=0, max_value=KEPT + 5))
def test_nothing_is_forgotten_that_counts(found: list[Release], kept: int) -> None:
    """What goes is neither among the newest, nor deployed, nor the last word on any service."""
    gone = outdated(found, kept)
    left = [r for r in found if r not in gone]
    assert latest(left) == latest(found)
    assert {r.number for r in found[-max(kept, 1) :]} <= {r.number for r in left}
    assert all(r.status != "deployed" for r in gone)


def test_a_failed_apply_has_its_word() -> None:
    """It may have changed the service, and the safe side counts for rules such as never shrink."""
    one = Release(number=1, status="deployed", services={"s": ServiceRecord(version="1")})
    two = Release(number=2, status="failed", services={"s": ServiceRecord(version="2")})
    assert latest([one, two])["s"].version == "2"
