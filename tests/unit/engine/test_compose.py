"""Composing layers of values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from infometis_sdk.engine.compose import compose, derived_stack_id
from infometis_sdk.errors import ProjectError
from infometis_sdk.model import (
    Credential,
    Endpoint,
    Environment,
    Fault,
    Origin,
    Parameter,
    Project,
    Service,
)

KAFKA = Service(
    name="kafka",
    origin=Origin(layer="base", file="services/kafka/service.yaml"),
    lines={"parameters.replicas.default": 7},
    parameters={
        "replicas": Parameter(type="integer", default=1, min=1, max=9, scope="scale"),
        "memory": Parameter(type="quantity", default="1024Mi", min="512Mi", scope="scale"),
        "partitions": Parameter(type="integer", default=3),
        "config": Parameter(type="map", default={"a": {"x": 1}, "b": 2}),
        "labels": Parameter(type="map", default={"tier": "data"}, scope="scale"),
        "hosts": Parameter(type="list", default=["one"], scope="border"),
        "level": Parameter(type="string", default="info", choices=("info", "debug"), scope="scale"),
        "storage_class": Parameter(type="string", optional=True, scope="platform"),
        "tolerations": Parameter(type="list", default=[], scope="platform"),
        "ratio": Parameter(type="number", default=0.5, scope="scale"),
        "code": Parameter(type="string", default="ab", pattern="[a-z]+", scope="scale"),
    },
    endpoints={"client": Endpoint(port=9092)},
    credentials={"admin": Credential()},
)


def project(**more: Any) -> Project:
    """Make a project of one service."""
    return Project(name="demo", services={"kafka": KAFKA}, **more)


def faults(project_: Project, environment: Environment, **defaults: Any) -> list[Fault]:
    """Compose what must fail, and return its faults."""
    with pytest.raises(ProjectError) as caught:
        compose(project_, environment, platform_defaults=defaults)
    return list(caught.value.faults)


def test_layers_win_in_order() -> None:
    """Base, project, platform defaults, mode, environment, local: each later one wins."""
    layers: dict[str, dict[str, Any]] = {
        "project": {"values": {"kafka": {"replicas": 2}}},
        "mode": {"modes": {"shared": {"kafka": {"replicas": 3}}}},
    }
    base = compose(project(), Environment("dev"))
    mine = compose(project(**layers["project"]), Environment("dev"))
    both = project(**layers["project"], **layers["mode"])
    mode = compose(both, Environment("dev", mode="shared"))
    values = {"kafka": {"replicas": 4}}
    environment = compose(both, Environment("dev", mode="shared", values=values))
    local = compose(
        both, Environment("dev", mode="shared", values=values, local={"kafka": {"replicas": 5}})
    )
    composed = (base, mine, mode, environment, local)
    assert [s.service("kafka").values["replicas"] for s in composed] == [1, 2, 3, 4, 5]
    layers_seen = [s.origin.layer for s in local.service("kafka").history["replicas"]]
    assert layers_seen == ["base", "project", "mode", "environment", "local"]


def test_platform_defaults_go_to_platform_parameters_only() -> None:
    """A platform's default reaches parameters of that name and of scope platform only."""
    defaults = {"storage_class": "fast", "replicas": 9, "unheard_of": 1}
    stack = compose(project(), Environment("dev"), platform_defaults=defaults)
    values = stack.service("kafka").values
    assert (values["storage_class"], values["replicas"]) == ("fast", 1)
    environment = Environment("dev", values={"kafka": {"storage_class": "slow"}})
    stack = compose(project(), environment, platform_defaults=defaults)
    assert stack.service("kafka").values["storage_class"] == "slow"


def test_maps_merge_and_lists_replace() -> None:
    """Maps merge at every depth, lists replace, null takes away what lower layers said."""
    values = {"kafka": {"config": {"a": {"y": 2}, "b": None, "c": 3}, "hosts": ["two"]}}
    environment = Environment("dev", values={"kafka": {"labels": {"tier": None, "x": "y"}}})
    composed = compose(project(values=values), environment).service("kafka")
    assert composed.values["config"] == {"a": {"x": 1, "y": 2}, "c": 3}
    assert composed.values["hosts"] == ["two"]
    assert composed.values["labels"] == {"x": "y"}
    assert [s.value for s in composed.history["config.b"]] == [2, None]


def test_null_unsets() -> None:
    """Null unsets an optional parameter, and is a fault for any other."""
    environment = Environment("dev", values={"kafka": {"storage_class": None}})
    stack = compose(project(), environment, platform_defaults={"storage_class": "fast"})
    assert stack.service("kafka").values["storage_class"] is None
    found = faults(project(), Environment("dev", values={"kafka": {"replicas": None}}))
    assert [(f.path, f.found) for f in found] == [("values.kafka.replicas", "null")]


@pytest.mark.parametrize("layer", ["mode", "environment", "local"])
def test_core_belongs_to_base_and_project(layer: str) -> None:
    """Mode, environment and local may never set a core parameter; the project may."""
    values = {"kafka": {"partitions": 6}}
    assert (
        compose(project(values=values), Environment("dev")).service("kafka").values["partitions"]
        == 6
    )
    modes = {"independent": values} if layer == "mode" else {}
    environment = Environment(
        "dev",
        values=values if layer == "environment" else {},
        local=values if layer == "local" else {},
    )
    found = faults(project(modes=modes), environment)
    assert [f.origin.layer for f in found] == [layer]
    assert "core" in found[0].message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("replicas", "3"),
        ("replicas", 3.0),
        ("replicas", True),
        ("replicas", 10),
        ("replicas", 0),
        ("memory", "100Mi"),
        ("memory", "much"),
        ("hosts", "one"),
        ("labels", ["a"]),
        ("level", "trace"),
        ("level", 1),
        ("ratio", float("nan")),
        ("ratio", "0.5"),
        ("code", "ab1"),
        ("code", "ab\n"),
    ],
)
def test_values_fit_their_parameter(name: str, value: object) -> None:
    """Type, bounds, choices and patterns hold; nothing is converted on the quiet."""
    source = Origin(layer="environment", file="environments/dev.yaml", line=12)
    environment = Environment(
        "dev",
        values={"kafka": {name: value}},
        sources={f"values.kafka.{name}": source},
    )
    found = faults(project(), environment)
    assert [(f.path, str(f.origin)) for f in found] == [
        (f"values.kafka.{name}", "environments/dev.yaml:12")
    ]
    assert found[0].found
    assert found[0].legal


def test_all_faults_at_once() -> None:
    """Every fault of every layer is reported together, with the nearest known name."""
    other = Service(name="nifi", needs=("kafk",), uses=("kafka.cliend",))
    broken = Project(
        name="demo",
        services={"kafka": KAFKA, "nifi": other},
        values={"kafka": {"partition": 1}, "kafak": {}},
        modes={"shared": {"kafka": {"replica": 1}}, "sharde": {}},
    )
    environment = Environment(
        "dev",
        mode="independant",
        protected=True,
        local={"kafka": {"replicas": 99}},
        values={"kafka": {"partitions": 2}},
        credentials={"kafka.admim": {}},
    )
    found = faults(broken, environment)
    assert {f.nearest for f in found} >= {
        "partitions",
        "kafka",
        "replicas",
        "shared",
        "independent",
        "kafka.admin",
        "kafka.client",
    }
    assert len(found) == 11


def test_one_name_for_a_service() -> None:
    """A service listed under another name than its own is a fault."""
    (fault,) = faults(Project(name="demo", services={"a": Service(name="b")}), Environment("dev"))
    assert "'a'" in fault.message


def test_cycle_is_named() -> None:
    """A circle of needs is a fault that walks round it; uses may be circular."""
    endpoints = {"x": Endpoint(port=1)}
    ring = {
        "a": Service(name="a", needs=("b",)),
        "b": Service(name="b", needs=("c",)),
        "c": Service(name="c", needs=("a",)),
    }
    found = faults(Project(name="demo", services=ring), Environment("dev"))
    text = found[0].message.rpartition(": ")[2]
    assert len(found) == 1
    assert text in {
        "a needs b needs c needs a",
        "b needs c needs a needs b",
        "c needs a needs b needs c",
    }
    talk = {
        "a": Service(name="a", uses=("b.x",), endpoints=endpoints),
        "b": Service(name="b", uses=("a.x",), endpoints=endpoints),
    }
    assert compose(Project(name="demo", services=talk), Environment("dev")).services


NEEDS: dict[str, dict[str, tuple[str, ...]]] = {
    "abcd": {},
    "bdac": {"a": ("d",), "c": ("b",)},
    "bcda": {"a": ("b", "c", "d")},
}


@given(st.sampled_from(list(NEEDS)), st.permutations(["a", "b", "c", "d"]))
def test_order_does_not_depend_on_the_order_of_writing(expected: str, names: list[str]) -> None:
    """Services come after those they need, and by name where that is free."""
    services = {name: Service(name=name, needs=NEEDS[expected].get(name, ())) for name in names}
    stack = compose(Project(name="demo", services=services), Environment("dev"))
    assert "".join(s.name for s in stack.services) == expected


def test_identity() -> None:
    """Stack id and namespace are the environment's, or follow from the names."""
    stack = compose(project(id="p-1"), Environment("dev"))
    assert (stack.stack_id, stack.namespace) == ("p-1-dev", "demo-dev")
    stack = compose(project(), Environment("dev", stack_id="mine", namespace="there"))
    assert (stack.stack_id, stack.namespace) == ("mine", "there")
    assert {f.path for f in faults(project(), Environment("Dev", stack_id="A_b"))} == {
        "name",
        "stack_id",
    }


@given(
    st.text(min_size=1, max_size=80), st.from_regex(r"[a-z][a-z0-9-]{0,30}[a-z0-9]", fullmatch=True)
)
def test_derived_id_is_a_short_label(identity: str, name: str) -> None:
    """A derived stack id is a DNS label of at most 40 characters, whatever the names are."""
    stack_id = derived_stack_id(Project(name="demo", id=identity), Environment(name))
    assert len(stack_id) <= 40
    assert all(c.isascii() and (c.isalnum() or c == "-") and c == c.lower() for c in stack_id)
    assert stack_id.strip("-") == stack_id


def test_long_names_stay_apart() -> None:
    """What is cut off still tells two stacks apart."""
    names = ["x" * 60 + end for end in ("a", "b")]
    ids = {derived_stack_id(Project(name="demo", id=name), Environment("dev")) for name in names}
    assert len(ids) == 2


def test_values_are_copies() -> None:
    """Nobody's data is shared: changing a composed value changes no project."""
    mine = {"a": {"x": 5}}
    stack = compose(project(values={"kafka": {"config": mine}}), Environment("dev"))
    config: Any = stack.service("kafka").values["config"]
    config["a"]["x"] = 6
    assert mine == {"a": {"x": 5}}
    assert KAFKA.parameters["config"].default == {"a": {"x": 1}, "b": 2}


def test_provenance_reaches_into_maps() -> None:
    """Each value below a map knows the layer and line that set it."""
    sources = {
        "project.kafka.config": Origin(layer="project", file="infometis.yaml", line=4),
        "project.kafka.config.b": Origin(layer="project", file="infometis.yaml", line=5),
    }
    stack = compose(
        project(values={"kafka": {"config": {"b": 9}}}, sources=sources), Environment("dev")
    )
    history = stack.service("kafka").history
    assert [str(s.origin) for s in history["config.b"]] == [
        "services/kafka/service.yaml",
        "infometis.yaml:5",
    ]
    assert [str(s.origin) for s in history["replicas"]] == ["services/kafka/service.yaml:7"]
