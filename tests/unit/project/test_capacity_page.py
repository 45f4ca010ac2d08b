"""The how-to page on scaling and limits: its samples stand as they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import yaml
from tests.unit.catalogue.stacks import services

from infometis_sdk._serde import structure
from infometis_sdk.engine.inputs.check_capacity import capacity_faults
from infometis_sdk.model import Environment, LimitsPolicy, Policies, Scaling, ScalingPolicy, Service

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = Path(__file__).parents[3] / "docs/how-to/scale-and-limit.md"
TEXT = PAGE.read_text(encoding="utf-8")
SAMPLES: list[Mapping[str, Any]] = [
    yaml.safe_load(sample)
    for sample in re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
]
WEB = Service.web("hello", image="example/hello:1", port=80)
SERVICES = {**services(), "hello": WEB}


@pytest.mark.parametrize("sample", [s for s in SAMPLES if "policies" in s])
def test_the_policies_are_legal(sample: Mapping[str, Any]) -> None:
    """Each sample is what an environment may say."""
    policies, faults = structure(Policies, sample["policies"])
    assert faults == ()
    assert policies is not None
    assert list(capacity_faults(SERVICES, Environment("uat", policies=policies))) == []


def test_the_descriptor_is_that_of_a_web_service() -> None:
    """What the page tells an author is what our own shape says."""
    (sample,) = [s["scaling"] for s in SAMPLES if "scaling" in s]
    rule, faults = structure(Scaling, sample)
    assert (rule, faults) == (WEB.scaling, ())


def test_the_table_says_what_the_descriptors_say() -> None:
    """Which way each service of the catalogue scales."""
    told = dict(re.findall(r"^\| (\w+) \| (.*? \| \w+) \|", TEXT, re.MULTILINE))
    for name, service in services().items():
        out, back = told[{"nifi": "NiFi"}.get(name, name.capitalize())].split(" | ")
        ways = service.scaling.directions if service.scaling else ()
        assert (out.startswith("yes"), back == "yes") == ("out" in ways, "in" in ways)


def test_every_key_is_on_the_page() -> None:
    """What a user may set is documented."""
    names = [field.name for of in (ScalingPolicy, LimitsPolicy) for field in attrs.fields(of)]
    assert [name for name in names if name not in TEXT] == []
