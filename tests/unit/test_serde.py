from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import field, frozen
from hypothesis import given, settings

from infometis_sdk import model
from infometis_sdk._serde import dumps_json, nearest, structure, unstructure
from infometis_sdk.model.secret import Secret, SecretRef
from infometis_sdk.testing.strategies import json_values, values_of

VALUES = (
    model.ApplyReport,
    model.DriftReport,
    model.Environment,
    model.Fault,
    model.HealthReport,
    model.Lock,
    model.ManifestSet,
    model.Parameter,
    model.Plan,
    model.Project,
    model.Service,
    model.UpReport,
)


class Size(Enum):
    """As a plugin's settings may have."""

    SMALL = "small"
    LARGE = "large"


def positive(_: Any, attribute: Any, value: int) -> None:
    """Refuse what is not above 0; a named validator of a settings class."""
    if value <= 0:
        msg = f"{attribute.name} is not above 0"
        raise ValueError(msg)


@frozen(kw_only=True)
class Node:
    """A part of settings."""

    cpu: int
    labels: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class Settings:
    """What a plugin might ask for."""

    nodes: int = field(default=1, validator=positive)
    ratio: float = 0.5
    fast: bool = False
    name: str | None = None
    port: int | str = 0
    data: Path = Path()
    size: Size = Size.SMALL
    flavour: Literal["a", "b"] = "a"
    parts: tuple[Node, ...] = ()
    pair: tuple[str, int] = ("", 0)
    password: SecretRef | None = None


def faults(data: Any, cls: type = Settings) -> list[str]:
    """Return path and message of every fault."""
    return [f"{f.path}: {f.message}" for f in structure(cls, data)[1]]


@pytest.mark.parametrize("cls", VALUES, ids=lambda cls: cls.__name__)
def test_round_trip_of_the_model(cls: type) -> None:
    """Every value of the model is the same after it went to JSON and back."""

    @settings(max_examples=40, deadline=None)
    @given(values_of(cls))
    def check(value: Any) -> None:
        text = dumps_json(unstructure(value))
        again, found = structure(cls, json.loads(text))
        assert found == ()
        assert again == value

    check()


@given(json_values())
def test_canonical_json(value: Any) -> None:
    """Canonical JSON says the same, and says it in one way only."""
    text = dumps_json(value)
    assert json.loads(text) == value
    assert dumps_json(json.loads(text)) == text


def test_canonical_json_has_text_keys_only() -> None:
    """A key that is no text would meet another one on the way."""
    with pytest.raises(TypeError, match="a key is no text: 1"):
        dumps_json({"a": [{1: "x"}]})
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps_json(float("nan"))


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"nodes": "3"}, "nodes"),
        ({"nodes": True}, "nodes"),
        ({"nodes": 1.0}, "nodes"),
        ({"nodes": None}, "nodes"),
        ({"fast": "no"}, "fast"),
        ({"fast": 0}, "fast"),
        ({"ratio": "1"}, "ratio"),
        ({"ratio": True}, "ratio"),
        ({"name": 3}, "name"),
        ({"port": 1.5}, "port"),
        ({"port": None}, "port"),
        ({"port": True}, "port"),
        ({"data": 1}, "data"),
        ({"parts": "abc"}, "parts"),
        ({"parts": {}}, "parts"),
        ({"parts": [3]}, "parts[0]"),
        ({"parts": [{"cpu": 1, "labels": []}]}, "parts[0].labels"),
        ({"parts": [{"cpu": 1, "labels": {"a": 1}}]}, "parts[0].labels.a"),
        ({"pair": ["a", "b"]}, "pair[1]"),
        ([], ""),
        (None, ""),
        ("x", ""),
    ],
)
def test_nothing_is_coerced(data: Any, path: str) -> None:
    """A value of another type is a fault at its path, even where Python could convert it."""
    assert faults(data) == [f"{path}: has the wrong type"]


def test_a_tuple_has_its_length() -> None:
    """A tuple of places has exactly these."""
    assert faults({"pair": ["a"]}) == ["pair: has 1 items"]


def test_what_fits_is_taken() -> None:
    """Every kind of field takes the values it is made for; an integer is a number."""
    value, found = structure(
        Settings,
        {
            "nodes": 3,
            "ratio": 1,
            "name": None,
            "port": "http",
            "data": "a/b",
            "size": "large",
            "flavour": "b",
            "parts": [{"cpu": 1, "labels": {"a": "b"}}],
            "pair": ["a", 1],
            "password": "env:PASSWORD",
        },
    )
    assert found == ()
    assert value == Settings(
        nodes=3,
        ratio=1.0,
        port="http",
        data=Path("a/b"),
        size=Size.LARGE,
        flavour="b",
        parts=(Node(cpu=1, labels={"a": "b"}),),
        pair=("a", 1),
        password=SecretRef(scheme="env", target="PASSWORD"),
    )


def test_all_faults_at_once_with_what_is_legal() -> None:
    """One pass finds every fault; each says what was found, what is legal, what is near."""
    value, found = structure(
        Settings,
        {"nods": 3, "nodes": 0, "size": "lrge", "flavour": "c", "parts": [{"cpus": 1}]},
        path="platform",
        file="environments/dev.yaml",
        lines={"platform": 3, "platform.nods": 4, "platform.parts[0]": 9},
    )
    assert value is None
    assert {(f.path, f.message, f.found, f.legal, f.nearest, str(f.origin)) for f in found} == {
        (
            "platform.nods",
            "unknown key 'nods'",
            "",
            "data, fast, flavour, name, nodes, pair, parts, password, port, ratio, size",
            "nodes",
            "environments/dev.yaml:4",
        ),
        (
            "platform.size",
            'unknown value "lrge"',
            '"lrge"',
            '"small", "large"',
            "",
            "environments/dev.yaml:3",
        ),
        (
            "platform.flavour",
            'unknown value "c"',
            '"c"',
            '"a", "b"',
            "",
            "environments/dev.yaml:3",
        ),
        (
            "platform.parts[0].cpu",
            "'cpu' is missing",
            "",
            "an integer",
            "",
            "environments/dev.yaml:9",
        ),
        (
            "platform.parts[0].cpus",
            "unknown key 'cpus'",
            "",
            "cpu, labels",
            "cpu",
            "environments/dev.yaml:9",
        ),
    }


def test_a_class_says_what_its_validator_says() -> None:
    """A validator of a settings class becomes a fault with the validator's own words."""
    assert faults({"nodes": 0}) == [": nodes is not above 0"]


def test_what_is_left_is_still_checked_later() -> None:
    """With faults, the value holds all that is right, so that further checks find more."""
    value, found = structure(
        model.Service,
        {"name": "web", "needs": "x", "endpoints": {"http": {"port": "80"}, "tls": {"port": 443}}},
    )
    assert len(found) == 2
    assert value is not None
    assert value.name == "web"
    assert value.endpoints["tls"].port == 443
    assert "http" in value.endpoints


def test_secrets_are_never_shown() -> None:
    """A secret written where a reference belongs is not repeated in the fault."""
    for wrong in ("hunter2", 12345678, ["hunter2"]):
        (fault,) = structure(Settings, {"password": wrong})[1]
        assert "hunter2" not in str(fault)
        assert "12345678" not in str(fault)
        assert "env:NAME" in fault.legal
    assert unstructure(Secret("hunter2")) == "***"


def test_only_some_keys_are_legal_at_the_top() -> None:
    """A file may give fewer keys than the class has fields."""
    value, found = structure(model.Service, {"name": "a", "templates": {}}, keys=("name", "needs"))
    assert [(f.path, f.legal) for f in found] == [("templates", "name, needs")]
    assert value == model.Service(name="a")


def test_nearest_name() -> None:
    """Near is what a person may have meant, not just anything."""
    assert nearest("replica", ["replicas", "memory"]) == "replicas"
    assert nearest("CPU", ["cpu"]) == "cpu"
    assert nearest("zzz", ["replicas", "memory"]) == ""
