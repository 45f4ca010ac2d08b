from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from infometis_sdk.errors import TamperedError
from infometis_sdk.model.bundle import Bundle
from infometis_sdk.model.canonical import canonical_json, sha256_of
from infometis_sdk.testing.strategies import json_values


def bundle(**changes: Any) -> Bundle:
    """Return a small Bundle."""
    inputs = {
        "format": "infometis.io/render/v1",
        "descriptor": {"name": "web", "version": "1.0"},
        "images": {"main": {"repository": "demo/web", "tag": "1.0", "digest": ""}},
        "raw_images": {},
        "templates": {"web.yaml.j2": "a: é\n"},
    }
    return Bundle(**{"project": "demo", "services": {"web": inputs}, **changes})


@settings(max_examples=30)
@given(
    st.dictionaries(
        st.text(max_size=8),
        st.dictionaries(st.text(max_size=5), json_values(), max_size=2),
        max_size=2,
    ),
    st.text(max_size=10),
)
def test_a_bundle_comes_back_as_it_was(services: dict[str, Any], project: str) -> None:
    """Whatever it holds, the file gives it back, and the same Bundle gives the same bytes."""
    made = Bundle(project=project, services=services)
    again = Bundle.from_bytes(made.to_bytes())
    assert again.to_bytes() == made.to_bytes()
    assert (again.id, again.digest) == (made.id, made.digest)


def test_the_order_of_keys_means_nothing() -> None:
    """The same inputs give the same bytes, in whatever order they were read."""
    one = Bundle(project="p", services={"a": {"x": 1, "y": 2}, "b": {}})
    other = Bundle(project="p", services={"b": {}, "a": {"y": 2, "x": 1}})
    assert one.to_bytes() == other.to_bytes()


def test_values_of_other_scopes_are_no_part_of_its_id() -> None:
    """Two environments with other values run the same core; the file as a whole differs."""
    plain, valued = bundle(), bundle(values={"web": {"replicas": 3}})
    assert plain.id == valued.id
    assert plain.digest != valued.digest


@pytest.mark.parametrize("byte", [0, 9, 10, 32, 255])
def test_one_byte_anywhere_is_seen(byte: int) -> None:
    """No byte of the file can be changed, added or cut off without notice."""
    data = bundle().to_bytes()
    for place in range(len(data)):
        if data[place] == byte:
            continue
        with pytest.raises(TamperedError):
            Bundle.from_bytes(data[:place] + bytes([byte]) + data[place + 1 :])
    for wrong in (b"", data[:-1], data + b"\n", b" " + data, data * 2, data[: len(data) // 2]):
        with pytest.raises(TamperedError, match="my file is not what was recorded"):
            Bundle.from_bytes(wrong, name="my file")


def forged(**changes: Any) -> bytes:
    """Return a file whose closing digest is right for contents that are not."""
    document = {**json.loads(bundle().to_bytes().split(b"\n")[0]), **changes}
    body = canonical_json(document)
    return body + b"\n" + sha256_of(body).encode() + b"\n"


def test_a_right_closing_digest_is_not_enough() -> None:
    """Each service is checked against its own digest, and all of them against the id."""
    document = json.loads(forged().split(b"\n")[0])
    inputs = document["services"]["web"]["inputs"]
    evil = {**inputs, "images": {"main": {"repository": "evil", "tag": "1", "digest": ""}}}
    digest = document["services"]["web"]["digest"]
    with pytest.raises(TamperedError, match="service web in the bundle"):
        Bundle.from_bytes(forged(services={"web": {"digest": digest, "inputs": evil}}))
    fits = sha256_of(canonical_json(evil))
    with pytest.raises(TamperedError, match="the bundle is not what was recorded"):
        Bundle.from_bytes(forged(services={"web": {"digest": fits, "inputs": evil}}))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "infometis.io/bundle/v9"},
        {"services": []},
        {"services": {"web": {}}},
        {"project": None},
        {"more": 1},
    ],
)
def test_another_shape_is_refused(changes: dict[str, Any]) -> None:
    """What no version of ours wrote is no Bundle, though its digest is right."""
    with pytest.raises(TamperedError):
        Bundle.from_bytes(forged(**changes))


def test_it_shows_what_it_runs() -> None:
    """People see services, versions and images; the contents stay in the file."""
    made = bundle()
    assert "demo/web:1.0" in str(made)
    assert made.to_dict()["services"]["web"]["version"] == "1.0"
    assert "templates" not in json.dumps(made.to_dict())
